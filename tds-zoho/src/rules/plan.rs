//! Compares what is registered with what should be, and decides what to do. Pure functions.

mod altered;
mod compare;
mod others;

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
    let mut plan = Plan::empty(api);
    let shown = Shown::of(found, destination);
    for target in targets.iter().filter(|target| target.api == api) {
        plan.of_target(target, destination, &shown, found);
    }
    plan.leftovers(found, |ours| {
        targets.iter().any(|target| target.module == ours.module && target.trigger.as_str() == ours.trigger)
    });
    // What others do in a product without targets concerns nobody here.
    if !plan.states.is_empty() {
        plan.webhooks_of_others(destination, known, found);
    }
    plan.rules_of_others(found);
    plan
}

/// Returns the plan that deletes everything that is this program's, for whatever entity types.
#[must_use]
pub fn removal(api: Api, found: &Found) -> Plan {
    let mut plan = Plan::empty(api);
    plan.leftovers(found, |_| false);
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
