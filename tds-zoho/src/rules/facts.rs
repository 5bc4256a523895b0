//! What is known of Zoho's API for webhooks and rules, and what is only assumed (`zoho-api.md` section 6.5). Everything
//! uncertain about this API is in this file, and the names of modules can be configured.

use std::{fmt, str::FromStr};

use serde_json::{Value, json};

use super::trigger::Trigger;
use crate::answer::Api;

/// The path of registered webhooks.
pub(super) const WEBHOOKS: Resource = Resource {
    path: "/settings/webhooks",
    list: "webhooks",
    single: "webhook",
    id: &["webhook_id", "id"],
    name: &["webhook_name", "name"],
};
/// The path of registered rules.
pub(super) const RULES: Resource = Resource {
    path: "/settings/workflows",
    list: "workflows",
    single: "workflow",
    id: &["workflow_id", "workflow_rule_id", "id"],
    name: &["workflow_name", "name"],
};
/// The keys under which a rule may show its actions.
pub(super) const ACTIONS: [&str; 2] = ["instant_actions", "actions"];
/// The header with the key, if the server demands one.
pub(super) const KEY_HEADER: &str = "X-Webhook-Key";
/// What stands for the whole record in the body of a webhook.
pub(super) const WHOLE_RECORD: &str = "JSONString";
/// Zoho refuses a second webhook with the same name with this code.
pub(super) const NAME_IS_USED: &str = "code 107051";

/// One kind of what is registered.
pub(super) struct Resource {
    pub(super) path: &'static str,
    /// The key of the list.
    pub(super) list: &'static str,
    /// The key of a single one.
    pub(super) single: &'static str,
    pub(super) id: &'static [&'static str],
    pub(super) name: &'static [&'static str],
}

/// Returns the body that creates a webhook. Its form is that of the documented example.
pub(super) fn webhook_body(name: &str, module: &str, url: &str, secret: &str, key: Option<&str>) -> Value {
    let headers: Vec<Value> =
        key.into_iter().map(|key| json!({"param_name": KEY_HEADER, "param_value": key})).collect();
    json!({
        "webhook_name": name,
        "entity": module,
        "method": "POST",
        "url": url,
        "secret": secret,
        "body_type": "application/json",
        "raw_data": format!("${{{WHOLE_RECORD}}}"),
        "headers": headers,
        "query_parameters": [],
    })
}

/// Returns the body that creates or replaces a rule.
pub(super) fn rule_body(name: &str, module: &str, trigger: Trigger, webhook_id: &str) -> Value {
    json!({
        "workflow_name": name,
        "entity": module,
        "rule_type": rule_type(trigger),
        "rule": {},
        "apply_rule_always": true,
        "instant_actions": [{"action_type": "webhook", "action_id": webhook_id}],
    })
}

/// Returns the type of rule that fires at the trigger.
pub(super) fn rule_type(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Updated => "add_edit",
        Trigger::Deleted => "delete",
    }
}

/// Returns false for a type of rule that certainly is not that of the trigger. A name that nobody has seen yet may be.
pub(super) fn may_be_of(trigger: Trigger, rule_type: &str) -> bool {
    let seen = ["add", "edit", "add_edit", "delete"];
    rule_type == self::rule_type(trigger) || !seen.contains(&rule_type)
}

/// The modules of Zoho whose rules send to each path of webhooks, in the order of the paths. Rules of Books watch all but
/// composite items, which only Inventory has. No rule can watch price lists. `item`, `invoice`, `bill`, `contact` and
/// `salesorder` are known; the others follow the same pattern.
const MODULES: [(&str, Api, &str); 12] = [
    ("products", Api::Books, "item"),
    ("customers", Api::Books, "contact"),
    ("invoices", Api::Books, "invoice"),
    ("bills", Api::Books, "bill"),
    ("credit-notes", Api::Books, "creditnote"),
    ("stock", Api::Books, "inventoryadjustment"),
    ("sales-orders", Api::Books, "salesorder"),
    ("customer-payments", Api::Books, "customerpayment"),
    ("purchase-orders", Api::Books, "purchaseorder"),
    ("vendor-payments", Api::Books, "vendorpayment"),
    ("vendor-credits", Api::Books, "vendorcredit"),
    ("composite-items", Api::Inventory, "compositeitem"),
];
/// The paths for which Zoho has no rules.
const WITHOUT_RULES: [&str; 1] = ["prices"];

