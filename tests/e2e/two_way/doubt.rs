//! A create whose answer is lost, and edits in Zoho and in the ERP before its next attempt: no edit is written over without
//! a trace, and what is hidden stays in Zoho.

use serde_json::{Value, json};
use tds_core::record::EntityType;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Fault, Module, demo};

use super::both::Both;
use crate::{process::until, shop::FEW};

const KINDS: [(&str, Module); 3] =
    [("customers", Module::CONTACTS), ("products", Module::ITEMS), ("invoices", Module::INVOICES)];
/// Pushes whose attempt has failed are due. By themselves they are not before the test has edited both sides.
const HURRY: &str = "UPDATE tds_queue_live SET run_at = now()";
const IN_DOUBT: &str = "tds_links WHERE in_doubt_since IS NOT NULL AND zoho_id IS NULL";
const FAILED: &str = "tds_sync_queue WHERE status IN ('pending', 'failed') AND error_message IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn edits_before_a_lost_create_is_tried_again_survive_also_where_values_are_hidden() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    demo::organization(&zoho, FEW, 8);
    let more = [
        ("TDS_HIDE_COLUMNS", "customers.phone,invoice_lines.description"),
        ("TDS_RETRY_BASE", "5m"),
        ("TDS_RETRY_MAX", "5m"),
    ];
    let server = Both::server_with(&zoho, &database, &more).await;
    let shop = Both { zoho, database, server };
    shop.sync("currencies").await;
    for policy in ["newest_wins", "zoho_wins"] {
        for (entity, _) in KINDS {
            shop.set(json!({"entity_type": entity, "mode": "bidirectional", "conflict_policy": policy}))
                .await;
        }
        customer(&shop, policy).await;
        let product = product(&shop, policy).await;
        invoice(&shop, policy, product).await;
    }
    shop.server.kill().await;
}

/// Enters a record whose create is done and not answered. Returns its local id, and its id in Zoho.
async fn lost(shop: &Both, module: Module, sql: &str) -> (i64, String) {
    let ids = || -> Vec<String> {
        let id = |record: &serde_json::Map<String, Value>| record[module.id_key].as_str().map(str::to_owned);
        shop.zoho.read(|all| all.records(module).filter_map(id).collect())
    };
    let before = ids();
    // A connection that breaks would be an outage, whose end is probed by further attempts at once.
    let fault = Fault::AfterCommit(Box::new(Fault::EmptyBody));
    shop.zoho.faults().next_writes(&format!("/{}", module.path), 1, fault);
    let local = shop.write(sql).await;
    let failed = async || shop.count(IN_DOUBT).await == 1 && shop.count(FAILED).await == 1;
    until("the answer is lost", failed).await;
    let mut new = ids();
    new.retain(|id| !before.contains(id));
    assert_eq!(new.len(), 1, "{new:?}");
    (local, new.remove(0))
}

/// Lets the next attempt happen. It writes nothing but what is expected, and creates nothing.
async fn next_attempt(shop: &Both, module: Module) {
    let before = shop.zoho.count(module);
    shop.database.execute(HURRY).await;
    shop.arrived("the next attempt").await;
    assert_eq!(shop.zoho.count(module), before, "{} has a double", module.path);
}

async fn customer(shop: &Both, policy: &str) {
    let insert = "INSERT INTO erp.customers (name, company_name, phone, currency_code) VALUES";
    let sql = format!("{insert} ('In doubt {policy}', 'first', '0770', 'IQD') RETURNING id");
    let (local, remote) = lost(shop, Module::CONTACTS, &sql).await;
    let persons = json!([{"contact_person_id": "77", "first_name": "Sara", "phone": "0771", "is_primary_contact": true},
        {"contact_person_id": "78", "first_name": "Ali", "is_primary_contact": false}]);
    let edits = json!({"company_name": "of Zoho", "phone": "0771", "contact_persons": persons});
    shop.edit_unheard(Module::CONTACTS, &remote, edits);
    shop.write(&format!("UPDATE erp.customers SET notes = 'of the ERP' WHERE id = {local}")).await;
    next_attempt(shop, Module::CONTACTS).await;
    let row = shop.row("customers", local).await;
    assert_eq!((&row["zoho_id"], &row["company_name"]), (&json!(remote), &json!("of Zoho")), "{policy}");
    for (key, expected) in
        [("company_name", json!("of Zoho")), ("notes", json!("of the ERP")), ("phone", json!("0771"))]
    {
        assert_eq!(shop.in_zoho(Module::CONTACTS, &remote, key), expected, "{policy} {key}");
    }
    let persons = shop.in_zoho(Module::CONTACTS, &remote, "contact_persons");
    assert_eq!(persons.as_array().map(Vec::len), Some(2), "{policy}: {persons:#}");
}

