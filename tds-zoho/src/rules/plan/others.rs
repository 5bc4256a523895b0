//! What is registered and belongs to no target: what this program left behind, and what others registered.

use super::{Deviation, Found, Kind, Other, Plan, Rule, Step, StepKind, is_same_address};
use crate::rules::target::{Destination, OurName, our_name};

impl Plan {
    /// Finds what this program registered and nothing needs.
    pub(super) fn leftovers(&mut self, found: &Found, is_needed: impl Fn(OurName<'_>) -> bool) {
        let unneeded =
            |name: &str| our_name(name).filter(|ours| !is_needed(*ours)).map(|ours| ours.mark.is_some());
        let rules = found.rules.iter().filter(|rule| unneeded(&rule.name) == Some(false));
        let webhooks = found.webhooks.iter().filter(|webhook| unneeded(&webhook.name) == Some(true));
        let rules = rules.map(|rule| (StepKind::RemoveRule(rule.id.clone()), &rule.name));
        let webhooks = webhooks.map(|webhook| (StepKind::RemoveWebhook(webhook.id.clone()), &webhook.name));
        for (kind, name) in rules.chain(webhooks) {
            let words: Vec<&str> = name.split(' ').take(3).collect();
            let (name, group) = (name.clone(), words.join(" "));
            let text = "no entity type that is synced needs it".to_owned();
            self.deviations.push(Deviation { kind: Kind::Leftover, name: name.clone(), text });
            self.steps.push(Step { kind, name, reason: "no entity type that is synced needs it", group });
        }
    }

    /// Finds the webhooks of others.
    pub(super) fn webhooks_of_others(&mut self, destination: &Destination, known: &[String], found: &Found) {
        let here = self.states.iter().map(|state| state.url.clone()).collect::<Vec<_>>();
        let base = format!("{}/", destination.base.trim_end_matches('/'));
        for webhook in found.webhooks.iter().filter(|webhook| our_name(&webhook.name).is_none()) {
            let url = webhook.url.as_deref().unwrap_or_default();
            let is_twice = here.iter().any(|here| is_same_address(here, url));
            let is_here = is_twice || url.starts_with(&base);
            let is_known = known.iter().any(|known| url.starts_with(known.as_str()));
            if is_twice {
                let text = format!("it sends to {url} as well, so that its changes arrive twice");
                self.deviations.push(Deviation { kind: Kind::Doubled, name: webhook.name.clone(), text });
            } else if !is_known {
                let text = if url.is_empty() {
                    "somebody else registered it; Zoho does not show its URL".to_owned()
                } else {
                    format!("somebody else registered it; it sends to {url}")
                };
                self.deviations.push(Deviation { kind: Kind::Foreign, name: webhook.name.clone(), text });
            }
            self.others.push(Other { name: webhook.name.clone(), url: webhook.url.clone(), is_here });
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
