//! Compares what is registered with what should be, and decides what to do. Pure functions.

use super::{
    facts,
    target::{Destination, OurName, Target, our_name},
    trigger::Trigger,
};
use crate::answer::Api;

/// A webhook as Zoho shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The URL, if Zoho shows it.
    pub url: Option<String>,
}

/// A rule as Zoho shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// What the rule fires at, if Zoho shows it.
    pub rule_type: Option<String>,
    /// False if Zoho says that the rule is not active.
    pub is_active: bool,
    /// The ids of the webhooks that the rule sends, if Zoho shows them.
    pub webhooks: Option<Vec<String>>,
}

/// What is registered in one product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The webhooks, those of others included.
    pub webhooks: Vec<Webhook>,
    /// The rules, those of others included.
    pub rules: Vec<Rule>,
}

tds_core::closed_set! {
    /// In which way something registered is not as it should be.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Kind {
        /// The webhook or its rule is missing.
        Missing = "missing",
        /// The rule is not active.
        Inactive = "inactive",
        /// The webhook or the rule has another URL, secret or trigger, or the rule sends another webhook.
        Changed = "changed",
        /// The same delivery would be sent twice.
        Doubled = "doubled",
        /// It was registered for this program, but no entity type needs it any more.
        Leftover = "leftover",
        /// It was registered by somebody else, and is never changed.
        Foreign = "foreign",
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// In which way.
    pub kind: Kind,
    /// The name of the webhook or rule.
    pub name: String,
    /// What is wrong, in one line.
    pub text: String,
}

/// The state of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The target.
    pub target: Target,
    /// The name of its webhook.
    pub webhook_name: String,
    /// The URL of its webhook.
    pub url: String,
    /// The webhook, if it is registered with this URL and this secret.
    pub webhook_id: Option<String>,
    /// The rule, if it is registered.
    pub rule_id: Option<String>,
}

/// A webhook that somebody else registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The name.
    pub name: String,
    /// The URL, if Zoho shows it.
    pub url: Option<String>,
    /// The URL is an address of this server.
    pub is_here: bool,
}

/// The webhook that a rule is to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A registered webhook, by its id.
    Known(String),
    /// The webhook that an earlier step creates, by its name.
    Created(String),
}

/// One call that writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Create a webhook.
    CreateWebhook {
        /// The module.
        module: String,
        /// The URL.
        url: String,
    },
    /// Create a rule, or replace the rule with the id.
    PutRule {
        /// The rule to replace.
        id: Option<String>,
        /// The module.
        module: String,
        /// The trigger.
        trigger: Trigger,
        /// The webhook.
        webhook: Sent,
    },
    /// Make a rule active.
    ActivateRule(String),
    /// Delete a rule, by its id.
    RemoveRule(String),
    /// Delete a webhook, by its id.
    RemoveWebhook(String),
}

/// One call that writes, and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The call.
    pub kind: StepKind,
    /// The name of the webhook or rule.
    pub name: String,
    /// Why the call is made, in one line.
    pub reason: &'static str,
    /// Steps of the same group build on one another: after a failure, the rest of the group is not taken.
    pub group: String,
}

impl Step {
    /// Returns the name of what the step does, for people and scripts.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match &self.kind {
            StepKind::CreateWebhook { .. } => "create webhook",
            StepKind::PutRule { id: None, .. } => "create rule",
            StepKind::PutRule { .. } => "change rule",
            StepKind::ActivateRule(_) => "activate rule",
            StepKind::RemoveRule(_) => "delete rule",
            StepKind::RemoveWebhook(_) => "delete webhook",
        }
    }
}

/// What is registered in one product, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The product.
    pub api: Api,
    /// The targets of the product.
    pub states: Vec<State>,
    /// What is not as it should be.
    pub deviations: Vec<Deviation>,
    /// The webhooks of others.
    pub others: Vec<Other>,
    /// The steps that make everything right that is this program's, in their order.
    pub steps: Vec<Step>,
}

