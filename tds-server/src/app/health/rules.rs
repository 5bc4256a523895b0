//! The health of the webhooks that are registered in Zoho, from what the last look found. The probe sends no request.

use async_trait::async_trait;
use tds_core::clock::readable;
use tds_postgres::PgStore;
use time::OffsetDateTime;

use super::{ComponentHealth, Probe};
use crate::app::rules::{Checked, Kept};

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
        Some(of(&Kept::load(&self.0).await.ok()?))
    }
}

fn of(kept: &Kept) -> ComponentHealth {
    let Some(Checked { at, wrong, unreadable, webhooks }) = &kept.checked else {
        return ComponentHealth::healthy(
            "not checked: no webhooks were registered by `tds-server webhooks install`",
        );
    };
    let at = OffsetDateTime::from_unix_timestamp(*at).map(readable).unwrap_or_default();
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
    use crate::app::health::HealthStatus;

    #[test]
    fn only_what_is_wrong_degrades() {
        let checked = |wrong: &[&str], unreadable: Option<&str>| Kept {
            base: Some("https://tds.example.com".to_owned()),
            installed_at: 1_700_000_000,
            rules: Vec::new(),
            checked: Some(Checked {
                at: 1_700_000_000,
                wrong: wrong.iter().map(|line| (*line).to_owned()).collect(),
                unreadable: unreadable.map(str::to_owned),
                webhooks: 24,
            }),
        };
        assert_eq!(of(&Kept::default()).state, HealthStatus::Healthy);
        assert_eq!(of(&checked(&[], None)).state, HealthStatus::Healthy);
        assert_eq!(of(&checked(&[], Some("code 57"))).state, HealthStatus::Healthy);
        let wrong = of(&checked(&["TDS item updated is missing", "b", "c", "d"], None));
        assert_eq!(wrong.state, HealthStatus::Degraded);
        assert!(
            wrong.detail.contains("TDS item updated is missing") && wrong.detail.contains("and 1 more"),
            "{}",
            wrong.detail
        );
    }
}
