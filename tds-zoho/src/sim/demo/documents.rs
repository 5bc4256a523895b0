//! The shop's invoices, bills and credit notes.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Size, items::overwrite, moment, random::Random};
use crate::sim::{
    Module, SharedOrganization,
    literal::{day, decimal, money},
    sample::{self, Line},
    stamp,
};

/// The items that are traded, and the parties that trade them.
pub(crate) struct Parties {
    pub(crate) items: Vec<Value>,
    pub(crate) customers: Vec<Value>,
    pub(crate) vendors: Vec<Value>,
}

/// Enters the documents of the last 600 days, and the amounts that the customers owe for them.
pub(crate) fn fill(
    zoho: &SharedOrganization,
    random: &mut Random,
    size: Size,
    parties: &Parties,
    now: OffsetDateTime,
) {
    let mut owed: HashMap<String, Decimal> = HashMap::new();
    for n in 1..=size.invoices {
        let Some(customer) = random.pick(&parties.customers) else { return };
        let lines = lines(random, &parties.items, customer, 6);
        let mut invoice = sample::invoice_of(n, customer, &lines);
        date(&mut invoice, moment(n, size.invoices, 600, now));
        settle(random, &mut invoice);
        let id = customer["contact_id"].as_str().unwrap_or_default();
        if invoice["status"] != "draft" {
            *owed.entry(id.to_owned()).or_default() += decimal(&invoice["balance"]);
        }
        zoho.put(Module::INVOICES, invoice);
    }
    for (id, amount) in owed {
        let changes = json!({"outstanding_receivable_amount": money(amount)});
        zoho.update_silently(Module::CONTACTS, &id, changes);
    }
    for n in 1..=size.bills {
        let Some(vendor) = random.pick(&parties.vendors) else { return };
        let mut lines = lines(random, &parties.items, vendor, 12);
        for line in &mut lines {
            line.quantity *= Decimal::TEN;
            line.rate = (line.rate * Decimal::new(7, 1)).round_dp(2);
        }
        let mut bill = sample::bill_of(n, vendor, &lines);
        date(&mut bill, moment(n, size.bills, 600, now));
        if random.per_mille(800) {
            pay(&mut bill, "paid", Decimal::ONE);
        }
        zoho.put(Module::BILLS, bill);
    }
    for n in 1..=size.credit_notes {
        let Some(customer) = random.pick(&parties.customers) else { return };
        let lines = lines(random, &parties.items, customer, 2);
        let mut note = sample::credit_note_of(n, customer, &lines);
        date(&mut note, moment(n, size.credit_notes, 600, now));
        if random.per_mille(600) {
            overwrite(&mut note, json!({"status": "closed", "balance": money(Decimal::ZERO)}));
        }
        zoho.put(Module::CREDIT_NOTES, note);
    }
}

/// Returns some lines of different items, priced in the party's currency.
pub(crate) fn lines(random: &mut Random, items: &[Value], party: &Value, most: u64) -> Vec<Line> {
    let in_dinars = party["currency_code"] == "IQD";
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..random.between(1, most) {
        let Some(item) = random.pick(items) else { break };
        let mut line = Line::of(item, random.amount(1, 12));
        if in_dinars {
            line.rate = sample::dinars(item);
        }
        if random.per_mille(100) {
            line.discount = (line.rate * Decimal::new(5, 2)).round_dp(2);
        }
        if !lines.iter().any(|other| other.item_id == line.item_id) {
            lines.push(line);
        }
    }
    lines
}

/// Sets the day of a document, which is due fifteen days later.
pub(crate) fn date(document: &mut Value, at: OffsetDateTime) {
    let time = stamp(at);
    let changes = json!({"date": day(at), "created_time": time, "last_modified_time": time});
    overwrite(document, changes);
    for (key, value) in [("due_date", day(at + time::Duration::days(15))), ("updated_time", time)] {
        if document.get(key).is_some() {
            document[key] = json!(value);
        }
    }
}

/// Sets the payment state of an invoice. Most invoices are paid; the others are in every state that a list can show.
fn settle(random: &mut Random, invoice: &mut Value) {
    match random.below(100) {
        0..70 => pay(invoice, "paid", Decimal::ONE),
        70..82 => {}
        82..92 => overwrite(invoice, json!({"status": "overdue", "current_sub_status": "overdue"})),
        92..97 => pay(invoice, "partially_paid", Decimal::new(5, 1)),
        97..99 => {
            overwrite(invoice, json!({"status": "draft", "current_sub_status": "draft"}));
        }
        _ => {
            let nothing = money(Decimal::ZERO);
            overwrite(invoice, json!({"status": "void", "current_sub_status": "void", "balance": nothing}));
        }
    }
}

/// Pays a share of a document.
fn pay(document: &mut Value, status: &str, share: Decimal) {
    let total = decimal(&document["total"]);
    let paid = (total * share).round_dp(2);
    let changes = json!({"status": status, "payment_made": money(paid), "balance": money(total - paid)});
    overwrite(document, changes);
    if document.get("current_sub_status").is_some() {
        document["current_sub_status"] = json!(status);
    }
}
