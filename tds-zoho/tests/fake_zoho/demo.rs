use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use rust_decimal::Decimal;
use serde_json::Value;
use tds_core::clock::Clock;
use tds_zoho::testkit::{
    FakeZoho, Module, decimal,
    demo::{self, Changes, Size},
};
use time::{OffsetDateTime, macros::datetime};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-11-20 12:00 UTC)
    }
}

async fn shop(percent: u64, seed: u64) -> FakeZoho {
    let fake = FakeZoho::start().await;
    fake.set_clock(Arc::new(Noon));
    demo::organization(&fake, Size::percent(percent), seed);
    fake
}

const MODULES: [Module; 11] = [
    Module::ITEMS,
    Module::CONTACTS,
    Module::INVOICES,
    Module::BILLS,
    Module::CREDIT_NOTES,
    Module::PRICE_LISTS,
    Module::SALES_ORDERS,
    Module::CUSTOMER_PAYMENTS,
    Module::PURCHASE_ORDERS,
    Module::VENDOR_PAYMENTS,
    Module::VENDOR_CREDITS,
];

/// Returns everything that the organization holds as one text.
fn fingerprint(fake: &FakeZoho) -> String {
    fake.read(|records| {
        let records = MODULES.into_iter().flat_map(|module| records.records(module));
        records.map(|record| Value::Object(record.clone()).to_string() + "\n").collect()
    })
}

#[tokio::test]
async fn the_same_seed_gives_the_same_shop_and_the_same_events() {
    let (one, two, other) = (shop(2, 1).await, shop(2, 1).await, shop(2, 9).await);
    assert!(fingerprint(&one) == fingerprint(&two));
    assert!(fingerprint(&one) != fingerprint(&other));
    let (mut first, mut second) = (Changes::new(3), Changes::new(3));
    for _ in 0..60 {
        let body = |delivery: Option<tds_zoho::testkit::webhook::Delivery>| delivery.map(|d| d.body);
        assert_eq!(body(first.next_change(&one)), body(second.next_change(&two)));
    }
    assert!(fingerprint(&one) == fingerprint(&two));
}

#[tokio::test]
async fn the_shop_has_the_proportions_of_a_real_one() {
    let fake = shop(10, 1).await;
    assert_eq!(fake.count(Module::ITEMS), 222);
    assert_eq!(fake.count(Module::CONTACTS), 241 + 8);
    assert_eq!(fake.count(Module::INVOICES), 2_397);
    assert_eq!(fake.count(Module::SALES_ORDERS), 1_963);
    assert!((900..=1_700).contains(&fake.count(Module::CUSTOMER_PAYMENTS)), "most invoices are paid");
    assert_eq!(fake.count(Module::PRICE_LISTS), 8);
    assert_eq!(fake.count(Module::LOCATIONS), 3);
    assert_eq!((fake.count(Module::TAXES), fake.count(Module::CURRENCIES)), (2, 2));
    assert_eq!((fake.count(Module::ITEM_GROUPS), fake.count(Module::COMPOSITE_ITEMS)), (11, 8));
    let share = |matches: fn(&Value) -> bool| {
        fake.read(|records| {
            let items = records.records(Module::ITEMS).cloned().map(Value::Object);
            items.filter(matches).count() * 100 / records.count(Module::ITEMS)
        })
    };
    assert!((46..=66).contains(&share(|item| item["sku"] == "")), "without SKU");
    assert!((30..=50).contains(&share(|item| item["status"] == "inactive")), "inactive");
    assert!((12..=32).contains(&share(|item| decimal(&item["stock_on_hand"]) > Decimal::ZERO)), "in stock");
    assert!(share(|item| decimal(&item["stock_on_hand"]) < Decimal::ZERO) < 10);
    let text = fingerprint(&fake);
    for present in ["\"currency_code\":\"IQD\"", "55555.00", "\"pricing_scheme\":\"volume\"", "شاحن", "Basra"]
    {
        assert!(text.contains(present), "{present}");
    }
}

