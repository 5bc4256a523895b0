//! Derived values: stock, balances and statuses follow the documents that move them, without a schedule.

use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tds_zoho::{
    sim::{
        Module, decimal,
        sample::{self, ContactKind, Line},
    },
    testkit::FakeZoho,
};
use tokio::time::Instant;

use crate::shop::Shop;

/// The number of documents of each kind.
const EACH: u64 = 38;
const ITEMS: u64 = 130;
const PARTIES: u64 = 12;
/// The length of a gathering, in seconds.
const GATHERING: u64 = 1;

/// A webhook: the path with its query, and the body.
type Delivery = (String, String);

/// The shop's goods and parties.
struct Parties {
    items: Vec<Value>,
    customers: Vec<Value>,
    vendors: Vec<Value>,
}

impl Parties {
    fn enter(zoho: &FakeZoho) -> Self {
        let enter = |module, record: Value| {
            zoho.put(module, record.clone());
            record
        };
        Self {
            items: (1..=ITEMS).map(|n| enter(Module::ITEMS, sample::item(n))).collect(),
            customers: (1..=PARTIES)
                .map(|n| enter(Module::CONTACTS, sample::contact(n, ContactKind::Customer)))
                .collect(),
            vendors: (1..=PARTIES)
                .map(|n| enter(Module::CONTACTS, sample::contact(n, ContactKind::Vendor)))
                .collect(),
        }
    }

    /// Returns the lines of the n-th document: three items, which neighbouring documents share.
    fn lines(&self, n: u64) -> Vec<Line> {
        let item = |at: u64| &self.items[usize::try_from((n * 2 + at * 7) % ITEMS).expect("small")];
        (1..=3).map(|at| Line::of(item(at), Decimal::from(n % 5 + at))).collect()
    }

    fn of(parties: &[Value], n: u64) -> &Value {
        &parties[usize::try_from(n % PARTIES).expect("small")]
    }
}

/// Enters the n-th document of each kind, and moves what follows from it. Half of the bodies show no lines.
fn enter(zoho: &FakeZoho, parties: &Parties, n: u64) -> Vec<Delivery> {
    let (customer, vendor) = (Parties::of(&parties.customers, n), Parties::of(&parties.vendors, n));
    let lines = |shift: u64| parties.lines(n + shift);
    let trade = |path: &str, module: Module, document: Value| {
        let id = zoho.trade(module, document);
        (created(zoho, path, module, &id, n), Value::Object(zoho.get(module, &id).expect("a document")))
    };
    let (order, _) =
        trade("sales-orders", Module::SALES_ORDERS, sample::sales_order_of(n, customer, &lines(3)));
    let (bought, _) =
        trade("purchase-orders", Module::PURCHASE_ORDERS, sample::purchase_order_of(n, vendor, &lines(4)));
    let (sold, invoice) = trade("invoices", Module::INVOICES, sample::invoice_of(n, customer, &lines(0)));
    let (billed, bill) = trade("bills", Module::BILLS, sample::bill_of(n, vendor, &lines(1)));
    // Half of the credits pay a part of a document, and the webhook of the credit is the only sign of it.
    let mut note = sample::credit_note_of(n, customer, &lines(2));
    let mut credit = sample::vendor_credit_of(n, vendor, &lines(5));
    if n.is_multiple_of(2) {
        let share = use_credit(&mut note);
        note["invoices_credited"] = json!([{"invoice_id": invoice["invoice_id"], "credited_amount": share}]);
        let share = use_credit(&mut credit);
        credit["bills_credited"] = json!([{"bill_id": bill["bill_id"], "amount": share}]);
    }
    let (credited, _) = trade("credit-notes", Module::CREDIT_NOTES, note);
    let (returned, _) = trade("vendor-credits", Module::VENDOR_CREDITS, credit);
    let paid = [(invoice, Decimal::new(325, 2))];
    let payment =
        sample::customer_payment(n, customer, &paid[..usize::from(!n.is_multiple_of(3))], Decimal::ONE);
    let (received, _) = trade("customer-payments", Module::CUSTOMER_PAYMENTS, payment);
    let paid = [(bill, Decimal::new(475, 2))];
    let payment = sample::vendor_payment(n, vendor, &paid[..usize::from(!n.is_multiple_of(3))], Decimal::TWO);
    let (sent, _) = trade("vendor-payments", Module::VENDOR_PAYMENTS, payment);
    vec![order, bought, sold, billed, credited, returned, received, sent]
}

