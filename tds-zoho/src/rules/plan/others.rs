//! What others registered.

use super::{Deviation, Found, Kind, Other, Plan, Rule, is_same_address};
use crate::rules::{
    shown::shown_url,
    target::{Destination, our_name},
};

impl Plan {
    /// Finds the webhooks of others.
    pub(super) fn webhooks_of_others(&mut self, destination: &Destination, known: &[String], found: &Found) {
        let here = self.states.iter().map(|state| state.url.clone()).collect::<Vec<_>>();
        let base = format!("{}/", destination.base.trim_end_matches('/'));
        for webhook in found.webhooks.iter().filter(|webhook| our_name(&webhook.name).is_none()) {
            let url = webhook.url.as_deref().unwrap_or_default();
            let is_twice = here.iter().any(|here| is_same_address(here, url));
            let is_here = is_twice || url.starts_with(&base);
            let is_known = known.iter().any(|known| begins_with(url, known));
            let shown = shown_url(url, destination);
            if is_twice {
                let text = format!("it sends to {shown} as well, so that its changes arrive twice");
                self.deviations.push(Deviation { kind: Kind::Doubled, name: webhook.name.clone(), text });
            } else if !is_known {
                let text = if url.is_empty() {
                    "somebody else registered it; Zoho does not show its URL".to_owned()
                } else {
                    format!("somebody else registered it; it sends to {shown}")
                };
                self.deviations.push(Deviation { kind: Kind::Foreign, name: webhook.name.clone(), text });
            }
            let url = webhook.url.is_some().then_some(shown);
            self.others.push(Other { name: webhook.name.clone(), url, is_here });
        }
    }

    /// Finds the rules of others that send webhooks of this program, such as a rule that was renamed. Zoho deletes no
    /// webhook that a rule sends.
    pub(super) fn rules_of_others(&mut self, found: &Found) {
        let ours = found.webhooks.iter().filter(|webhook| our_name(&webhook.name).is_some());
        for webhook in ours {
            let sends = |rule: &&Rule| {
                our_name(&rule.name).is_none()
                    && rule.is_active
                    && rule.webhooks.as_ref().is_some_and(|sent| sent.contains(&webhook.id))
            };
            for rule in found.rules.iter().filter(sends) {
                let text = format!(
                    "this rule, which TDS did not make, sends the webhook {}: delete the rule, so that changes do not \
                     arrive twice",
                    webhook.name
                );
                self.deviations.push(Deviation { kind: Kind::Doubled, name: rule.name.clone(), text });
            }
        }
    }
}

/// Returns true if a URL begins with a known beginning, and that ends where a part of the URL ends: a host must not begin
/// a longer one.
fn begins_with(url: &str, known: &str) -> bool {
    let at_end = known.ends_with(['/', '?', '&', '=', '#']);
    url.strip_prefix(known).is_some_and(|rest| at_end || rest.is_empty() || rest.starts_with(['/', '?', '#']))
}
