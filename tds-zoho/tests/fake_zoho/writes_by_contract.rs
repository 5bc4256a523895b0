//! The simulated organization accepts every call of every write contract, and derives what follows from it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tds_core::{
    outbound::{LocalRecord, Removed, Written},
    record::{Fields, same_value},
};
use tds_zoho::{
    entities::{Api, Catalogue, columns},
    testkit::{Module, sample},
    write::{Contract, Form, When},
};

use crate::{
    local::{Ids, contract, digits, key, local},
    support::Caller,
    writer::{refusal, repeated},
};

/// An organization in which contracts write one record of each type after the other.
struct Shop {
    caller: Caller,
    ids: Ids,
}

/// The module of each entity type.
const MODULES: [(&str, Module); 12] = [
    ("customers", Module::CONTACTS),
    ("vendors", Module::CONTACTS),
    ("products", Module::ITEMS),
    ("stock", Module::ADJUSTMENTS),
    ("sales_orders", Module::SALES_ORDERS),
    ("invoices", Module::INVOICES),
    ("customer_payments", Module::CUSTOMER_PAYMENTS),
    ("credit_notes", Module::CREDIT_NOTES),
    ("bills", Module::BILLS),
    ("vendor_payments", Module::VENDOR_PAYMENTS),
    ("purchase_orders", Module::PURCHASE_ORDERS),
    ("prices", Module::PRICE_LISTS),
];

impl Shop {
    async fn open() -> Self {
        let caller = Caller::new().await;
        let tax = caller.fake.put(Module::TAXES, sample::tax(5));
        let ids = Ids { tax, location: sample::PLACES[0].0.to_owned(), ..Ids::default() };
        Self { caller, ids }
    }

    /// Creates a record, creates it once more as after a lost answer, and returns it.
    async fn create(&mut self, entity: &str, n: u32) -> LocalRecord {
        let record = local(entity, n, &self.ids);
        let writer = self.caller.writer(entity);
        let first = writer.create(&record).await.unwrap_or_else(|error| panic!("{entity}: {error}"));
        let before = self.caller.fake.count(module(entity));
        let again = repeated(&*writer, &record).await.unwrap_or_else(|error| panic!("{entity}: {error}"));
        let now = self.caller.fake.count(module(entity));
        assert_eq!((&again, now), (&first.id, before), "{entity} is doubled");
        let id = first.id.as_str();
        self.read_back(entity, &record, id).await;
        let status = self.stored(entity, id).get("status").and_then(Value::as_str).map(str::to_owned);
        record.at_source(id, status.as_deref())
    }

    /// Reads a record as the inbound side does: every written column comes back with the same value.
    async fn read_back(&self, entity: &str, record: &LocalRecord, id: &str) {
        let contract = contract(entity);
        let prefix = if contract.api == Api::Books { "/books/v3" } else { "/inventory/v1" };
        let answer = self.caller.ok(&format!("{prefix}{}/{id}", contract.path), &[]).await;
        let answer = answer.as_object().expect("an object");
        assert_eq!(contract.answer.id(answer).expect("an id"), id);
        let shown = contract.answer.record(answer).expect("a record");
        let descriptor = Catalogue::default().find(contract.entity).expect("a descriptor");
        let read = columns(descriptor.columns, shown).expect("readable columns");
        let mut compared = 0;
        for field in contract.fields.iter().filter(|field| !matches!(field.form, Form::Object(_))) {
            let written = record.fields.get(field.column).filter(|value| !value.is_null());
            if let (Some(written), Some(read)) = (written, read.get(field.column)) {
                assert!(same_value(written, read), "{entity}.{}: {written} became {read}", field.column);
                compared += 1;
            }
        }
        // No column of a head table shows what an adjustment has.
        assert!(compared >= 5 || entity == "stock", "only {compared} columns of {entity} are read back");
        for list in contract.lists.iter().filter(|list| list.key != "pricebook_items") {
            let rows = shown[list.key].as_array().expect("a list").len();
            assert_eq!(rows, record.children[list.table].len(), "{entity}.{}", list.table);
        }
    }

    fn stored(&self, entity: &str, id: &str) -> Fields {
        self.caller.fake.get(module(entity), id).unwrap_or_else(|| panic!("no {entity} {id}"))
    }