/// Compares what is registered in a product with the targets. `targets` are those of all products, because a product may
/// show what was registered in the other one. URLs of others that begin with one of `known` are nothing wrong.
#[must_use]
pub fn plan(
    api: Api,
    targets: &[Target],
    destination: &Destination,
    known: &[String],
    found: &Found,
) -> Plan {
    let mut plan =
        Plan { api, states: Vec::new(), deviations: Vec::new(), others: Vec::new(), steps: Vec::new() };
    for target in targets.iter().filter(|target| target.api == api) {
        plan.of_target(target, destination, found);
    }
    plan.leftovers(found, |ours| {
        targets.iter().any(|target| target.module == ours.module && target.trigger.as_str() == ours.trigger)
    });
    plan.of_others(destination, known, found);
    plan
}

/// Returns the plan that deletes everything that is this program's, for whatever entity types.
#[must_use]
pub fn removal(api: Api, found: &Found) -> Plan {
    let mut plan =
        Plan { api, states: Vec::new(), deviations: Vec::new(), others: Vec::new(), steps: Vec::new() };
    plan.leftovers(found, |_| false);
    for step in &mut plan.steps {
        step.reason = "everything of TDS is removed";
    }
    plan
}

impl Plan {
    /// Returns true if there is nothing to do and nothing else is wrong.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.deviations.is_empty() && self.steps.is_empty()
    }

    fn of_target(&mut self, target: &Target, destination: &Destination, found: &Found) {
        let (rule_name, url) = (target.rule_name(), target.url(destination));
        let webhooks = OfTarget::find(target, destination, &url, found);
        let rules: Vec<&Rule> = found.rules.iter().filter(|rule| rule.name == rule_name).collect();
        let sends = |rule: &Rule, id: &str| {
            rule.webhooks.as_ref().is_some_and(|sent| sent.iter().any(|one| one == id))
        };
        let is_right = |rule: &Rule, webhook: &Webhook| {
            sends(rule, &webhook.id) && rule.webhooks.as_ref().is_some_and(|sent| sent.len() == 1)
        };
        // Of several right webhooks, the one that a rule sends is kept.
        let webhook = webhooks.right.iter().copied().max_by_key(|webhook| {
            (rules.iter().any(|rule| sends(rule, &webhook.id)), std::cmp::Reverse(&webhook.id))
        });
        let rule = rules.iter().copied().max_by_key(|rule| {
            let is_right = webhook.is_some_and(|webhook| is_right(rule, webhook));
            (is_right, rule.is_active, std::cmp::Reverse(&rule.id))
        });
        let group = rule_name.clone();
        let mut step = |kind, name: &str, reason| {
            self.steps.push(Step { kind, name: name.to_owned(), reason, group: group.clone() });
        };
        let sent = match webhook {
            Some(webhook) => Sent::Known(webhook.id.clone()),
            None => {
                let reason = if webhooks.old.is_empty() {
                    "it is missing"
                } else {
                    "the URL or the secret is another one"
                };
                let (module, name) = (target.module.clone(), webhooks.free_name.clone());
                step(StepKind::CreateWebhook { module, url: url.clone() }, &name, reason);
                Sent::Created(name)
            }
        };
        let put = |id| StepKind::PutRule {
            id,
            module: target.module.clone(),
            trigger: target.trigger,
            webhook: sent.clone(),
        };
        match rule {
            None => step(put(None), &rule_name, "it is missing"),
            Some(rule) => {
                let has_trigger =
                    rule.rule_type.as_deref().is_none_or(|text| facts::may_be_of(target.trigger, text));
                if !has_trigger {
                    step(put(Some(rule.id.clone())), &rule_name, "it has another trigger");
                } else if !webhook.is_some_and(|webhook| is_right(rule, webhook)) {
                    step(put(Some(rule.id.clone())), &rule_name, "it sends another webhook");
                }
                if !rule.is_active {
                    step(StepKind::ActivateRule(rule.id.clone()), &rule_name, "it is not active");
                }
            }
        }
        for double in rules.iter().filter(|one| rule.is_none_or(|kept| kept.id != one.id)) {
            step(StepKind::RemoveRule(double.id.clone()), &rule_name, "it is there twice");
        }
        for old in &webhooks.old {
            step(StepKind::RemoveWebhook(old.id.clone()), &old.name, "another webhook takes its place");
        }
        for double in webhooks.right.iter().filter(|one| webhook.is_none_or(|kept| kept.id != one.id)) {
            step(StepKind::RemoveWebhook(double.id.clone()), &double.name, "it is there twice");
        }
        self.deviations_of(target, webhook, rule, &rules, &webhooks);
        self.states.push(State {
            target: target.clone(),
            webhook_name: webhook.map_or(webhooks.free_name, |webhook| webhook.name.clone()),
            url,
            webhook_id: webhook.map(|webhook| webhook.id.clone()),
            rule_id: rule.map(|rule| rule.id.clone()),
        });
    }

    fn deviations_of(
        &mut self,
        target: &Target,
        webhook: Option<&Webhook>,
        rule: Option<&Rule>,
        rules: &[&Rule],
        webhooks: &OfTarget<'_>,
    ) {
        let name = target.rule_name();
        let mut deviate = |kind, text: String| {
            self.deviations.push(Deviation { kind, name: name.clone(), text });
        };
        match (webhook, webhooks.old.first()) {
            (Some(_), _) => {}
            (None, None) => deviate(Kind::Missing, "there is no webhook".to_owned()),
            (None, Some(old)) => deviate(
                Kind::Changed,
                format!(
                    "the webhook has another URL or secret: {}",
                    old.url.as_deref().unwrap_or("URL not shown")
                ),
            ),
        }
        match rule {
            None => deviate(Kind::Missing, "there is no rule".to_owned()),
            Some(rule) => {
                if !rule.is_active {
                    deviate(Kind::Inactive, "the rule is not active, so nothing is sent".to_owned());
                }
                let text = rule.rule_type.as_deref().unwrap_or_default();
                if rule.rule_type.is_some() && !facts::may_be_of(target.trigger, text) {
                    deviate(Kind::Changed, format!("the rule has another trigger: {text}"));
                }
                let sends_other = webhook.is_some_and(|webhook| {
                    rule.webhooks.as_ref().is_some_and(|sent| *sent != [webhook.id.clone()])
                });
                if sends_other {
                    deviate(
                        Kind::Changed,
                        "the rule does not send this webhook, or not only this one".to_owned(),
                    );
                }
            }
        }
        if rules.len() > 1 {
            deviate(Kind::Doubled, format!("the rule is there {} times", rules.len()));
        }
        if webhooks.right.len() > 1 {
            deviate(Kind::Doubled, format!("the webhook is there {} times", webhooks.right.len()));
        }
        if webhook.is_some() && !webhooks.old.is_empty() {
            deviate(Kind::Leftover, "an earlier webhook was not deleted".to_owned());
        }
    }

    fn leftovers(&mut self, found: &Found, is_needed: impl Fn(OurName<'_>) -> bool) {
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

    fn of_others(&mut self, destination: &Destination, known: &[String], found: &Found) {
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
}

/// The webhooks of one target.
struct OfTarget<'a> {
    /// Those with the present URL and secret.
    right: Vec<&'a Webhook>,
    /// Those with another URL or secret.
    old: Vec<&'a Webhook>,
    /// A name for a new one, which no webhook has.
    free_name: String,
}

impl<'a> OfTarget<'a> {
    fn find(target: &Target, destination: &Destination, url: &str, found: &'a Found) -> Self {
        let name = target.webhook_name(destination);
        let mark = our_name(&name).and_then(|ours| ours.mark);
        let is_ours = |webhook: &&Webhook| {
            our_name(&webhook.name).is_some_and(|ours| {
                ours.mark.is_some() && ours.module == target.module && ours.trigger == target.trigger.as_str()
            })
        };
        let is_right = |webhook: &&Webhook| {
            let has_mark = our_name(&webhook.name).and_then(|ours| ours.mark) == mark;
            has_mark && webhook.url.as_deref().is_none_or(|shown| is_same_address(url, shown))
        };
        let (right, old) = found.webhooks.iter().filter(is_ours).partition(is_right);
        let is_free = |name: &String| !found.webhooks.iter().any(|webhook| webhook.name == *name);
        let numbered = (2..100).map(|number| format!("{name} {number}"));
        let free_name = std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name);
        Self { right, old, free_name }
    }
}

/// Returns true if two URLs differ at most in their queries. The mark in the name of a webhook covers the query, and Zoho
/// may show it apart.
fn is_same_address(one: &str, other: &str) -> bool {
    let address =
        |url: &str| url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    address(one) == address(other)
}

#[cfg(test)]
mod tests;