/// Amounts by the id of a record.
type Amounts = HashMap<String, Decimal>;

fn add(amounts: &mut Amounts, id: &Value, amount: &Value) {
    *amounts.entry(id.as_str().unwrap_or_default().to_owned()).or_default() += decimal(amount);
}

/// Adds up what payments of one kind paid of each document, and what each party paid too much.
fn payments(payments: &[Value], documents: &str, id: &str, party: &str, rest: &str) -> (Amounts, Amounts) {
    let (mut paid, mut unused) = (Amounts::new(), Amounts::new());
    for payment in payments {
        let parts = payment[documents].as_array().expect("documents");
        let applied: Decimal = parts.iter().map(|part| decimal(&part["amount_applied"])).sum();
        assert_eq!(applied + decimal(&payment[rest]), decimal(&payment["amount"]), "{payment}");
        assert_ne!(decimal(&payment["exchange_rate"]), Decimal::ZERO);
        add(&mut unused, &payment[party], &payment[rest]);
        for part in parts {
            add(&mut paid, &part[id], &part["amount_applied"]);
        }
    }
    (paid, unused)
}

/// Checks that lines add up to documents, locations to items, payments to what documents say was paid, and documents
/// and payments to what parties owe.
fn assert_consistent(fake: &FakeZoho) {
    fake.read(|records| {
        let rows = |module| records.records(module).cloned().map(Value::Object);
        let all = |module| rows(module).collect::<Vec<_>>();
        let items: HashSet<String> = records.ids(Module::ITEMS).into_iter().collect();
        let documents = [
            Module::INVOICES,
            Module::BILLS,
            Module::CREDIT_NOTES,
            Module::SALES_ORDERS,
            Module::PURCHASE_ORDERS,
            Module::VENDOR_CREDITS,
        ];
        for document in documents.into_iter().flat_map(rows) {
            let lines = document["line_items"].as_array().expect("lines");
            assert!(!lines.is_empty());
            let sum: Decimal = lines.iter().map(|line| decimal(&line["item_total"])).sum();
            assert_eq!(sum, decimal(&document["total"]), "{document}");
            for line in lines {
                let full = decimal(&line["quantity"]) * decimal(&line["rate"]) - decimal(&line["discount"]);
                assert_eq!(full.round_dp(2), decimal(&line["item_total"]));
                assert!(items.contains(line["item_id"].as_str().unwrap_or_default()));
            }
        }
        let received = all(Module::CUSTOMER_PAYMENTS);
        let sent = all(Module::VENDOR_PAYMENTS);
        let (of_invoices, mut receivable) =
            payments(&received, "invoices", "invoice_id", "customer_id", "unused_amount");
        let (of_bills, mut payable) = payments(&sent, "bills", "bill_id", "vendor_id", "balance");
        let mut owed = Amounts::new();
        for (module, key, party, paid) in [
            (Module::INVOICES, "invoice_id", "customer_id", &of_invoices),
            (Module::BILLS, "bill_id", "vendor_id", &of_bills),
        ] {
            for document in rows(module) {
                let id = document[key].as_str().expect("an id");
                let made = decimal(&document["payment_made"]);
                assert_eq!(made, paid.get(id).copied().unwrap_or_default(), "{id} says what payments say");
                let settled = made
                    + decimal(&document["vendor_credits_applied"])
                    + decimal(&document["credits_applied"]);
                let is_void = document["status"] == "void";
                assert!(
                    is_void || decimal(&document["balance"]) + settled == decimal(&document["total"]),
                    "{id}"
                );
                if document["status"] != "draft" {
                    add(&mut owed, &document[party], &document["balance"]);
                }
            }
        }
        rows(Module::CREDIT_NOTES)
            .for_each(|note| add(&mut receivable, &note["customer_id"], &note["balance"]));
        rows(Module::VENDOR_CREDITS)
            .for_each(|credit| add(&mut payable, &credit["vendor_id"], &credit["balance"]));
        for contact in rows(Module::CONTACTS) {
            let (side, unused) = match contact["contact_type"].as_str() {
                Some("customer") => ("receivable", &receivable),
                _ => ("payable", &payable),
            };
            let id = contact["contact_id"].as_str().unwrap_or_default();
            let shown = |name: &str| decimal(&contact[format!("{name}_{side}_amount")]);
            assert_eq!(shown("outstanding"), owed.get(id).copied().unwrap_or_default(), "{id}");
            assert_eq!(shown("unused_credits"), unused.get(id).copied().unwrap_or_default(), "{id}");
        }
        for item in rows(Module::ITEMS).filter(|item| item["locations"].is_array()) {
            let places = item["locations"].as_array().expect("places");
            let sum: Decimal = places.iter().map(|place| decimal(&place["location_stock_on_hand"])).sum();
            assert_eq!(sum, decimal(&item["stock_on_hand"]));
        }
        for list in rows(Module::PRICE_LISTS) {
            for row in list["pricebook_items"].as_array().expect("rows") {
                assert!(items.contains(row["item_id"].as_str().unwrap_or_default()));
            }
        }
        let ids: HashSet<String> = MODULES.into_iter().flat_map(|module| records.ids(module)).collect();
        assert_eq!(ids.len(), MODULES.into_iter().map(|module| records.count(module)).sum::<usize>());
    });
}