/// Takes the half of a credit, and returns the amount.
fn use_credit(credit: &mut Value) -> Value {
    let total = decimal(&credit["total"]);
    let used = (total / Decimal::TWO).round_dp(2);
    credit["balance"] = amount(total - used);
    amount(used)
}

fn created(zoho: &FakeZoho, path: &str, module: Module, id: &str, n: u64) -> Delivery {
    let body = if n.is_multiple_of(2) {
        zoho.webhook_body(module, id)
    } else {
        zoho.webhook_body_without_lines(module, id)
    };
    (format!("{path}?event=created"), body)
}

/// Changes some documents, takes some back, and pays some by documents whose webhook is the only sign of it.
fn change(zoho: &FakeZoho, parties: &Parties) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in (1..=EACH).step_by(4) {
        let customer = Parties::of(&parties.customers, n);
        let other = sample::invoice_of(n, customer, &parties.lines(n + 50));
        let id = other["invoice_id"].as_str().expect("an id").to_owned();
        let keys = ["line_items", "sub_total", "total", "balance"];
        let lines: Value = keys.iter().map(|key| ((*key).to_owned(), other[*key].clone())).collect();
        assert!(zoho.revise(Module::INVOICES, &id, lines));
        deliveries.push(("invoices?event=updated".to_owned(), zoho.webhook_body(Module::INVOICES, &id)));
    }
    for n in (2..=EACH).step_by(10) {
        let bill = sample::bill_of(n, Parties::of(&parties.vendors, n), &[]);
        let id = bill["bill_id"].as_str().expect("an id");
        zoho.withdraw(Module::BILLS, id).expect("a bill");
        deliveries.push(("bills?event=deleted".to_owned(), zoho.webhook_body(Module::BILLS, id)));
    }
    deliveries
}

fn amount(value: Decimal) -> Value {
    serde_json::from_str(&value.to_string()).expect("a number")
}

async fn deliver(shop: &Shop, deliveries: &[Delivery]) {
    let send = |(path, body): &Delivery| {
        let (path, body) = (path.clone(), body.clone());
        async move {
            let (status, answer) = shop.webhook(&path, &body).await;
            assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("accepted")), "{answer}");
        }
    };
    stream::iter(deliveries).map(send).buffer_unordered(16).collect::<Vec<()>>().await;
}

/// Waits until everything is read except the second looks at what showed no change. They count as enqueued a minute
/// later.
async fn rest(shop: &Shop) {
    let open = "SELECT count(*)::text FROM tds_sync_queue
                 WHERE status IN ('pending','processing','failed') AND queued_at <= now()";
    shop.until(open, "0").await;
}

/// Returns values of the mirror by id.
async fn shown(shop: &Shop, sql: &str) -> Vec<(String, Decimal)> {
    let sql = format!(
        "SELECT coalesce(jsonb_agg(jsonb_build_array(id, value::text)), '[]')::text FROM ({sql}) AS v(id, value)"
    );
    let rows: Vec<(String, String)> =
        serde_json::from_str(&shop.text(&sql).await.expect("rows")).expect("JSON");
    let mut values: Vec<(String, Decimal)> =
        rows.into_iter().map(|(id, value)| (id, value.parse().expect("a number"))).collect();
    values.sort();
    values
}

/// Returns the same values of the organization.
fn expected(
    zoho: &FakeZoho,
    module: Module,
    chosen: fn(&Value) -> bool,
    key: &str,
) -> Vec<(String, Decimal)> {
    let mut values: Vec<(String, Decimal)> = zoho.read(|records| {
        let all = records.records(module).cloned().map(Value::Object).filter(chosen);
        all.map(|record| (record[module.id_key].as_str().expect("an id").to_owned(), decimal(&record[key])))
            .collect()
    });
    values.sort();
    values
}

