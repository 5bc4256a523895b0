//! Webhooks and workflow rules that programs register: `/settings/webhooks` and `/settings/workflows` of both products.
//!
//! No page documents the rows of the lists, and whether a webhook of a rule can be deleted. The simulation shows little in
//! its lists, and refuses what could do harm: a client that works here asks for nothing that Zoho may not show.

mod answers;
mod fire;

use serde_json::Value;

use super::{
    answer::{Answer, wrong_organization},
    automation::{AutomationLimits, Call},
    literal::{Object, object},
    organization::{ORGANIZATION_ID, Organization, SharedOrganization},
};
use crate::entities::Api;

pub use self::fire::Registered;

/// Returns what follows `settings/` in a path of this module.
pub(crate) fn path(path: &str) -> Option<&str> {
    let path = path.strip_prefix("settings/")?;
    let first = path.split('/').next()?;
    let is_history = path.starts_with("webhooks/histories");
    (matches!(first, "webhooks" | "workflows") && !is_history).then_some(path)
}

/// Returns the scope that a call needs, for the calls whose scopes the simulation checks.
pub(crate) fn scope(api: Api, path: &str, method: &str) -> Option<String> {
    let service = match api {
        Api::Books => "ZohoBooks",
        Api::Inventory => "ZohoInventory",
    };
    if path != "organizations" && self::path(path).is_none() {
        return None;
    }
    let operation = match method {
        "POST" => "CREATE",
        "PUT" => "UPDATE",
        "DELETE" => "DELETE",
        _ => "READ",
    };
    Some(format!("{service}.settings.{operation}"))
}

/// Answers a call.
pub(crate) fn answer(organization: &mut Organization, call: &Call<'_>) -> Answer {
    if call.api == Api::Inventory && !organization.automation.limits.inventory {
        return wrong_organization(ORGANIZATION_ID);
    }
    let id = organization.records.new_id();
    answers::answer(&mut organization.automation, call, &id)
}

impl SharedOrganization {
    /// Sets the limits of registered webhooks and rules.
    pub fn set_automation_limits(&self, limits: AutomationLimits) {
        self.lock().automation.limits = limits;
    }

    /// From now on, [`SharedOrganization::registered`] returns who receives a change.
    pub fn follow_rules(&self, is_followed: bool) {
        self.lock().automation.is_followed = is_followed;
    }

    /// Returns the registered webhooks of a product, with all keys that were given, secrets included.
    #[must_use]
    pub fn registered_webhooks(&self, api: Api) -> Vec<Value> {
        self.lock().automation.of(api).webhooks.iter().cloned().map(Value::Object).collect()
    }

    /// Returns the registered rules of a product.
    #[must_use]
    pub fn registered_rules(&self, api: Api) -> Vec<Value> {
        self.lock().automation.of(api).rules.iter().cloned().map(Value::Object).collect()
    }

    /// Changes a registered webhook or rule as a person does in the settings. Returns false if there is no such name.
    pub fn edit_registered(&self, api: Api, name: &str, changes: &Value) -> bool {
        let mut organization = self.lock();
        let registry = organization.automation.of_mut(api);
        let is_named = |one: &&mut Object| {
            ["webhook_name", "workflow_name"].iter().any(|key| one.get(*key).is_some_and(|text| text == name))
        };
        let found = registry.webhooks.iter_mut().chain(&mut registry.rules).find(is_named);
        let Some((found, changes)) = found.zip(changes.as_object()) else { return false };
        found.extend(changes.clone());
        true
    }

    /// Enters a webhook or a rule as a person does in the settings; a rule has `workflow_name`. Returns its id.
    pub fn enter_registered(&self, api: Api, given: Value) -> String {
        let mut organization = self.lock();
        let id = organization.records.new_id();
        let mut given = object(given);
        let registry = organization.automation.of_mut(api);
        if given.contains_key("workflow_name") {
            given.insert("workflow_id".to_owned(), Value::String(id.clone()));
            given.entry("status").or_insert_with(|| Value::String("active".to_owned()));
            registry.rules.push(given);
        } else {
            given.insert("webhook_id".to_owned(), Value::String(id.clone()));
            registry.webhooks.push(given);
        }
        id
    }
}