    async fn update(&self, record: &LocalRecord, entity: &str, changed: &[&str]) -> Written {
        let changed = changed.iter().map(|name| (*name).to_owned()).collect();
        let written = self.caller.writer(entity).update(record, &changed).await;
        written.unwrap_or_else(|error| panic!("{entity}: {error}"))
    }

    /// Returns a number of a record, digit by digit.
    fn number(&self, entity: &str, id: &str, key: &str) -> String {
        self.stored(entity, id)[key].to_string()
    }
}

pub(crate) fn module(entity: &str) -> Module {
    MODULES.iter().find(|(name, _)| *name == entity).expect("a module").1
}

fn id(record: &LocalRecord) -> &str {
    record.remote_id.as_ref().expect("an id").as_str()
}

#[tokio::test]
async fn every_record_is_created_once_and_moves_what_follows_from_it() {
    let mut shop = Shop::open().await;
    let customer = shop.create("customers", 1).await;
    let vendor = shop.create("vendors", 12).await;
    let product = shop.create("products", 2).await;
    shop.ids.customer = id(&customer).to_owned();
    shop.ids.vendor = id(&vendor).to_owned();
    shop.ids.product = id(&product).to_owned();
    let stored = shop.stored("products", id(&product));
    assert_eq!((&stored["unit"], stored["rate"].to_string()), (&json!("pcs"), "12.500".to_owned()));
    let contact = shop.stored("customers", id(&customer));
    assert_eq!(
        (&contact["email"], &contact["billing_address"]["zip"]),
        (&json!("s@example.test"), &json!("10001"))
    );

    shop.create("stock", 3).await;
    let order = shop.create("sales_orders", 4).await;
    let invoice = shop.create("invoices", 5).await;
    shop.ids.invoice = id(&invoice).to_owned();
    // 2 × 12.000 less 5 %, and 3 × 10.50 less 1.50 with a tax of 5 %; shipping and adjustment follow.
    assert_eq!(shop.number("invoices", id(&invoice), "sub_total"), "52.80");
    assert_eq!(shop.number("invoices", id(&invoice), "tax_total"), "1.50");
    assert_eq!(shop.number("invoices", id(&invoice), "total"), "58.80");
    let payment = shop.create("customer_payments", 6).await;
    let after = shop.stored("invoices", id(&invoice));
    let balance = (after["balance"].to_string(), after["payment_made"].to_string(), &after["status"]);
    assert_eq!(balance, ("43.80".to_owned(), "15.00".to_owned(), &json!("partially_paid")));
    assert_eq!(shop.number("customer_payments", id(&payment), "unused_amount"), "5.00");
    shop.create("credit_notes", 7).await;
    let bill = shop.create("bills", 8).await;
    shop.ids.bill = id(&bill).to_owned();
    shop.create("vendor_payments", 9).await;
    let ordered = shop.create("purchase_orders", 10).await;
    assert_eq!(shop.stored("purchase_orders", id(&ordered))["status"], "open");
    shop.create("prices", 11).await;

    let owed = |entity: &str, record: &LocalRecord, key: &str| shop.number(entity, id(record), key);
    assert_eq!(owed("customers", &customer, "outstanding_receivable_amount"), "43.80");
    assert_eq!(owed("customers", &customer, "unused_credits_receivable_amount"), "59.30");
    assert_eq!(owed("vendors", &vendor, "outstanding_payable_amount"), "41.58");
    // Three were taken away; five were sold, five came back, and five were bought; five are ordered.
    assert_eq!(owed("products", &product, "stock_on_hand"), "2.000000");
    assert_eq!(owed("products", &product, "committed_stock"), "5.000000");
    assert_eq!(shop.stored("sales_orders", id(&order))["status"], "open");
    let fields = shop.stored("sales_orders", id(&order))["custom_fields"].clone();
    assert!(fields.to_string().contains(&key(4)), "{fields}");
}

