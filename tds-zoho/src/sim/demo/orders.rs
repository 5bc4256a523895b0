//! The shop's sales orders and purchase orders, and the documents that follow from them.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{dates::date, items::overwrite};
use crate::sim::{
    Module, SharedOrganization,
    literal::{decimal, money},
    sample::{self, Line, kinds},
};

/// Enters an open sales order.
pub(crate) fn sell(
    zoho: &SharedOrganization,
    n: u64,
    customer: &Value,
    lines: &[Line],
    at: OffsetDateTime,
) -> String {
    let mut order = sample::sales_order_of(n, customer, lines);
    date(&mut order, at);
    zoho.put(Module::SALES_ORDERS, order)
}

/// Enters an open purchase order.
pub(crate) fn buy(
    zoho: &SharedOrganization,
    n: u64,
    vendor: &Value,
    lines: &[Line],
    at: OffsetDateTime,
) -> String {
    let mut order = sample::purchase_order_of(n, vendor, lines);
    date(&mut order, at);
    overwrite(&mut order, json!({"billed_status": "pending", "received_status": "pending"}));
    zoho.put(Module::PURCHASE_ORDERS, order)
}

/// Marks a sales order as delivered and invoiced by this invoice, which refers to the order from now on.
pub(crate) fn invoiced(zoho: &SharedOrganization, id: &str, invoice: &mut Value) {
    let Some(order) = zoho.get(Module::SALES_ORDERS, id) else { return };
    let mut order = Value::Object(order);
    invoice["reference_number"] = order["salesorder_number"].clone();
    if matches!(invoice["status"].as_str(), Some("draft" | "void")) {
        return;
    }
    let handled = ["quantity_invoiced", "quantity_packed", "quantity_shipped"];
    sample::handle_all(&mut order, &handled);
    let changes = json!({
        "status": "invoiced",
        "order_status": "closed",
        "invoiced_status": "invoiced",
        "shipped_status": "fulfilled",
    });
    overwrite(&mut order, changes);
    show(&mut order, invoice);
    zoho.update_silently(Module::SALES_ORDERS, id, order);
}

/// Lets the sales order of an invoice follow the invoice.
pub(crate) fn follow(zoho: &SharedOrganization, invoice: &Value) {
    let number = invoice["reference_number"].as_str().and_then(|number| number.strip_prefix("SO-"));
    let Some(n) = number.and_then(|number| number.parse().ok()) else { return };
    let id = sample::id(kinds::SALES_ORDER, n);
    if let Some(order) = zoho.get(Module::SALES_ORDERS, &id) {
        let mut order = Value::Object(order);
        show(&mut order, invoice);
        zoho.update_silently(Module::SALES_ORDERS, &id, order);
    }
}

/// Shows an invoice in its sales order.
fn show(order: &mut Value, invoice: &Value) {
    let keys = ["invoice_id", "invoice_number", "status", "date", "due_date", "total", "balance"];
    let shown: Value = keys.iter().map(|key| ((*key).to_owned(), invoice[*key].clone())).collect();
    let open = decimal(&invoice["balance"]);
    let paid_status = if open.is_zero() {
        "paid"
    } else if open < decimal(&invoice["total"]) {
        "partially_paid"
    } else {
        "unpaid"
    };
    let changes = json!({"invoices": [shown], "paid_status": paid_status, "balance": money(open)});
    overwrite(order, changes);
}

/// Marks a purchase order as received and billed by this bill, which refers to the order from now on.
pub(crate) fn billed(zoho: &SharedOrganization, id: &str, bill: &mut Value) {
    let Some(order) = zoho.get(Module::PURCHASE_ORDERS, id) else { return };
    let mut order = Value::Object(order);
    bill["reference_number"] = order["purchaseorder_number"].clone();
    bill["purchaseorder_ids"] = json!([id]);
    sample::handle_all(&mut order, &["quantity_received", "quantity_billed"]);
    let keys = ["bill_id", "bill_number", "status", "date", "due_date", "total", "balance"];
    let shown: Value = keys.iter().map(|key| ((*key).to_owned(), bill[*key].clone())).collect();
    let changes = json!({
        "status": "billed", "billed_status": "billed", "received_status": "received", "bills": [shown],
    });
    overwrite(&mut order, changes);
    zoho.update_silently(Module::PURCHASE_ORDERS, id, order);
}

/// Returns the lines at what the shop itself pays for the goods, ten times as many.
pub(crate) fn at_cost(mut lines: Vec<Line>) -> Vec<Line> {
    for line in &mut lines {
        line.quantity *= Decimal::TEN;
        line.rate = (line.rate * Decimal::new(7, 1)).round_dp(2);
    }
    lines
}
