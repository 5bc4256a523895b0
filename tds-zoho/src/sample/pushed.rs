//! Records together with all records that they name, for bodies of webhooks.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    ContactKind, Paid, bill, composite_item, contact, credit_note, customer_payment, invoice, item,
    literal::{decimal, money},
    price_list_unit, purchase_order, sales_order, vendor_credit, vendor_payment,
};

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

/// Returns a sales order of the customer of the same number.
pub(crate) fn any_sales_order(n: u64) -> Value {
    sales_order(n, &customer(n), &[item(n)])
}

/// Returns a purchase order to the vendor of the same number.
pub(crate) fn any_purchase_order(n: u64) -> Value {
    purchase_order(n, &vendor(n), &[item(n)])
}

/// Returns a vendor credit of the vendor of the same number.
pub(crate) fn any_vendor_credit(n: u64) -> Value {
    vendor_credit(n, &vendor(n), &[item(n)])
}

/// Returns a payment of the whole invoice of the same number.
pub(crate) fn any_customer_payment(n: u64) -> Value {
    customer_payment(n, &customer(n), &[in_full(any_invoice(n))], Decimal::ZERO)
}

/// Returns a payment of the whole bill of the same number.
pub(crate) fn any_vendor_payment(n: u64) -> Value {
    vendor_payment(n, &vendor(n), &[in_full(any_bill(n))], Decimal::ZERO)
}

/// Returns the document as it is after a payment of all that was open, and this amount.
fn in_full(mut document: Value) -> Paid {
    let amount = decimal(&document["balance"]);
    document["status"] = json!("paid");
    document["balance"] = money(Decimal::ZERO);
    document["payment_made"] = money(amount);
    (document, amount)
}

/// Returns a price list with one item.
pub(crate) fn any_price_list(n: u64) -> Value {
    price_list_unit(n, &[item(n)])
}
