//! Invoices, bills and credit notes whose totals add up.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    PLACES, Template, currency_id, day, id, kinds,
    literal::{Object, decimal, money, number},
    text,
};

static INVOICE: Template = Template::new(include_str!("invoice.json"));
static BILL: Template = Template::new(include_str!("bill.json"));
static CREDIT_NOTE: Template = Template::new(include_str!("credit_note.json"));
static LINE: Template = Template::new(include_str!("line.json"));

/// A line of a document.
#[derive(Clone, Debug)]
pub struct Line {
    /// The item's id.
    pub item_id: String,
    /// The item's name at the time of sale.
    pub name: String,
    /// The number of pieces.
    pub quantity: Decimal,
    /// The price of one piece, in the document's currency.
    pub rate: Decimal,
    /// The discount on the whole line.
    pub discount: Decimal,
}

impl Line {
    /// Returns a line with some pieces of an item at its own price.
    #[must_use]
    pub fn of(item: &Value, quantity: Decimal) -> Self {
        let owned = |key| text(item, key).as_str().unwrap_or_default().to_owned();
        let rate = decimal(&text(item, "rate"));
        Self { item_id: owned("item_id"), name: owned("name"), quantity, rate, discount: Decimal::ZERO }
    }

    fn total(&self) -> Decimal {
        (self.quantity * self.rate - self.discount).round_dp(2)
    }

    fn render(&self, line_id: String, position: u64, exchange_rate: Decimal) -> Value {
        let changes = json!({
            "line_item_id": line_id,
            "item_id": self.item_id,
            "name": self.name,
            "item_order": position,
            "rate": money(self.rate),
            "bcy_rate": money(self.rate * exchange_rate),
            "quantity": money(self.quantity),
            "discount": money(self.discount),
            "discount_amount": money(self.discount),
            "item_total": money(self.total()),
            "location_id": PLACES[0].0,
        });
        Value::Object(LINE.with(changes))
    }
}

/// Returns an invoice with one, two, three… pieces of the items, sent and unpaid.
#[must_use]
pub fn invoice(n: u64, customer: &Value, items: &[Value]) -> Value {
    invoice_of(n, customer, &counted(items))
}

/// Returns an invoice with these lines, sent and unpaid.
#[must_use]
pub fn invoice_of(n: u64, customer: &Value, lines: &[Line]) -> Value {
    let mut invoice = document(kinds::INVOICE, n, customer, lines, &INVOICE);
    let date = day(n);
    let code = text(customer, "currency_code");
    let address = |key: &str| {
        let from = &customer[key];
        json!({
            "address": text(from, "address"), "street2": text(from, "street2"), "city": text(from, "city"),
            "state": text(from, "state"), "zipcode": text(from, "zip"), "country": text(from, "country"),
            "phone": text(from, "phone"), "fax": text(from, "fax"), "attention": text(from, "attention"),
        })
    };
    invoice.extend(Object::from_iter([
        ("invoice_id".to_owned(), json!(id(kinds::INVOICE, n))),
        ("invoice_number".to_owned(), json!(format!("INV-{n:06}"))),
        ("customer_id".to_owned(), text(customer, "contact_id")),
        ("customer_name".to_owned(), text(customer, "contact_name")),
        ("company_name".to_owned(), text(customer, "company_name")),
        ("email".to_owned(), text(customer, "email")),
        ("due_date".to_owned(), json!(date)),
        ("currency_symbol".to_owned(), json!(if code == "IQD" { "IQD" } else { "$" })),
        ("billing_address".to_owned(), address("billing_address")),
        ("shipping_address".to_owned(), address("shipping_address")),
    ]));
    Value::Object(invoice)
}

/// Returns an open bill with ten pieces of the first item, twenty of the second, and so on.
#[must_use]
pub fn bill(n: u64, vendor: &Value, items: &[Value]) -> Value {
    bill_of(n, vendor, &wholesale(items))
}

/// Returns an open bill with these lines. Discounts are omitted, because lines of bills have none.
#[must_use]
pub fn bill_of(n: u64, vendor: &Value, lines: &[Line]) -> Value {
    let mut bill = document(kinds::BILL, n, vendor, &without_discount(lines), &BILL);
    for line in rows(&mut bill) {
        line.retain(|key, _| !key.starts_with("discount"));
        line.insert("account_id".to_owned(), json!("4600000000000000403"));
    }
    bill.extend(Object::from_iter([
        ("bill_id".to_owned(), json!(id(kinds::BILL, n))),
        ("bill_number".to_owned(), json!(format!("B-{n}"))),
        ("vendor_id".to_owned(), text(vendor, "contact_id")),
        ("vendor_name".to_owned(), text(vendor, "contact_name")),
        ("due_date".to_owned(), json!(day(n))),
    ]));
    Value::Object(bill)
}

