//! Status actions.

use serde_json::json;

use super::refusal::{self as refused, Refused};
use crate::sim::{
    answer::unknown_path,
    literal::{Object, decimal, field, text},
    module::Module,
};

/// An action: the module, the path after the record's own, the statuses from which it leads, and the status to which.
type Action = (Module, &'static str, &'static [&'static str], &'static str);

const ACTIONS: [Action; 19] = [
    (Module::SALES_ORDERS, "status/open", &["draft", "void"], "open"),
    (Module::SALES_ORDERS, "status/void", &["draft", "open", "overdue"], "void"),
    (Module::INVOICES, "status/sent", &["draft"], "sent"),
    (Module::INVOICES, "status/void", &["draft", "sent", "viewed", "overdue", "unpaid"], "void"),
    (Module::INVOICES, "status/draft", &["void"], "draft"),
    (Module::CREDIT_NOTES, "status/open", &["draft"], "open"),
    (Module::CREDIT_NOTES, "status/void", &["draft", "open"], "void"),
    (Module::CREDIT_NOTES, "status/draft", &["void"], "draft"),
    (Module::BILLS, "status/open", &["draft", "void"], "open"),
    (Module::BILLS, "status/void", &["open", "overdue"], "void"),
    (Module::PURCHASE_ORDERS, "status/open", &["draft", "cancelled"], "open"),
    (Module::PURCHASE_ORDERS, "status/billed", &["open"], "billed"),
    (Module::PURCHASE_ORDERS, "status/cancelled", &["draft", "open"], "cancelled"),
    (Module::ITEMS, "active", &["inactive"], "active"),
    (Module::ITEMS, "inactive", &["active"], "inactive"),
    (Module::CONTACTS, "active", &["inactive"], "active"),
    (Module::CONTACTS, "inactive", &["active"], "inactive"),
    (Module::PRICE_LISTS, "active", &["inactive"], "active"),
    (Module::PRICE_LISTS, "inactive", &["active"], "inactive"),
];

/// Inventory's other names of actions of credit notes.
const OF_INVENTORY: [(&str, &str); 3] =
    [("converttoopen", "status/open"), ("void", "status/void"), ("draft", "status/draft")];

/// Returns the record after the action.
pub(super) fn done(module: Module, record: &Object, action: &str) -> Result<Object, Refused> {
    let other = OF_INVENTORY.iter().find(|(name, _)| module == Module::CREDIT_NOTES && *name == action);
    let action = other.map_or(action, |(_, name)| name);
    let known = ACTIONS.iter().find(|(owner, path, ..)| *owner == module && *path == action);
    let (.., from, to) = known.ok_or_else(|| Box::new(unknown_path()))?;
    let status = text(record, "status");
    // An action that changes nothing succeeds.
    let is_paid = *to == "void" && !decimal(field(record, "payment_made")).is_zero();
    if is_paid || !(status == *to || from.contains(&status)) {
        return Err(refused::status(&module.noun.to_lowercase(), field(record, "status")));
    }
    let mut after = record.clone();
    for key in ["status", "current_sub_status", "order_status"] {
        if after.contains_key(key) {
            after.insert(key.to_owned(), json!(to));
        }
    }
    Ok(after)
}