#[tokio::test]
async fn the_books_are_consistent_and_stay_so() {
    let fake = shop(5, 4).await;
    assert_consistent(&fake);
    let mut changes = Changes::new(5);
    let mut seen: HashSet<(String, String)> = HashSet::new();
    for _ in 0..600 {
        if let Some(delivery) = changes.next_change(&fake) {
            assert!(serde_json::from_str::<Value>(&delivery.body).is_ok());
            seen.insert((delivery.entity_path, delivery.event));
        }
    }
    assert_consistent(&fake);
    let expected = [
        ("invoices", "created"),
        ("customer-payments", "created"),
        ("sales-orders", "created"),
        ("purchase-orders", "created"),
        ("bills", "created"),
        ("vendor-payments", "created"),
        ("vendor-credits", "created"),
        ("products", "updated"),
        ("customers", "created"),
        ("customers", "deleted"),
        ("stock", "created"),
        ("composite-items", "updated"),
    ];
    for (path, event) in expected {
        assert!(seen.contains(&(path.to_owned(), event.to_owned())), "{path} {event} never happened");
    }
}

#[tokio::test]
async fn changes_of_an_empty_or_odd_organization_do_not_panic() {
    let fake = FakeZoho::start().await;
    let mut changes = Changes::new(1);
    for _ in 0..50 {
        changes.next_change(&fake);
    }
    for module in MODULES {
        fake.put(module, serde_json::json!({"pricebook_items": 5, "locations": "?", "status": "active"}));
    }
    for _ in 0..200 {
        changes.next_change(&fake);
    }
}

#[tokio::test]
async fn a_busy_shop_delivers_signed_webhooks_until_stopped() {
    let fake = shop(1, 1).await;
    let receiver = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&receiver).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&receiver).await;
    let enough = async {
        while receiver.received_requests().await.map_or(0, |requests| requests.len()) < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let run = demo::run_changes(
        fake.organization(),
        receiver.uri(),
        "TdsSecret0123456".into(),
        Duration::from_millis(1),
        enough,
    );
    assert_can_be_spawned(&run);
    tokio::time::timeout(Duration::from_secs(30), run).await.expect("ten deliveries");
    let requests = receiver.received_requests().await.expect("recorded");
    assert!(requests.iter().all(|request| request.headers.contains_key("x-zoho-webhook-signature")));
}

fn assert_can_be_spawned(_: &impl Send) {}