/// Returns an open credit note with one, two, three… pieces of the items.
#[must_use]
pub fn credit_note(n: u64, customer: &Value, items: &[Value]) -> Value {
    credit_note_of(n, customer, &counted(items))
}

/// Returns an open credit note with these lines.
#[must_use]
pub fn credit_note_of(n: u64, customer: &Value, lines: &[Line]) -> Value {
    let mut note = document(kinds::CREDIT_NOTE, n, customer, lines, &CREDIT_NOTE);
    for line in rows(&mut note) {
        line.retain(|key, _| !NOT_OF_CREDIT_NOTES.contains(&key.as_str()));
    }
    note.extend(Object::from_iter([
        ("creditnote_id".to_owned(), json!(id(kinds::CREDIT_NOTE, n))),
        ("creditnote_number".to_owned(), json!(format!("CN-{n}"))),
        ("customer_id".to_owned(), text(customer, "contact_id")),
        ("customer_name".to_owned(), text(customer, "contact_name")),
    ]));
    Value::Object(note)
}

/// Applies a credit note to an invoice of the same customer, as far as the invoice is open.
pub(crate) fn apply_credit_note(note: &mut Value, invoice: &mut Value) {
    let amount = decimal(&note["balance"]).min(decimal(&invoice["balance"]));
    let left = decimal(&note["balance"]) - amount;
    let open = decimal(&invoice["balance"]) - amount;
    note["balance"] = money(left);
    note["status"] = json!(if left.is_zero() { "closed" } else { "open" });
    note["invoices"] = json!([{
        "invoice_id": text(invoice, "invoice_id"),
        "invoice_number": text(invoice, "invoice_number"),
        "amount": money(amount),
    }]);
    let status = if open.is_zero() { "paid" } else { "partially_paid" };
    invoice["credits_applied"] = money(decimal(&invoice["credits_applied"]) + amount);
    invoice["balance"] = money(open);
    invoice["status"] = json!(status);
    invoice["current_sub_status"] = json!(status);
}

/// Keys of lines for which no source shows that Zoho writes them in credit notes.
const NOT_OF_CREDIT_NOTES: [&str; 5] =
    ["bcy_rate", "discount_amount", "tax_name", "tax_percentage", "tax_type"];

pub(super) fn rows(document: &mut Object) -> impl Iterator<Item = &mut Object> {
    let rows = document.get_mut("line_items").and_then(Value::as_array_mut);
    rows.into_iter().flatten().filter_map(Value::as_object_mut)
}

pub(super) fn counted(items: &[Value]) -> Vec<Line> {
    items.iter().zip(1_u32..).map(|(item, count)| Line::of(item, Decimal::from(count))).collect()
}

/// Returns lines with ten pieces of the first item, twenty of the second, and so on.
pub(super) fn wholesale(items: &[Value]) -> Vec<Line> {
    counted(items).into_iter().map(|line| Line { quantity: line.quantity * Decimal::TEN, ..line }).collect()
}

/// Returns the lines without their discounts.
pub(super) fn without_discount(lines: &[Line]) -> Vec<Line> {
    lines.iter().map(|line| Line { discount: Decimal::ZERO, ..line.clone() }).collect()
}

/// Returns what one unit of a currency is worth in the base currency.
pub(super) fn exchange_rate(code: &str) -> Decimal {
    if code == "IQD" { Decimal::new(763_358, 9) } else { Decimal::ONE }
}

/// Returns the part that all kinds share: lines, totals, currency and location.
pub(super) fn document(kind: u64, n: u64, party: &Value, lines: &[Line], template: &Template) -> Object {
    let code = text(party, "currency_code").as_str().unwrap_or("USD").to_owned();
    let exchange_rate = exchange_rate(&code);
    let total = lines.iter().map(Line::total).sum();
    let rows: Vec<Value> = (1_u64..)
        .zip(lines)
        .map(|(position, line)| line.render(id(kind + 1, n * 100 + position), position, exchange_rate))
        .collect();
    let changes = json!({
        "date": day(n),
        "currency_id": currency_id(&code),
        "currency_code": code,
        "exchange_rate": number(&exchange_rate.to_string()),
        "location_id": PLACES[0].0,
        "location_name": PLACES[0].1,
        "line_items": rows,
        "sub_total": money(total),
        "total": money(total),
        "balance": money(total),
    });
    template.with(changes)
}
