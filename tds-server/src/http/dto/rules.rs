//! What is registered in Zoho, as `webhooks … --json` prints it.

use tds_zoho::rules::{Deviation, Other, State, Step};

use super::each;
use crate::app::rules::{Look, RefusedOf};

wire! {
    /// What is registered in Zoho, and what is wrong with it
    RegisteredWebhooks from found: (Look, Vec<(String, RefusedOf)>, bool) {
        ok: bool = found.2,
        url: String = found.0.base.clone(),
        webhooks: Vec<RegisteredWebhook> =
            found.0.plans.iter().flat_map(|plan| &plan.states).cloned().map(Into::into).collect(),
        findings: Vec<RegisteredFinding> = found.0.deviations().cloned().map(Into::into).collect(),
        foreign: Vec<ForeignWebhook> =
            found.0.plans.iter().flat_map(|plan| &plan.others).cloned().map(Into::into).collect(),
        steps: Vec<RegistrationStep> =
            found.0.plans.iter().flat_map(|plan| &plan.steps).cloned().map(Into::into).collect(),
        refused: Vec<RefusedDeliveries> = each(found.1),
        unreadable: Vec<String> = found.0.unreadable.iter().map(|hidden| hidden.reason.clone()).collect(),
    }

    /// One webhook with its rule
    RegisteredWebhook from state: State {
        name: String = state.webhook_name.clone(),
        rule: String = state.target.rule_name(),
        module: String = state.target.module.clone(),
        trigger: &'static str = state.target.trigger.as_str(),
        url: String = state.url.clone(),
        webhook_id: Option<String> = state.webhook_id.clone(),
        rule_id: Option<String> = state.rule_id.clone(),
    }

    /// Something that is not as it should be
    RegisteredFinding from deviation: Deviation {
        kind: &'static str = deviation.kind.as_str(),
        name: String,
        detail: String = deviation.text,
    }

    /// A webhook that somebody else registered
    ForeignWebhook from other: Other {
        name: String,
        url: Option<String> = other.url,
    }

    /// A call that would be made
    RegistrationStep from step: Step {
        action: &'static str = step.action(),
        name: String = step.name.clone(),
        reason: &'static str = step.reason,
    }

    /// The deliveries of one path that were refused lately
    RefusedDeliveries from refused: (String, RefusedOf) {
        path: String = refused.0,
        unsigned: u64 = refused.1.unsigned,
        mismatched: u64 = refused.1.mismatched,
        keyless: u64 = refused.1.keyless,
    }
}
