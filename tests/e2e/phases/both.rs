//! Phase 2: both sides write.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use super::{assert_never_emptied, in_zoho, rows};
use crate::two_way::{
    both::Both,
    entries::{Entered, KINDS, STOCK, enter},
};

/// Both sides write: creates that refer to each other, edits on both sides, and echoes that do not bounce.
pub(super) async fn phase_two(shop: &Both) -> Entered {
    for entity in ["sales_orders", "products"] {
        let (status, stdout, stderr) = shop.server.told(&["mode", "switch", entity, "bidirectional"]).await;
        assert_eq!(status, 0, "{entity}: {stdout}{stderr}");
    }
    shop.set_modes("bidirectional").await;
    assert_never_emptied(shop, "bidirectional").await;

    let (before, heads) = (in_zoho(shop), rows(shop).await);
    let entered = enter(shop, "Born").await;
    shop.arrived("creates").await;
    assert_created(shop, &entered, &before).await;
    let created = rows(shop).await;
    for (table, count) in &created {
        let new = if *table == "invoice_lines" { 2 } else { 1 };
        assert_eq!(*count, heads[table] + new, "{table}");
    }
    let writes = shop.zoho.writes();
    let entries = shop.count("tds_outbox").await;
    assert!(shop.echo().await > KINDS.len(), "Zoho announces every write");
    shop.arrived("the echoes of creates").await;
    assert_eq!(rows(shop).await, created, "an echo makes no second row");
    assert_eq!(
        (shop.zoho.writes(), shop.count("tds_outbox").await),
        (writes, entries),
        "an echo does not bounce"
    );

    for kind in &KINDS {
        let (column, local) = (kind.change.0, entered[kind.entity.as_str()]);
        shop.write(&format!("UPDATE erp.{} SET {column} = 'changed here' WHERE id = {local}", kind.table))
            .await;
    }
    let found = "SELECT format('product_zoho_id = %L AND location_zoho_id = %L', l.product_zoho_id, l.location_zoho_id)
        FROM erp.stock_levels AS l JOIN erp.products AS p ON p.zoho_id = l.product_zoho_id
        WHERE l.location_zoho_id <> '' AND p.status = 'active' ORDER BY l.id LIMIT 1";
    let level = shop.text(found).await.expect("a level");
    let adjustments = shop.zoho.count(Module::ADJUSTMENTS);
    let before = level_of(shop, &level).await;
    shop.write(&format!("UPDATE erp.stock_levels SET stock_on_hand = stock_on_hand + 3 WHERE {level}")).await;
    shop.arrived("updates").await;
    assert_eq!(shop.zoho.count(Module::ADJUSTMENTS), adjustments + 1, "a level is changed by one adjustment");
    shop.echo().await;
    shop.arrived("the echoes of updates").await;
    assert_eq!(level_of(shop, &level).await, before + 3.0, "Zoho has the level that the ERP counted");
    for kind in &KINDS {
        let local = entered[kind.entity.as_str()];
        let row = shop.row(kind.table, local).await;
        let remote = row["zoho_id"].as_str().expect("an id").to_owned();
        let (column, key) = kind.change;
        assert_eq!(shop.in_zoho(kind.module, &remote, key), "changed here", "{}", kind.entity);
        assert_eq!(row[column], "changed here", "{}", kind.entity);
        shop.edit(kind.path, kind.module, &remote, json!({key: "changed there"})).await;
    }
    let writes = shop.zoho.writes();
    shop.arrived("edits in Zoho").await;
    for kind in &KINDS {
        let row = shop.row(kind.table, entered[kind.entity.as_str()]).await;
        assert_eq!(row[kind.change.0], "changed there", "{}", kind.entity);
    }
    assert_eq!((shop.zoho.writes(), rows(shop).await), (writes, created), "an edit in Zoho does not bounce");
    entered
}

async fn level_of(shop: &Both, place: &str) -> f64 {
    let level = shop.text(&format!("SELECT stock_on_hand::text FROM erp.stock_levels WHERE {place}")).await;
    level.and_then(|text| text.parse().ok()).expect("a number")
}

