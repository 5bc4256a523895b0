//! Which records may be deleted.

use rust_decimal::Decimal;
use serde_json::Value;

use super::refusal::{self as refused, Refused};
use crate::sim::{
    literal::{Object, decimal, field, text},
    module::Module,
    records::Records,
};

/// The modules of documents, with the key of their party.
const DOCUMENTS: [(Module, &str); 9] = [
    (Module::SALES_ORDERS, "customer_id"),
    (Module::INVOICES, "customer_id"),
    (Module::CREDIT_NOTES, "customer_id"),
    (Module::CUSTOMER_PAYMENTS, "customer_id"),
    (Module::BILLS, "vendor_id"),
    (Module::PURCHASE_ORDERS, "vendor_id"),
    (Module::VENDOR_CREDITS, "vendor_id"),
    (Module::VENDOR_PAYMENTS, "vendor_id"),
    (Module::ADJUSTMENTS, ""),
];

/// Refuses to delete a record that other records use.
pub(super) fn allowed(records: &Records, module: Module, id: &str, record: &Object) -> Result<(), Refused> {
    let settled = ["payment_made", "credits_applied", "vendor_credits_applied", "total_credits_used"];
    let is_settled = || settled.iter().any(|key| decimal(field(record, key)) > Decimal::ZERO);
    match module {
        Module::CONTACTS if has_party(records, id) => {
            Err(refused::in_use("Contacts that are used in transactions cannot be deleted."))
        }
        Module::ITEMS if has_line(records, id) => {
            Err(refused::in_use("Items that are part of transactions cannot be deleted."))
        }
        Module::INVOICES | Module::BILLS | Module::CREDIT_NOTES if is_settled() => {
            let message = "Documents that have payments or credits applied cannot be deleted.";
            Err(refused::in_use(message))
        }
        Module::SALES_ORDERS | Module::PURCHASE_ORDERS if is_followed(record) => {
            Err(refused::in_use("Orders that are invoiced or billed cannot be deleted."))
        }
        _ => Ok(()),
    }
}

fn is_followed(order: &Object) -> bool {
    matches!(text(order, "invoiced_status"), "invoiced" | "partially_invoiced")
        || text(order, "billed_status") == "billed"
}

fn has_party(records: &Records, id: &str) -> bool {
    let named = |(module, key): &(Module, &str)| records.records(*module).any(|one| text(one, key) == id);
    DOCUMENTS.iter().filter(|(_, key)| !key.is_empty()).any(named)
}

fn has_line(records: &Records, id: &str) -> bool {
    let has = |document: &Object| {
        let mut lines = document.get("line_items").and_then(Value::as_array).into_iter().flatten();
        lines.any(|line| line["item_id"] == id)
    };
    DOCUMENTS.iter().any(|(module, _)| records.records(*module).any(has))
}
