//! A shop's goods and parties, and documents of every kind that move what Zoho derives.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tds_zoho::{
    sim::{
        Module, decimal,
        sample::{self, ContactKind, Line},
    },
    testkit::FakeZoho,
};

pub(crate) const ITEMS: u64 = 130;
pub(crate) const PARTIES: u64 = 12;

/// A webhook.
pub(crate) struct Delivery {
    /// The path with its query.
    pub(crate) path: String,
    pub(crate) body: String,
    /// The ids of the records whose values follow the document, and of the document.
    pub(crate) moves: Vec<String>,
}

impl Delivery {
    /// A delivery about a document in these states.
    fn of(path: &str, event: &str, body: String, states: &[&Value]) -> Self {
        let moves = states.iter().flat_map(|state| moved_by(state)).collect();
        Self { path: format!("{path}?event={event}"), body, moves }
    }
}

/// The shop's goods and parties.
pub(crate) struct Parties {
    items: Vec<Value>,
    customers: Vec<Value>,
    vendors: Vec<Value>,
}

impl Parties {
    /// Enters them into the organization.
    pub(crate) fn enter(zoho: &FakeZoho) -> Self {
        let enter = |module, record: Value| {
            zoho.put(module, record.clone());
            record
        };
        let contacts = |kind| (1..=PARTIES).map(move |n| sample::contact(n, kind));
        Self {
            items: (1..=ITEMS).map(|n| enter(Module::ITEMS, sample::item(n))).collect(),
            customers: contacts(ContactKind::Customer).map(|one| enter(Module::CONTACTS, one)).collect(),
            vendors: contacts(ContactKind::Vendor).map(|one| enter(Module::CONTACTS, one)).collect(),
        }
    }

    /// Returns the lines of the n-th document: three items, which neighbouring documents share.
    fn lines(&self, n: u64) -> Vec<Line> {
        let item = |at: u64| &self.items[usize::try_from((n * 2 + at * 7) % ITEMS).expect("small")];
        (1..=3).map(|at| Line::of(item(at), Decimal::from(n % 5 + at))).collect()
    }

    fn customer(&self, n: u64) -> &Value {
        &self.customers[usize::try_from(n % PARTIES).expect("small")]
    }

    fn vendor(&self, n: u64) -> &Value {
        &self.vendors[usize::try_from(n % PARTIES).expect("small")]
    }

    /// Returns the n-th invoice, dated on a day in March 2025. Nothing follows from it until it is entered.
    pub(crate) fn invoice_of_march(&self, n: u64) -> Value {
        let mut invoice = sample::invoice_of(n, self.customer(n), &self.lines(n));
        invoice["date"] = json!(format!("2025-03-{:02}", n % 31 + 1));
        invoice
    }

    /// Enters the n-th document of each kind, and moves what follows from it. Half of the bodies show no lines.
    pub(crate) fn trade(&self, zoho: &FakeZoho, n: u64) -> Vec<Delivery> {
        let (customer, vendor) = (self.customer(n), self.vendor(n));
        let lines = |shift: u64| self.lines(n + shift);
        let trade = |path: &str, module: Module, document: Value| created(zoho, path, module, document, n);
        let (order, _) =
            trade("sales-orders", Module::SALES_ORDERS, sample::sales_order_of(n, customer, &lines(3)));
        let (bought, _) = trade(
            "purchase-orders",
            Module::PURCHASE_ORDERS,
            sample::purchase_order_of(n, vendor, &lines(4)),
        );
        let (sold, invoice) = trade("invoices", Module::INVOICES, sample::invoice_of(n, customer, &lines(0)));
        let (billed, bill) = trade("bills", Module::BILLS, sample::bill_of(n, vendor, &lines(1)));
        // Half of the credits pay a part of a document, and the webhook of the credit is the only sign of it.
        let mut note = sample::credit_note_of(n, customer, &lines(2));
        let mut credit = sample::vendor_credit_of(n, vendor, &lines(5));
        if n.is_multiple_of(2) {
            let share = use_credit(&mut note);
            note["invoices_credited"] =
                json!([{"invoice_id": invoice["invoice_id"], "credited_amount": share}]);
            let share = use_credit(&mut credit);
            credit["bills_credited"] = json!([{"bill_id": bill["bill_id"], "amount": share}]);
        }
        let (credited, _) = trade("credit-notes", Module::CREDIT_NOTES, note);
        let (returned, _) = trade("vendor-credits", Module::VENDOR_CREDITS, credit);
        let paid = [(invoice, Decimal::new(325, 2))];
        let paid = &paid[..usize::from(!n.is_multiple_of(3))];
        let payment = sample::customer_payment(n, customer, paid, Decimal::ONE);
        let (received, _) = trade("customer-payments", Module::CUSTOMER_PAYMENTS, payment);
        let paid = [(bill, Decimal::new(475, 2))];
        let paid = &paid[..usize::from(!n.is_multiple_of(3))];
        let payment = sample::vendor_payment(n, vendor, paid, Decimal::TWO);
        let (sent, _) = trade("vendor-payments", Module::VENDOR_PAYMENTS, payment);
        vec![order, bought, sold, billed, credited, returned, received, sent]
    }