/// Both sides change the rate: the policy decides, and the ERP's value is kept.
async fn product(shop: &Both, policy: &str) -> i64 {
    let columns = "name, sku, unit, rate, item_type, product_type";
    let values = format!("'In doubt {policy}', 'D-{policy}', 'pcs', 5, 'inventory', 'goods'");
    let sql = format!("INSERT INTO erp.products ({columns}) VALUES ({values}) RETURNING id");
    let (local, remote) = lost(shop, Module::ITEMS, &sql).await;
    shop.edit_unheard(Module::ITEMS, &remote, json!({"rate": 444, "description": "of Zoho"}));
    shop.write(&format!("UPDATE erp.products SET rate = 6 WHERE id = {local}")).await;
    next_attempt(shop, Module::ITEMS).await;
    let row = shop.row("products", local).await;
    assert_eq!((row["rate"].as_f64(), &row["description"]), (Some(444.0), &json!("of Zoho")), "{policy}");
    assert_eq!(shop.in_zoho(Module::ITEMS, &remote, "rate").as_f64(), Some(444.0), "{policy}");
    let kept = format!(
        "tds_conflicts WHERE local_id = {local} AND status = 'resolved' AND (fields->0->>'base')::numeric = 5
            AND (fields->0->>'erp')::numeric = 6 AND (fields->0->>'zoho')::numeric = 444"
    );
    assert_eq!(
        shop.count(&kept).await,
        1,
        "{policy}: {:?}",
        shop.text("SELECT fields::text FROM tds_conflicts").await
    );
    local
}

async fn invoice(shop: &Both, policy: &str, product: i64) {
    const INVOICES: EntityType = EntityType::from_static("invoices");
    let customer = format!("SELECT id FROM erp.customers WHERE name = 'In doubt {policy}'");
    let sql = format!(
        "WITH head AS (INSERT INTO erp.invoices (customer_id, status, date, currency_code)
                       VALUES (({customer}), 'sent', current_date, 'IQD') RETURNING id),
              line AS (INSERT INTO erp.invoice_lines (document_id, position, product_id, quantity, rate)
                       SELECT id, 1, {product}, 2, 10 FROM head)
         SELECT id FROM head"
    );
    let (local, remote) = lost(shop, Module::INVOICES, &sql).await;
    let mut lines = shop.in_zoho(Module::INVOICES, &remote, "line_items");
    lines[0]["description"] = json!("hidden");
    let mut added = lines[0].clone();
    added["line_item_id"] = json!(format!("{remote}9"));
    lines.as_array_mut().expect("lines").push(added);
    shop.edit_unheard(Module::INVOICES, &remote, json!({"line_items": lines, "notes": "of Zoho"}));
    next_attempt(shop, Module::INVOICES).await;
    let entry = shop.entry(&INVOICES, local).await;
    assert_eq!(entry["in_doubt"], false, "{entry:#}");
    let stored = shop.in_zoho(Module::INVOICES, &remote, "line_items");
    assert_eq!(stored, lines, "{policy}: {entry:#}");
    assert_eq!(shop.in_zoho(Module::INVOICES, &remote, "notes"), json!("of Zoho"), "{policy}");
    // The create had a second call, which was never made.
    assert_eq!(shop.in_zoho(Module::INVOICES, &remote, "status"), json!("sent"), "{policy}: {entry:#}");
    assert_eq!(shop.row("invoices", local).await["notes"], json!("of Zoho"), "{policy}");
    assert_eq!(shop.lines("invoice_lines", "document_id", local).await.len(), 2, "{policy}");
}
