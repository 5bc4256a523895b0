//! The health of the webhooks that are registered in Zoho, from what the last look found. The probe sends no request.

use async_trait::async_trait;
use tds_core::clock::{Clock as _, SystemClock, readable};
use tds_postgres::PgStore;
use time::OffsetDateTime;

use super::{ComponentHealth, Probe};
use crate::app::rules::{Checked, Kept};

/// The time in seconds after which looks without a result count: two days.
const LONG: i64 = 2 * 24 * 3600;
/// The number of findings that are shown.
const SHOWN: usize = 3;

/// Checks what the last look at the registered webhooks found.
pub(crate) struct RulesProbe(pub(crate) PgStore);

#[async_trait]
impl Probe for RulesProbe {
    fn name(&self) -> &'static str {
        "webhook_rules"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(of(&Kept::load(&self.0).await.ok()?, SystemClock.now().unix_timestamp()))
    }
}

fn of(kept: &Kept, now: i64) -> ComponentHealth {
    let Some(Checked { at, wrong, unreadable, webhooks }) = &kept.checked else {
        return ComponentHealth::healthy(
            "not checked: no webhooks were registered by `tds-server webhooks install`",
        );
    };
    let time = |at: i64| OffsetDateTime::from_unix_timestamp(at).map(readable).unwrap_or_default();
    let at = time(*at);
    if let Some(since) = kept.looking.map(|looking| looking.since).filter(|since| now - since > LONG) {
        return ComponentHealth::degraded(format!(
            "the webhooks registered in Zoho could not be looked at since {}; the last result is of {at}; run tds-server webhooks status",
            time(since)
        ));
    }
    if !wrong.is_empty() {
        let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
        let more = wrong.len().saturating_sub(SHOWN);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        return ComponentHealth::degraded(format!(
            "the webhooks registered in Zoho are not as they should be ({at}): {shown}{more}; run tds-server webhooks install"
        ));
    }
    match unreadable {
        Some(reason) => {
            ComponentHealth::healthy(format!("Zoho does not show what is registered ({at}): {reason}"))
        }
        None => ComponentHealth::healthy(format!("{webhooks} webhooks and rules are registered ({at})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{health::HealthStatus, rules::Looking};

    const NOW: i64 = 1_700_100_000;

    #[test]
    fn looks_without_a_result_degrade_after_two_days() {
        let of_looks = |since: i64| {
            let looking = Some(Looking { since: NOW - since, at: NOW });
            let base = Some("https://tds.example.com".to_owned());
            of(&Kept { base, checked: Some(Checked::default()), looking, ..Kept::default() }, NOW)
        };
        assert_eq!(of_looks(LONG).state, HealthStatus::Healthy);
        let long = of_looks(LONG + 1);
        assert_eq!(long.state, HealthStatus::Degraded);
        assert!(long.detail.contains("could not be looked at since 2023-11-1"), "{}", long.detail);
    }

    #[test]
    fn only_what_is_wrong_degrades() {
        let checked = |wrong: &[&str], unreadable: Option<&str>| Kept {
            base: Some("https://tds.example.com".to_owned()),
            rules: Vec::new(),
            in_inventory: None,
            looking: None,
            checked: Some(Checked {
                at: 1_700_000_000,
                wrong: wrong.iter().map(|line| (*line).to_owned()).collect(),
                unreadable: unreadable.map(str::to_owned),
                webhooks: 24,
            }),
        };
        assert_eq!(of(&Kept::default(), NOW).state, HealthStatus::Healthy);
        assert_eq!(of(&checked(&[], None), NOW).state, HealthStatus::Healthy);
        assert_eq!(of(&checked(&[], Some("code 57")), NOW).state, HealthStatus::Healthy);
        let wrong = of(&checked(&["TDS item updated is missing", "b", "c", "d"], None), NOW);
        assert_eq!(wrong.state, HealthStatus::Degraded);
        assert!(
            wrong.detail.contains("TDS item updated is missing") && wrong.detail.contains("and 1 more"),
            "{}",
            wrong.detail
        );
    }
}