/// Returns true if only Zoho Inventory has the records whose webhooks arrive at a path.
pub(super) fn is_only_in_inventory(path: &str) -> bool {
    MODULES.iter().any(|(known, api, _)| *known == path && *api == Api::Inventory)
}

/// Returns the path to which the rules of a module send unless it is configured otherwise.
pub(super) fn path_of_module(module: &str) -> Option<String> {
    let known = MODULES.iter().find(|(_, _, known)| *known == module);
    known.map(|(path, ..)| (*path).to_owned())
}

/// The modules whose rules send to each path of webhooks, where they differ from what is assumed. It is read from a text
/// such as `credit-notes=credit_note,customers=customer+vendor,stock=inventory:inventory_adjustment`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleModules(Vec<(String, Vec<(Api, String)>)>);

/// A text that names no modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidModules(String);

impl fmt::Display for InvalidModules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} is not PATH=MODULE with another PATH than before, such as credit-notes=credit_note",
            self.0
        )
    }
}

impl std::error::Error for InvalidModules {}

impl FromStr for RuleModules {
    type Err = InvalidModules;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut all: Vec<(String, _)> = Vec::new();
        for part in parts {
            let of = of_path(part).filter(|(path, _)| all.iter().all(|(known, _)| known != path));
            all.push(of.ok_or_else(|| InvalidModules(part.to_owned()))?);
        }
        Ok(Self(all))
    }
}

fn of_path(text: &str) -> Option<(String, Vec<(Api, String)>)> {
    let (path, modules) = text.split_once('=')?;
    let is_name = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        !text.is_empty() && text.len() <= 24 && text.bytes().all(plain)
    };
    let module = |text: &str| {
        let (api, name) = match text.split_once(':') {
            None => (Api::Books, text),
            Some(("books", name)) => (Api::Books, name),
            Some(("inventory", name)) => (Api::Inventory, name),
            Some(_) => return None,
        };
        is_name(name).then(|| (api, name.to_owned()))
    };
    let modules = match modules.trim() {
        "none" => Vec::new(),
        modules => modules.split('+').map(|text| module(text.trim())).collect::<Option<_>>()?,
    };
    let path = path.trim().replace('_', "-");
    is_name(&path).then_some((path, modules))
}

impl RuleModules {
    /// Returns the paths that are named.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| path.as_str())
    }

    /// Returns the modules whose rules send to a path. A path of an entity type that is not known here has the module
    /// `assumed`, in Books.
    pub(super) fn of(&self, path: &str, assumed: &str) -> Vec<(Api, String)> {
        if let Some((_, modules)) = self.0.iter().find(|(known, _)| known == path) {
            return modules.clone();
        }
        if WITHOUT_RULES.contains(&path) {
            return Vec::new();
        }
        let known = MODULES.iter().find(|(known, ..)| *known == path);
        vec![known.map_or_else(
            || (Api::Books, assumed.to_owned()),
            |(_, api, module)| (*api, (*module).to_owned()),
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_modules_take_precedence_and_none_leaves_a_path_out() {
        let text =
            "credit_notes=credit_note, customers=customer+vendor,stock=inventory:adjustment,bills=none";
        let modules: RuleModules = text.parse().expect("modules");
        let of = |path: &str| modules.of(path, "assumed");
        assert_eq!(of("credit-notes"), [(Api::Books, "credit_note".to_owned())]);
        assert_eq!(of("customers").len(), 2);
        assert_eq!(of("stock"), [(Api::Inventory, "adjustment".to_owned())]);
        assert_eq!((of("bills").len(), of("prices").len()), (0, 0));
        assert_eq!(of("products"), [(Api::Books, "item".to_owned())]);
        assert_eq!(of("estimates"), [(Api::Books, "assumed".to_owned())]);
    }

    #[test]
    fn a_text_that_names_no_module_is_refused() {
        for text in ["credit-notes", "credit-notes=", "a=b c", "a=crm:b", "=b", "a=B", "a-b=c,a_b=d"] {
            let fault = text.parse::<RuleModules>().expect_err(text);
            assert!(fault.to_string().contains("PATH=MODULE"), "{fault}");
        }
    }
}