async fn assert_equal(shop: &Shop) {
    let zoho = &shop.zoho;
    let is = |kind: &'static str| match kind {
        "customer" => |record: &Value| record["contact_type"] == "customer",
        _ => |record: &Value| record["contact_type"] == "vendor",
    };
    let any: fn(&Value) -> bool = |_| true;
    let columns = [
        (
            "SELECT product_zoho_id, stock_on_hand FROM erp.stock_levels WHERE location_zoho_id = ''",
            Module::ITEMS,
            any,
            "stock_on_hand",
        ),
        (
            "SELECT product_zoho_id, committed_stock FROM erp.stock_levels WHERE location_zoho_id = ''",
            Module::ITEMS,
            any,
            "committed_stock",
        ),
        (
            "SELECT zoho_id, outstanding_amount FROM erp.customers",
            Module::CONTACTS,
            is("customer"),
            "outstanding_receivable_amount",
        ),
        (
            "SELECT zoho_id, unused_credits FROM erp.customers",
            Module::CONTACTS,
            is("customer"),
            "unused_credits_receivable_amount",
        ),
        (
            "SELECT zoho_id, outstanding_amount FROM erp.vendors",
            Module::CONTACTS,
            is("vendor"),
            "outstanding_payable_amount",
        ),
        (
            "SELECT zoho_id, unused_credits FROM erp.vendors",
            Module::CONTACTS,
            is("vendor"),
            "unused_credits_payable_amount",
        ),
        ("SELECT zoho_id, balance FROM erp.invoices", Module::INVOICES, any, "balance"),
        ("SELECT zoho_id, payment_made FROM erp.invoices", Module::INVOICES, any, "payment_made"),
        ("SELECT zoho_id, balance FROM erp.bills WHERE deleted_at IS NULL", Module::BILLS, any, "balance"),
    ];
    for (sql, module, chosen, key) in columns {
        let (found, wanted) = (shown(shop, sql).await, expected(zoho, module, chosen, key));
        assert_eq!(found, wanted, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_balances_and_applied_documents_follow_the_documents_without_a_schedule() {
    let wait = format!("{GATHERING}s");
    let shop = Shop::open_with(&[("TDS_DERIVED_WAIT", wait.as_str())]).await;
    let parties = Parties::enter(&shop.zoho);
    for entity in ["customers", "vendors", "stock"] {
        shop.sync(entity, "full").await;
    }
    let before = (shop.zoho.calls_to("/itemdetails"), shop.zoho.calls_to("/contacts/"));
    let began = Instant::now();
    let created: Vec<Delivery> = (1..=EACH).flat_map(|n| enter(&shop.zoho, &parties, n)).collect();
    assert_eq!(created.len(), 304);
    deliver(&shop, &created).await;
    let changed = change(&shop.zoho, &parties);
    deliver(&shop, &changed).await;
    let last = Instant::now();
    rest(&shop).await;
    println!("at rest {:.1?} after the last of {} deliveries", last.elapsed(), created.len() + changed.len());
    assert_equal(&shop).await;

    // One call for 100 items and one for each contact in each gathering. The first and the last gathering may be
    // shorter than the others.
    let gatherings = began.elapsed().as_secs() / GATHERING + 2;
    let after = (shop.zoho.calls_to("/itemdetails") - before.0, shop.zoho.calls_to("/contacts/") - before.1);
    println!("{} calls for items and {} for contacts in at most {gatherings} gatherings", after.0, after.1);
    assert!(after.0 <= gatherings * ITEMS.div_ceil(100), "{after:?}");
    assert!(after.1 <= gatherings * 2 * PARTIES, "{after:?}");
    assert!(after.1 >= 2 * PARTIES && after.0 >= 2, "the values were read because of the documents");

    // The age of a value is that of the read that last showed it.
    let seen = "SELECT count(*)::text FROM erp.customers WHERE balance_seen_at IS NULL OR balance_seen_at < now() - interval '1 hour'";
    assert_eq!(shop.text(seen).await.as_deref(), Some("0"));
    let never = "SELECT count(*)::text FROM erp.stock_levels WHERE synced_at IS NULL";
    assert_eq!(shop.text(never).await.as_deref(), Some("0"));
    // Nothing is sent for what did not change: the same delivery in another spelling moves nothing.
    let calls = shop.zoho.calls();
    let again: Value = serde_json::from_str(&created[1].1).expect("JSON");
    let spelled = serde_json::to_string_pretty(&again).expect("JSON");
    shop.webhook(&created[1].0, &spelled).await;
    rest(&shop).await;
    assert!(shop.zoho.calls() - calls <= 1, "at most the document itself was read");
}
