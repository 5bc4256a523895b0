//! Sales orders, purchase orders and vendor credits whose totals add up.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Template,
    document::{Line, counted, document, rows, wholesale, without_discount},
    id, kinds,
    literal::{Object, decimal, money, number},
    text,
};

static SALES_ORDER: Template = Template::new(include_str!("sales_order.json"));
static PURCHASE_ORDER: Template = Template::new(include_str!("purchase_order.json"));
static VENDOR_CREDIT: Template = Template::new(include_str!("vendor_credit.json"));

/// Returns an open sales order with one, two, three… pieces of the items.
#[must_use]
pub fn sales_order(n: u64, customer: &Value, items: &[Value]) -> Value {
    sales_order_of(n, customer, &counted(items))
}

/// Returns an open sales order with these lines, of which nothing is shipped or invoiced.
#[must_use]
pub fn sales_order_of(n: u64, customer: &Value, lines: &[Line]) -> Value {
    let mut order = document(kinds::SALES_ORDER, n, customer, lines, &SALES_ORDER);
    for line in rows(&mut order) {
        line.remove("discount_amount");
        for key in ["quantity_invoiced", "quantity_packed", "quantity_shipped", "quantity_cancelled"] {
            line.insert(key.to_owned(), number("0.00"));
        }
    }
    let mut order = Value::Object(order);
    order["salesorder_id"] = json!(id(kinds::SALES_ORDER, n));
    order["salesorder_number"] = json!(format!("SO-{n:06}"));
    order["customer_id"] = text(customer, "contact_id");
    order["customer_name"] = text(customer, "contact_name");
    order["shipment_date"] = order["date"].clone();
    order["currency_symbol"] = symbol(customer);
    order["bcy_total"] = money(decimal(&order["total"]) * decimal(&order["exchange_rate"]));
    for key in ["billing_address", "shipping_address"] {
        order[key] = address(&customer[key]);
    }
    order
}

/// Returns an open purchase order with ten pieces of the first item, twenty of the second, and so on.
#[must_use]
pub fn purchase_order(n: u64, vendor: &Value, items: &[Value]) -> Value {
    purchase_order_of(n, vendor, &wholesale(items))
}

/// Returns an open purchase order with these lines, of which nothing is received or billed. Discounts are omitted,
/// because lines of purchase orders have none.
#[must_use]
pub fn purchase_order_of(n: u64, vendor: &Value, lines: &[Line]) -> Value {
    let mut order = document(kinds::PURCHASE_ORDER, n, vendor, &without_discount(lines), &PURCHASE_ORDER);
    order.remove("balance");
    for line in rows(&mut order) {
        bought(line);
        for key in ["quantity_received", "quantity_billed"] {
            line.insert(key.to_owned(), number("0.00"));
        }
    }
    let mut order = Value::Object(order);
    order["purchaseorder_id"] = json!(id(kinds::PURCHASE_ORDER, n));
    order["purchaseorder_number"] = json!(format!("PO-{n:05}"));
    order["vendor_id"] = text(vendor, "contact_id");
    order["vendor_name"] = text(vendor, "contact_name");
    order["delivery_date"] = order["date"].clone();
    order["currency_symbol"] = symbol(vendor);
    order
}

/// Returns an open vendor credit with one, two, three… pieces of the items.
#[must_use]
pub fn vendor_credit(n: u64, vendor: &Value, items: &[Value]) -> Value {
    vendor_credit_of(n, vendor, &counted(items))
}

/// Returns an open vendor credit with these lines. Discounts are omitted, because lines of vendor credits have none.
#[must_use]
pub fn vendor_credit_of(n: u64, vendor: &Value, lines: &[Line]) -> Value {
    let mut credit = document(kinds::VENDOR_CREDIT, n, vendor, &without_discount(lines), &VENDOR_CREDIT);
    rows(&mut credit).for_each(bought);
    let mut credit = Value::Object(credit);
    credit["vendor_credit_id"] = json!(id(kinds::VENDOR_CREDIT, n));
    credit["vendor_credit_number"] = json!(format!("VC-{n}"));
    credit["vendor_id"] = text(vendor, "contact_id");
    credit["vendor_name"] = text(vendor, "contact_name");
    credit
}

/// Marks a quantity of every line of a document as handled, under these keys.
pub(crate) fn handle_all(document: &mut Value, keys: &[&str]) {
    for line in document["line_items"].as_array_mut().into_iter().flatten() {
        for key in keys {
            line[*key] = line["quantity"].clone();
        }
    }
}

/// Applies a vendor credit to a bill of the same vendor, as far as the bill is open.
pub(crate) fn apply_credit(credit: &mut Value, bill: &mut Value) -> Decimal {
    let amount = decimal(&credit["balance"]).min(decimal(&bill["balance"]));
    let left = decimal(&credit["balance"]) - amount;
    let open = decimal(&bill["balance"]) - amount;
    credit["balance"] = money(left);
    credit["status"] = json!(if left.is_zero() { "closed" } else { "open" });
    credit["total_credits_used"] = money(decimal(&credit["total_credits_used"]) + amount);
    credit["bills_credited"] = json!([{
        "bill_id": text(bill, "bill_id"),
        "vendor_credit_bill_id": format!("{}9", text(credit, "vendor_credit_id").as_str().unwrap_or_default()),
        "date": text(credit, "date"),
        "bill_number": text(bill, "bill_number"),
        "amount": money(amount),
    }]);
    bill["vendor_credits_applied"] = money(decimal(&bill["vendor_credits_applied"]) + amount);
    bill["balance"] = money(open);
    bill["status"] = json!(if open.is_zero() { "paid" } else { "partially_paid" });
    amount
}

/// Makes a line one of a document of a vendor.
fn bought(line: &mut Object) {
    line.retain(|key, _| !key.starts_with("discount"));
    line.insert("account_id".to_owned(), json!("4600000000000000403"));
}

pub(super) fn symbol(party: &Value) -> Value {
    json!(if text(party, "currency_code") == "IQD" { "IQD" } else { "$" })
}

fn address(from: &Value) -> Value {
    json!({
        "address": text(from, "address"), "street2": text(from, "street2"), "city": text(from, "city"),
        "state": text(from, "state"), "zip": text(from, "zip"), "country": text(from, "country"),
        "fax": text(from, "fax"), "attention": text(from, "attention"),
    })
}