/// Asserts that each record is in Zoho once, and that everything that Zoho gave came back.
async fn assert_created(shop: &Both, entered: &Entered, before: &BTreeMap<&'static str, usize>) {
    for (path, count) in in_zoho(shop) {
        // Customers and vendors are both contacts.
        let new = if path == Module::CONTACTS.path { 2 } else { 1 };
        assert_eq!(count, before[path] + new, "{path}");
    }
    for kind in &KINDS {
        let local = entered[kind.entity.as_str()];
        let row = shop.row(kind.table, local).await;
        let remote = row["zoho_id"].as_str().unwrap_or_else(|| panic!("{}: {row:#}", kind.entity));
        assert!(shop.zoho.get(kind.module, remote).is_some(), "{}", kind.entity);
        let has_number = row.get("number").is_none_or(|number| !number.is_null());
        let is_read =
            !row["raw"].is_null() && !row["synced_at"].is_null() && !row["zoho_modified_at"].is_null();
        assert!(has_number && (is_read || kind.module == Module::PRICE_LISTS), "{}: {row:#}", kind.entity);
        let Some((table, owner)) = kind.lines else { continue };
        for line in lines_of(shop, table, owner, local).await {
            let is_complete = |(column, value): (&String, &Value)| {
                !column.ends_with("_id") || !value.is_null() || column == "tax_zoho_id"
            };
            assert!(line.as_object().expect("a row").iter().all(is_complete), "{table}: {line:#}");
        }
        let entry = shop.becomes(&kind.entity, local, "pushed").await;
        assert!(entry["differences"].as_array().is_some_and(|all| !all.is_empty()), "{entry:#}");
    }
    shop.becomes(&STOCK, entered["stock"], "pushed").await;
    let invoice = shop.row("invoices", entered["invoices"]).await;
    let amounts = (invoice["total"].to_string(), invoice["balance"].to_string());
    assert_eq!(amounts, ("4001.00".to_owned(), "2001.00".to_owned()), "{invoice:#}");
    let payment = shop.row("customer_payments", entered["customer_payments"]).await;
    assert_eq!(payment["customer_zoho_id"], invoice["customer_zoho_id"], "{payment:#}");
}

async fn lines_of(shop: &Both, table: &str, owner: &str, local_id: i64) -> Vec<Value> {
    let sql = format!(
        "SELECT jsonb_agg(to_jsonb(t) ORDER BY t.id)::text FROM erp.{table} AS t WHERE {owner} = {local_id}"
    );
    let rows = shop.text(&sql).await.unwrap_or_else(|| panic!("{table} has no rows of {local_id}"));
    serde_json::from_str(&rows).expect("JSON")
}

/// Removals: of a record that nothing uses, and of one that other records use.
pub(super) async fn removals(shop: &Both, entered: &Entered) {
    let order = shop.row("sales_orders", entered["sales_orders"]).await["zoho_id"].clone();
    let customer = shop.row("customers", entered["customers"]).await["zoho_id"].clone();
    let (order, customer) = (order.as_str().expect("an id"), customer.as_str().expect("an id"));
    shop.write(&format!("DELETE FROM erp.sales_order_lines WHERE document_id = {}", entered["sales_orders"]))
        .await;
    shop.write(&format!("DELETE FROM erp.sales_orders WHERE id = {}", entered["sales_orders"])).await;
    shop.write(&format!("UPDATE erp.customers SET deleted_at = now() WHERE id = {}", entered["customers"]))
        .await;
    shop.arrived("removals").await;
    assert!(shop.zoho.get(Module::SALES_ORDERS, order).is_none(), "the order is gone");
    assert_eq!(
        shop.in_zoho(Module::CONTACTS, customer, "status"),
        "inactive",
        "Zoho keeps what documents name"
    );
    let entry = shop.becomes(&KINDS[3].entity, entered["customers"], "pushed").await;
    assert!(entry["note"].as_str().is_some_and(|note| note.contains("keeps it")), "{entry:#}");
    shop.echo().await;
    shop.arrived("the echoes of removals").await;
    let row = shop.row("customers", entered["customers"]).await;
    assert_eq!((&row["status"], &row["deleted_at"]), (&json!("inactive"), &Value::Null), "{row:#}");
    let live = format!("erp.live_sales_orders WHERE zoho_id = '{order}'");
    assert_eq!(shop.count(&live).await, 0);
}