#[tokio::test]
async fn lines_keep_their_ids_and_every_write_is_pushed() {
    let mut shop = Shop::open().await;
    shop.ids.customer = id(&shop.create("customers", 1).await).to_owned();
    shop.ids.product = id(&shop.create("products", 2).await).to_owned();
    drop(shop.caller.fake.take_webhooks());
    let mut order = shop.create("sales_orders", 3).await;
    let pushed: Vec<(String, String)> =
        shop.caller.fake.take_webhooks().into_iter().map(|hook| (hook.entity_path, hook.event)).collect();
    // The create, both addresses and the status; the repeated create finds the order open.
    assert_eq!(pushed[0], ("sales-orders".to_owned(), "created".to_owned()));
    assert!(pushed.len() > 4 && pushed[1..].iter().all(|(_, event)| event == "updated"), "{pushed:?}");

    let before = shop.stored("sales_orders", id(&order));
    let first = before["line_items"][0]["line_item_id"].as_str().expect("an id").to_owned();
    shop.caller.fake.advance(std::time::Duration::from_secs(90));
    let rows = order.children.get_mut("sales_order_lines").expect("lines");
    // The first line in Zoho is the one with position 1.
    rows[1].insert("line_zoho_id".to_owned(), json!(first));
    rows[1].insert("quantity".to_owned(), digits("7.00"));
    shop.update(&order, "sales_orders", &["sales_order_lines"]).await;
    let after = shop.stored("sales_orders", id(&order));
    let lines = after["line_items"].as_array().expect("lines");
    assert_eq!(
        (&lines[0]["line_item_id"], lines[0]["quantity"].to_string()),
        (&json!(first), "7.00".to_owned())
    );
    assert_ne!(
        lines[1]["line_item_id"], before["line_items"][1]["line_item_id"],
        "the other line is a new one"
    );
    // 7 × 12.000 less 5 % are 79.80, and 30.00 with 1.50 of tax follow; 5.00 − 0.50 are extra.
    assert_eq!(after["total"].to_string(), "115.80");
    assert_ne!(after["last_modified_time"], before["last_modified_time"]);
    let committed = shop.stored("products", &shop.ids.product)["committed_stock"].to_string();
    assert_eq!(committed, "10.000000");
    let echo = shop.caller.fake.take_webhooks().pop().expect("an echo");
    assert!(echo.body.contains(&first) && echo.body.contains(id(&order)), "{}", echo.body);
}

#[tokio::test]
async fn records_are_changed_and_removed_as_their_contracts_say() {
    let mut shop = Shop::open().await;
    let customer = shop.create("customers", 1).await;
    let vendor = shop.create("vendors", 12).await;
    let product = shop.create("products", 2).await;
    shop.ids.customer = id(&customer).to_owned();
    shop.ids.vendor = id(&vendor).to_owned();
    shop.ids.product = id(&product).to_owned();
    let invoice = shop.create("invoices", 3).await;
    shop.ids.invoice = id(&invoice).to_owned();
    let bill = shop.create("bills", 4).await;
    shop.ids.bill = id(&bill).to_owned();
    let mut records = vec![
        ("customer_payments", shop.create("customer_payments", 5).await),
        ("vendor_payments", shop.create("vendor_payments", 6).await),
    ];
    for (entity, n) in [("sales_orders", 7), ("credit_notes", 8), ("purchase_orders", 9), ("prices", 10)] {
        records.push((entity, shop.create(entity, n).await));
    }
    records.extend([("invoices", invoice), ("bills", bill), ("products", product)]);
    records.extend([("customers", customer), ("vendors", vendor)]);

    for (entity, record) in &records {
        let changed = changes(contract(entity), record);
        assert!(!changed.is_empty());
        let written = shop.caller.writer(entity).update(record, &changed).await;
        let written = written.unwrap_or_else(|error| panic!("{entity}: {error}"));
        assert_eq!(written.id.as_str(), id(record));
    }
    // Removed in this order, only the invoice of the payment below is still in use.
    let in_use = shop.create("customer_payments", 11).await;
    for (entity, record) in &records {
        let writer = shop.caller.writer(entity);
        match *entity {
            "products" => {
                let removed = writer.remove(record).await.expect("a removal");
                assert_eq!(removed, Removed::Kept);
                assert_eq!(shop.stored(entity, id(record))["status"], "inactive");
            }
            "customers" => {
                assert_eq!(writer.remove(record).await.expect("a removal"), Removed::Kept);
                assert_eq!(shop.stored(entity, id(record))["status"], "inactive");
                let again = record.clone().at_source(id(record), Some("inactive"));
                assert_eq!(writer.remove(&again).await.expect("a removal"), Removed::Kept);
            }
            "invoices" => {
                // An invoice that was paid is neither deleted nor made void.
                let text = refusal(writer.remove(record).await);
                assert!(text.contains("cannot be deleted") && text.contains("partially_paid"), "{text}");
            }
            _ => {
                assert_eq!(writer.remove(record).await.expect("a removal"), Removed::Gone, "{entity}");
                assert_eq!(writer.remove(record).await.expect("a removal"), Removed::Gone, "{entity}");
            }
        }
    }
    let payments = shop.caller.writer("customer_payments");
    assert_eq!(payments.remove(&in_use).await.expect("a removal"), Removed::Gone);
    // Nothing is paid of the invoice any more, and nothing is ordered or owed.
    let invoice = &records.iter().find(|(entity, _)| *entity == "invoices").expect("an invoice").1;
    assert_eq!(shop.stored("invoices", id(invoice))["status"], "sent");
    assert_eq!(shop.caller.writer("invoices").remove(invoice).await.expect("a removal"), Removed::Gone);
    let customer = shop.stored("customers", &shop.ids.customer);
    let vendor = shop.caller.fake.get(Module::CONTACTS, &shop.ids.vendor);
    assert_eq!(customer["outstanding_receivable_amount"].to_string(), "0.00");
    assert_eq!(customer["unused_credits_receivable_amount"].to_string(), "0.00");
    assert!(vendor.is_none(), "nothing names the vendor any more");
    let product = shop.stored("products", &shop.ids.product);
    assert_eq!(
        (product["stock_on_hand"].to_string(), product["committed_stock"].to_string()),
        ("0.000000".to_owned(), "0.000000".to_owned())
    );
}

