//! Takes the steps of a plan.

use secrecy::ExposeSecret;
use serde_json::Value;
use tds_core::{
    error::{Error, Result},
    queue::Lane,
    record::Payload,
};

use super::{
    facts::{self, RULES, Resource, WEBHOOKS},
    pace::Pace,
    plan::{Sent, Step, StepKind},
    read::{id, single},
    target::Destination,
};
use crate::{
    answer::{Api, Call, Method, Write},
    client::{NotDone, Unwritten, Why, ZohoClient},
    mask::masked,
};

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// Zoho did it.
    Done,
    /// Zoho refused it, in these words. Steps of other groups may still work.
    Refused(String),
    /// It was not tried, because an earlier step of its group failed.
    Skipped,
}

impl ZohoClient {
    /// Takes one step of a plan for a product. The steps of one plan share a [`Pace`].
    ///
    /// # Errors
    /// Those of limits and of a missing token, and an answer that does not say whether the step took effect. The steps
    /// that follow must not be taken then: another plan shows what Zoho did.
    pub async fn register(
        &self,
        api: Api,
        step: &Step,
        destination: Option<&Destination>,
        pace: &mut Pace,
    ) -> Result<StepOutcome> {
        let group = (api, step.group.clone());
        if step.waits || pace.failed.contains(&group) {
            return Ok(StepOutcome::Skipped);
        }
        let Some((call, resource)) = call(api, step, destination, pace) else {
            pace.failed.insert(group);
            return Ok(StepOutcome::Skipped);
        };
        pace.wait().await;
        let is_creation = call.write.as_ref().is_some_and(|write| write.method == Method::Post);
        let answer = self.ask_apart(&call).await.map_err(|unwritten| {
            if is_creation && matches!(unwritten, Unwritten::InDoubt(_)) {
                pace.in_doubt = true;
            }
            unwritten.into_error()
        })?;
        match answer {
            Ok(answer) => {
                if let StepKind::CreateWebhook { .. } = step.kind {
                    let webhook = single(resource, answer.body);
                    let id = id(&webhook, resource).ok_or_else(|| {
                        Error::unavailable(format!(
                            "Zoho's answer does not show the id of the webhook {:?}",
                            step.name
                        ))
                    })?;
                    pace.created.insert(step.name.clone(), id);
                }
                Ok(StepOutcome::Done)
            }
            // What is gone has not to be deleted.
            Err(NotDone { why: Why::Gone, .. })
                if matches!(step.kind, StepKind::RemoveRule(_) | StepKind::RemoveWebhook(_)) =>
            {
                Ok(StepOutcome::Done)
            }
            Err(NotDone { reason, .. }) => {
                pace.failed.insert(group);
                let hint = if reason.contains(facts::NAME_IS_USED) {
                    " (a webhook that Zoho does not list has this name)"
                } else {
                    ""
                };
                // Zoho's words may repeat a value of the call.
                let secrets = destination.map(Destination::secrets).unwrap_or_default();
                let reason = masked(&reason, &secrets);
                Ok(StepOutcome::Refused(format!("{reason}{hint}")))
            }
        }
    }
}

/// Returns the call of a step. `None`: the step builds on a webhook that was not created.
fn call(
    api: Api,
    step: &Step,
    destination: Option<&Destination>,
    pace: &Pace,
) -> Option<(Call, &'static Resource)> {
    let (resource, method, path, body) = match &step.kind {
        StepKind::CreateWebhook { module, url } => {
            let Destination { secret, key, .. } = destination?;
            let key = key.as_ref().map(ExposeSecret::expose_secret);
            let body = facts::webhook_body(&step.name, module, url, secret.expose_secret(), key);
            (&WEBHOOKS, Method::Post, String::new(), Some(body))
        }
        StepKind::PutRule { id, module, trigger, webhook } => {
            let webhook = match webhook {
                Sent::Known(id) => id,
                Sent::Created(name) => pace.created.get(name)?,
            };
            let body = facts::rule_body(&step.name, module, *trigger, webhook);
            match id {
                None => (&RULES, Method::Post, String::new(), Some(body)),
                Some(id) => (&RULES, Method::Put, format!("/{id}"), Some(body)),
            }
        }
        StepKind::ActivateRule(id) => (&RULES, Method::Post, format!("/{id}/active"), None),
        StepKind::RemoveRule(id) => (&RULES, Method::Delete, format!("/{id}"), None),
        StepKind::RemoveWebhook(id) => (&WEBHOOKS, Method::Delete, format!("/{id}"), None),
    };
    let body = body.map(|body: Value| Payload::new(body.to_string()));
    let call = Call {
        api,
        scope: match api {
            Api::Books => "ZohoBooks.settings",
            Api::Inventory => "ZohoInventory.settings",
        },
        path: format!("{}{path}", resource.path),
        query: Vec::new(),
        lane: Lane::Operator,
        entity: None,
        write: Some(Write { method, headers: Vec::new(), body }),
    };
    Some((call, resource))
}
