//! Records together with all records that they name, for bodies of webhooks.

use serde_json::Value;

use super::{ContactKind, bill, composite_item, contact, credit_note, invoice, item, price_list_unit};

/// Returns a customer.
pub(crate) fn customer(n: u64) -> Value {
    contact(n, ContactKind::Customer)
}

/// Returns a vendor.
pub(crate) fn vendor(n: u64) -> Value {
    contact(n, ContactKind::Vendor)
}

/// Returns an invoice to the customer of the same number.
pub(crate) fn any_invoice(n: u64) -> Value {
    invoice(n, &customer(n), &[item(n)])
}

/// Returns a bill of the vendor of the same number.
pub(crate) fn any_bill(n: u64) -> Value {
    bill(n, &vendor(n), &[item(n)])
}

/// Returns a credit note to the customer of the same number.
pub(crate) fn any_credit_note(n: u64) -> Value {
    credit_note(n, &customer(n), &[item(n)])
}

/// Returns a composite item that is made of two items.
pub(crate) fn any_composite_item(n: u64) -> Value {
    composite_item(n, &[item(n), item(n + 1)])
}

/// Returns a price list with one item.
pub(crate) fn any_price_list(n: u64) -> Value {
    price_list_unit(n, &[item(n)])
}