/// Returns everything of a record that may change.
fn changes(contract: &Contract, record: &LocalRecord) -> BTreeSet<String> {
    let fields =
        contract.fields.iter().filter(|field| field.when != When::AtCreation).map(|field| field.column);
    let others = contract.parts.iter().map(|part| part.column).chain(contract.folded.iter().copied());
    let columns = fields
        .chain(others)
        .filter(|column| record.fields.get(*column).is_some_and(|value| !value.is_null()));
    columns.chain(contract.lists.iter().map(|list| list.table)).map(str::to_owned).collect()
}

#[tokio::test]
async fn statuses_move_stock_and_receivables() {
    let mut shop = Shop::open().await;
    shop.ids.customer = id(&shop.create("customers", 1).await).to_owned();
    shop.ids.product = id(&shop.create("products", 2).await).to_owned();
    let mut invoice = local("invoices", 3, &shop.ids);
    invoice.fields.insert("status".to_owned(), json!("draft"));
    let created = shop.caller.writer("invoices").create(&invoice).await.expect("an invoice");
    let created = created.id.as_str().to_owned();
    let owed = |shop: &Shop| {
        shop.stored("customers", &shop.ids.customer)["outstanding_receivable_amount"].to_string()
    };
    assert_eq!(owed(&shop), "0.00");
    let mut invoice = invoice.at_source(created.clone(), Some("draft"));
    for (status, expected) in [("sent", "58.80"), ("void", "0.00"), ("draft", "0.00"), ("sent", "58.80")] {
        invoice.fields.insert("status".to_owned(), json!(status));
        shop.update(&invoice, "invoices", &["status"]).await;
        invoice.remote_status = Some(status.to_owned());
        assert_eq!(
            (owed(&shop).as_str(), &shop.stored("invoices", &created)["status"]),
            (expected, &json!(status))
        );
    }
    // Inventory has other names for the actions of credit notes.
    let note = shop.create("credit_notes", 4).await;
    for (action, status) in [("void", "void"), ("draft", "draft"), ("converttoopen", "open")] {
        let path = format!("/inventory/v1/creditnotes/{}/{action}", id(&note));
        assert_eq!(shop.caller.call("POST", &path, &[], &[], None).await.0, 200, "{action}");
        assert_eq!(shop.stored("credit_notes", id(&note))["status"], status);
    }
}
