//! The shop's documents: orders, invoices, bills and credits, and the payments of them.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    Size,
    accounts::{Accounts, PAYABLE, RECEIVABLE},
    dates::date,
    items::overwrite,
    moment, orders,
    random::Random,
};
use crate::sim::{
    Module, SharedOrganization,
    literal::{decimal, money},
    sample::{self, Line},
};

/// The items that are traded, and the parties that trade them.
pub(crate) struct Parties {
    pub(crate) items: Vec<Value>,
    pub(crate) customers: Vec<Value>,
    pub(crate) vendors: Vec<Value>,
}

/// Enters the documents of the last 600 days, their payments, and what each party owes.
pub(crate) fn fill(
    zoho: &SharedOrganization,
    random: &mut Random,
    size: Size,
    parties: &Parties,
    now: OffsetDateTime,
) {
    sales(zoho, random, size, parties, now).enter(zoho, random, RECEIVABLE, now);
    purchases(zoho, random, size, parties, now).enter(zoho, random, PAYABLE, now);
}

/// Enters what was sold. Most sales orders were invoiced, and the others are open. Some credit notes were used for an
/// invoice.
fn sales(
    zoho: &SharedOrganization,
    random: &mut Random,
    size: Size,
    parties: &Parties,
    now: OffsetDateTime,
) -> Accounts {
    let mut accounts = Accounts::default();
    let ordered = size.invoices.min(size.sales_orders * 9 / 10);
    let mut invoices: Vec<(&Value, OffsetDateTime, Value, Option<String>)> = Vec::new();
    // The places of the unpaid invoices of each customer.
    let mut unpaid: HashMap<String, Vec<usize>> = HashMap::new();
    for n in 1..=size.invoices {
        let Some(customer) = random.pick(&parties.customers) else { return accounts };
        let lines = lines(random, &parties.items, customer, 6);
        let at = moment(n, size.invoices, 600, now);
        let mut invoice = sample::invoice_of(n, customer, &lines);
        date(&mut invoice, at);
        settle(random, &mut invoice);
        if matches!(invoice["status"].as_str(), Some("sent" | "overdue")) {
            unpaid.entry(id_of(customer)).or_default().push(invoices.len());
        }
        let before = at - time::Duration::days(1);
        let order = (n <= ordered).then(|| orders::sell(zoho, n, customer, &lines, before));
        invoices.push((customer, at, invoice, order));
    }
    for n in ordered + 1..=size.sales_orders {
        let Some(customer) = random.pick(&parties.customers) else { return accounts };
        let lines = lines(random, &parties.items, customer, 6);
        orders::sell(zoho, n, customer, &lines, moment(n - ordered, size.sales_orders - ordered, 60, now));
    }
    for n in 1..=size.credit_notes {
        let Some(customer) = random.pick(&parties.customers) else { return accounts };
        let lines = lines(random, &parties.items, customer, 2);
        let mut note = sample::credit_note_of(n, customer, &lines);
        date(&mut note, moment(n, size.credit_notes, 600, now));
        if random.per_mille(600) {
            let place = unpaid.get_mut(&id_of(customer)).and_then(Vec::pop);
            if let Some((_, _, invoice, _)) = place.and_then(|place| invoices.get_mut(place)) {
                sample::apply_credit_note(&mut note, invoice);
            }
        }
        accounts.add_unused(customer, decimal(&note["balance"]));
        zoho.put(Module::CREDIT_NOTES, note);
    }
    for (customer, at, mut invoice, order) in invoices {
        if let Some(order) = order {
            orders::invoiced(zoho, &order, &mut invoice);
        }
        accounts.add(customer, at, &invoice);
        zoho.put(Module::INVOICES, invoice);
    }
    accounts
}

fn id_of(party: &Value) -> String {
    party["contact_id"].as_str().unwrap_or_default().to_owned()
}

/// Enters what was bought. Most purchase orders were billed, and some credits of vendors were used for a bill.
fn purchases(
    zoho: &SharedOrganization,
    random: &mut Random,
    size: Size,
    parties: &Parties,
    now: OffsetDateTime,
) -> Accounts {
    let mut accounts = Accounts::default();
    let ordered = size.bills.min(size.purchase_orders * 9 / 10);
    let mut bills: Vec<(&Value, OffsetDateTime, Value, Option<String>)> = Vec::new();
    for n in 1..=size.bills {
        let Some(vendor) = random.pick(&parties.vendors) else { return accounts };
        let lines = orders::at_cost(lines(random, &parties.items, vendor, 12));
        let at = moment(n, size.bills, 600, now);
        let mut bill = sample::bill_of(n, vendor, &lines);
        date(&mut bill, at);
        let before = at - time::Duration::days(7);
        let order = (n <= ordered).then(|| orders::buy(zoho, n, vendor, &lines, before));
        bills.push((vendor, at, bill, order));
    }
    for n in ordered + 1..=size.purchase_orders {
        let Some(vendor) = random.pick(&parties.vendors) else { return accounts };
        let lines = orders::at_cost(lines(random, &parties.items, vendor, 12));
        orders::buy(zoho, n, vendor, &lines, moment(n - ordered, size.purchase_orders - ordered, 30, now));
    }
    for n in 1..=size.vendor_credits {
        let Some(vendor) = random.pick(&parties.vendors) else { return accounts };
        let lines = lines(random, &parties.items, vendor, 2);
        let mut credit = sample::vendor_credit_of(n, vendor, &lines);
        date(&mut credit, moment(n, size.vendor_credits, 600, now));
        let of_vendor = bills.iter_mut().find(|(other, _, bill, _)| {
            other["contact_id"] == vendor["contact_id"] && bill["status"] == "open"
        });
        if let (true, Some((_, _, bill, _))) = (random.per_mille(600), of_vendor) {
            sample::apply_credit(&mut credit, bill);
        }
        accounts.add_unused(vendor, decimal(&credit["balance"]));
        zoho.put(Module::VENDOR_CREDITS, credit);
    }
    for (vendor, at, mut bill, order) in bills {
        if random.per_mille(800) {
            pay(&mut bill, Decimal::ONE);
        }
        if let Some(order) = order {
            orders::billed(zoho, &order, &mut bill);
        }
        accounts.add(vendor, at, &bill);
        zoho.put(Module::BILLS, bill);
    }
    accounts
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

/// Sets the payment state of an invoice. Most invoices are paid; the others are in every state that a list can show.
fn settle(random: &mut Random, invoice: &mut Value) {
    match random.below(100) {
        0..70 => {
            pay(invoice, Decimal::ONE);
        }
        70..82 => {}
        82..92 => overwrite(invoice, json!({"status": "overdue", "current_sub_status": "overdue"})),
        92..97 => {
            pay(invoice, Decimal::new(5, 1));
        }
        97..99 => {
            overwrite(invoice, json!({"status": "draft", "current_sub_status": "draft"}));
        }
        _ => {
            let nothing = money(Decimal::ZERO);
            overwrite(invoice, json!({"status": "void", "current_sub_status": "void", "balance": nothing}));
        }
    }
}

/// Pays a share of what is open of a document, and returns the amount.
pub(crate) fn pay(document: &mut Value, share: Decimal) -> Decimal {
    let open = decimal(&document["balance"]);
    let amount = (open * share).round_dp(2);
    let paid = decimal(&document["payment_made"]) + amount;
    let status = if amount == open { "paid" } else { "partially_paid" };
    let changes = json!({"status": status, "payment_made": money(paid), "balance": money(open - amount)});
    overwrite(document, changes);
    if document.get("current_sub_status").is_some() {
        document["current_sub_status"] = json!(status);
    }
    amount
}
