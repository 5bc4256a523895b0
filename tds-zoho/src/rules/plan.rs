//! Compares what is registered with what should be, and decides what to do. Pure functions.

mod altered;
mod compare;
mod leftovers;
mod others;

use std::{collections::BTreeSet, fmt};

use sha2::{Digest as _, Sha256};

use self::altered::Shown;
use super::{
    target::{Destination, Target},
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
    /// The HTTP method, if Zoho shows it.
    pub method: Option<String>,
    /// The template of the body, if Zoho shows it.
    pub body: Option<String>,
    /// The names of the headers, if Zoho shows them.
    pub headers: Option<Vec<String>>,
    /// The module, if Zoho shows it.
    pub module: Option<String>,
    /// The type of the body, if Zoho shows it.
    pub body_type: Option<String>,
    /// The parameters that are added to the URL, if Zoho shows them.
    pub parameters: Option<Vec<(String, String)>>,
    /// The value of the header `X-Webhook-Key`, if Zoho shows it.
    pub key: Option<KeyDigest>,
}

/// The digest of a key, which says only whether two keys are the same. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Returns the digest of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyDigest(…)")
    }
}

/// A rule as Zoho shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The module, if Zoho shows it.
    pub module: Option<String>,
    /// What the rule fires at, if Zoho shows it.
    pub rule_type: Option<String>,
    /// False if Zoho says that the rule is not active.
    pub is_active: bool,
    /// True if Zoho says that the rule fires only once for each record.
    pub is_once: bool,
    /// True if Zoho shows that the rule fires only for some records.
    pub has_criteria: bool,
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
        /// The webhook or the rule is not as this program registered it, or the URL or the secret is another one now.
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
    /// The webhook, if it is registered with this URL and this secret, and as it was created.
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
    /// What replaces this webhook or rule is not registered yet, or cannot be looked at. The step must not be taken: a
    /// plan of what Zoho shows after the other steps says when it may be.
    pub waits: bool,
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

    /// Returns true if the step deletes something.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        matches!(self.kind, StepKind::RemoveRule(_) | StepKind::RemoveWebhook(_))
    }

    /// Returns true if deliveries come from another webhook after the step.
    #[must_use]
    pub fn switches(&self) -> bool {
        match &self.kind {
            StepKind::PutRule { webhook: Sent::Created(_), .. } => true,
            StepKind::PutRule { id: Some(_), .. } => self.reason == compare::SENDS_ANOTHER,
            _ => false,
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

/// What should be registered.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The webhooks and rules, those of all products.
    pub targets: &'a [Target],
    /// Where the webhooks are sent.
    pub destination: &'a Destination,
    /// The same place with earlier secrets and keys, which the servers still accept.
    pub earlier: &'a [Destination],
    /// Beginnings of URLs that webhooks of others may have.
    pub known: &'a [String],
    /// The ids of webhooks whose deliveries are refused, so that they are created again.
    pub suspects: &'a BTreeSet<String>,
}

/// Compares what is registered with what should be. `seen` is what the products show: nothing that works is deleted before
/// what replaces it is seen, in whatever product that is.
#[must_use]
pub fn plans(wanted: Wanted<'_>, seen: &[(Api, &Found)]) -> Vec<Plan> {
    let mut plans: Vec<Plan> =
        seen.iter().map(|(api, found)| Plan::of_product(*api, wanted, found)).collect();
    let leftovers: Vec<_> =
        seen.iter().map(|(api, found)| leftovers::find(*api, wanted.targets, found, seen, &plans)).collect();
    for ((plan, (_, found)), leftovers) in plans.iter_mut().zip(seen).zip(leftovers) {
        plan.remove(leftovers);
        // What others do in a product without targets concerns nobody here.
        if !plan.states.is_empty() {
            plan.webhooks_of_others(wanted.destination, wanted.known, found);
        }
        plan.rules_of_others(found);
    }
    plans
}

/// Returns the plan that deletes everything that is this program's, for whatever entity types.
#[must_use]
pub fn removal(api: Api, found: &Found) -> Plan {
    let mut plan = Plan::empty(api);
    plan.remove(leftovers::all(found));
    plan.rules_of_others(found);
    for step in &mut plan.steps {
        step.reason = "everything of TDS is removed";
    }
    plan
}

impl Plan {
    fn empty(api: Api) -> Self {
        Self { api, states: Vec::new(), deviations: Vec::new(), others: Vec::new(), steps: Vec::new() }
    }

    fn of_product(api: Api, wanted: Wanted<'_>, found: &Found) -> Self {
        let mut plan = Self::empty(api);
        let shown = Shown::of(found, wanted.destination);
        for target in wanted.targets.iter().filter(|target| target.api == api) {
            plan.of_target(target, wanted, &shown, found);
        }
        plan
    }

    /// Returns true if there is nothing to do and nothing else is wrong.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.deviations.is_empty() && self.steps.is_empty()
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