    /// Changes some of the first `count` documents of each kind, and takes some back.
    pub(crate) fn change(&self, zoho: &FakeZoho, count: u64) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for n in (1..=count).step_by(4) {
            let other = sample::invoice_of(n, self.customer(n), &self.lines(n + 50));
            let id = other["invoice_id"].as_str().expect("an id").to_owned();
            let before = Value::Object(zoho.get(Module::INVOICES, &id).expect("an invoice"));
            let keys = ["line_items", "sub_total", "total", "balance"];
            let lines: Value = keys.iter().map(|key| ((*key).to_owned(), other[*key].clone())).collect();
            assert!(zoho.revise(Module::INVOICES, &id, lines));
            let body = zoho.webhook_body(Module::INVOICES, &id);
            deliveries.push(Delivery::of("invoices", "updated", body, &[&before, &other]));
        }
        for n in (2..=count).step_by(10) {
            let bill = sample::bill_of(n, self.vendor(n), &[]);
            let id = bill["bill_id"].as_str().expect("an id");
            let before = Value::Object(zoho.withdraw(Module::BILLS, id).expect("a bill"));
            let body = zoho.webhook_body(Module::BILLS, id);
            deliveries.push(Delivery::of("bills", "deleted", body, &[&before]));
        }
        deliveries
    }
}

/// Enters a document. Returns its webhook and the document.
fn created(zoho: &FakeZoho, path: &str, module: Module, document: Value, n: u64) -> (Delivery, Value) {
    let id = zoho.trade(module, document);
    let document = Value::Object(zoho.get(module, &id).expect("a document"));
    let body = if n.is_multiple_of(2) {
        zoho.webhook_body(module, &id)
    } else {
        zoho.webhook_body_without_lines(module, &id)
    };
    (Delivery::of(path, "created", body, &[&document]), document)
}

/// Takes the half of a credit, and returns the amount.
fn use_credit(credit: &mut Value) -> Value {
    let total = decimal(&credit["total"]);
    let used = (total / Decimal::TWO).round_dp(2);
    credit["balance"] = amount(total - used);
    amount(used)
}

fn amount(value: Decimal) -> Value {
    serde_json::from_str(&value.to_string()).expect("a number")
}

/// Returns the ids of the records whose values follow a document, and its own id if it has such values itself: the
/// items of its lines, its contact, and the documents that it is applied to.
fn moved_by(document: &Value) -> Vec<String> {
    let lists = ["line_items", "invoices_credited", "bills_credited", "invoices", "bills"];
    let rows = lists.iter().filter_map(|list| document[*list].as_array()).flatten();
    let keys = ["item_id", "invoice_id", "bill_id", "customer_id", "vendor_id"];
    rows.chain([document])
        .flat_map(|row| keys.iter().filter_map(|key| row[*key].as_str()))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}
