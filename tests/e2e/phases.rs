//! The three phases of the transition, from outside: every entity type that can be written goes from `zoho_primary` over
//! `shadow` and `bidirectional` to `erp_primary` and back. One server and one database serve all of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_zoho::testkit::{Module, stamp};

use crate::two_way::{
    both::Both,
    entries::{Entered, KINDS, Kind, STOCK, enter},
};

/// Acts as if everything had been read an hour ago: a verification looks again, and later, at what was just seen.
const AGE: &str = "UPDATE tds_sync_records SET observed_began = observed_began - interval '1 hour',
    observed_ended = observed_ended - interval '1 hour', first_seen_at = first_seen_at - interval '1 hour',
    detail_seen = detail_seen - interval '1 hour', volatile_seen = volatile_seen - interval '1 hour'";

/// Asserts that the database refuses every kind of write, and says why.
async fn assert_guarded(shop: &Both, kind: &Kind) {
    let Kind { table, change: (column, _), .. } = kind;
    let first = format!("WHERE id = (SELECT min(id) FROM erp.{table})");
    let mut statements = vec![
        format!("INSERT INTO erp.{table} ({column}) VALUES ('by hand')"),
        format!("UPDATE erp.{table} SET {column} = 'by hand' {first}"),
        format!("UPDATE erp.{table} SET deleted_at = now() {first}"),
        format!("DELETE FROM erp.{table} {first}"),
    ];
    if let Some((lines, _)) = kind.lines {
        statements.push(format!("DELETE FROM erp.{lines}"));
    }
    for sql in statements {
        let error = shop.refused(&sql).await;
        let says = |word: &str| error.contains(word);
        assert!(says(kind.entity.as_str()) && says("zoho_primary") && says("TDS_WRITE_GUARD"), "{sql}: {error}");
    }
}

async fn assert_never_emptied(shop: &Both, mode: &str) {
    for kind in &KINDS {
        let error = shop.refused(&format!("TRUNCATE erp.{}", kind.table)).await;
        assert!(error.contains("TRUNCATE"), "{mode}, {}: {error}", kind.table);
    }
}

/// Returns the number of rows of every table that is written.
async fn rows(shop: &Both) -> BTreeMap<&'static str, i64> {
    let mut rows = BTreeMap::new();
    for kind in &KINDS {
        for table in [Some(kind.table), kind.lines.map(|(table, _)| table)].into_iter().flatten() {
            rows.insert(table, shop.count(&format!("erp.{table}")).await);
        }
    }
    rows
}

/// Returns the number of records of each module.
fn in_zoho(shop: &Both) -> BTreeMap<&'static str, usize> {
    let modules = KINDS.iter().map(|kind| kind.module).chain([Module::ADJUSTMENTS]);
    modules.map(|module| (module.path, shop.zoho.count(module))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_written_type_goes_through_the_phases_and_back_and_nothing_differs_at_the_end() {
    let shop = Both::open(3).await;
    phase_one(&shop).await;
    shadow(&shop).await;
    let entered = phase_two(&shop).await;
    removals(&shop, &entered).await;
    phase_three(&shop).await;
    back(&shop).await;
    shop.server.kill().await;
}

/// Zoho is primary: nobody but TDS writes the mirror.
async fn phase_one(shop: &Both) {
    for kind in &KINDS {
        assert_guarded(shop, kind).await;
    }
    for sql in [
        "UPDATE erp.stock_levels SET stock_on_hand = stock_on_hand + 1",
        "INSERT INTO erp.stock_adjustments (date, reason) VALUES (current_date, 'Counted')",
    ] {
        let error = shop.refused(sql).await;
        assert!(error.contains("stock") && error.contains("zoho_primary"), "{sql}: {error}");
    }
    assert_never_emptied(shop, "zoho_primary").await;
    assert_eq!(shop.count("tds_outbox").await, 0);
    let kind = &KINDS[0];
    let (local, remote) = shop.known(kind.table, 0).await;
    shop.edit(kind.path, kind.module, &remote, json!({"reference_number": "of phase 1"})).await;
    shop.quiet().await;
    assert_eq!(shop.row(kind.table, local).await["reference_number"], "of phase 1");
    let (status, shown) = shop.server.command(&["mode", "get", "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
    let modes = shown["modes"].as_array().expect("modes");
    assert!(status == 0 && modes.len() > 12, "{shown:#}");
    assert!(modes.iter().all(|mode| mode["mode"] == "zoho_primary"), "{shown:#}");
}

/// Shadow: what would be pushed is shown, no call is made, and Zoho wins.
async fn shadow(shop: &Both) {
    shop.set_modes("shadow").await;
    assert_never_emptied(shop, "shadow").await;
    let before = (shop.zoho.writes(), in_zoho(shop), rows(shop).await);
    let mut edited = Vec::new();
    for kind in &KINDS {
        let (local, remote) = shop.known(kind.table, 1).await;
        let (column, key) = kind.change;
        let old = shop.in_zoho(kind.module, &remote, key);
        shop.write(&format!("UPDATE erp.{} SET {column} = 'on trial' WHERE id = {local}", kind.table)).await;
        edited.push((kind, local, remote, old));
    }
    let trial = enter(shop, "Trial").await;
    shop.arrived("shadow").await;
    for (kind, local, remote, old) in &edited {
        let entry = shop.becomes(&kind.entity, *local, "shadow").await;
        let differences = entry["differences"].as_array().expect("differences");
        let [difference] = differences.as_slice() else { panic!("{entry:#}") };
        let shown = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!((&difference["field"], &difference["erp"]), (&json!(kind.change.0), &json!("on trial")), "{entry:#}");
        assert_eq!(shown(&difference["zoho"]), shown(old), "{entry:#}");
        assert_eq!(entry["zoho_id"], json!(remote), "{entry:#}");
    }
    for (entity, local) in &trial {
        let entity = tds_core::record::EntityType::from_static(entity);
        let entry = shop.becomes(&entity, *local, "shadow").await;
        assert!(entry["differences"].as_array().is_some_and(|all| !all.is_empty()), "{entry:#}");
        assert_eq!(entry["zoho_id"], Value::Null, "{entry:#}");
    }
    assert_eq!((shop.zoho.writes(), &in_zoho(shop)), (before.0, &before.1), "shadow makes no call that writes");

    for (kind, _, remote, _) in &edited {
        let (_, key) = kind.change;
        shop.edit(kind.path, kind.module, remote, json!({key: "of Zoho"})).await;
    }
    shop.arrived("Zoho's edits over those of the trial").await;
    for (kind, local, ..) in &edited {
        assert_eq!(shop.row(kind.table, *local).await[kind.change.0], "of Zoho", "{}", kind.entity);
    }
    // What the trial created is deleted before anything is pushed.
    for kind in KINDS.iter().filter(|kind| trial.contains_key(kind.entity.as_str())) {
        let local = trial[kind.entity.as_str()];
        if let Some((lines, owner)) = kind.lines {
            shop.write(&format!("DELETE FROM erp.{lines} WHERE {owner} = {local}")).await;
        }
        shop.write(&format!("DELETE FROM erp.{} WHERE id = {local}", kind.table)).await;
    }
    shop.write(&format!("DELETE FROM erp.stock_adjustment_lines WHERE document_id = {}", trial["stock"])).await;
    shop.write(&format!("DELETE FROM erp.stock_adjustments WHERE id = {}", trial["stock"])).await;
    shop.arrived("the end of the trial").await;
    assert_eq!(rows(shop).await, before.2);
    assert_eq!(shop.zoho.writes(), before.0);
}

/// Both sides write: creates that refer to each other, edits on both sides, and echoes that do not bounce.
async fn phase_two(shop: &Both) -> Entered {
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
    assert_eq!((shop.zoho.writes(), shop.count("tds_outbox").await), (writes, entries), "an echo does not bounce");

    for kind in &KINDS {
        let (column, local) = (kind.change.0, entered[kind.entity.as_str()]);
        shop.write(&format!("UPDATE erp.{} SET {column} = 'changed here' WHERE id = {local}", kind.table)).await;
    }
    let counted = "erp.stock_levels AS l JOIN erp.products AS p ON p.zoho_id = l.product_zoho_id";
    let level = shop.text(&format!("SELECT l.id::text FROM {counted} WHERE l.location_zoho_id <> '' AND p.status = 'active' ORDER BY l.id LIMIT 1")).await.expect("a level");
    let adjustments = shop.zoho.count(Module::ADJUSTMENTS);
    let before = level_of(shop, &level).await;
    shop.write(&format!("UPDATE erp.stock_levels SET stock_on_hand = stock_on_hand + 3 WHERE id = {level}")).await;
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

async fn level_of(shop: &Both, id: &str) -> f64 {
    let level = shop.text(&format!("SELECT stock_on_hand::text FROM erp.stock_levels WHERE id = {id}")).await;
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
        let is_read = !row["raw"].is_null() && !row["synced_at"].is_null() && !row["zoho_modified_at"].is_null();
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
    assert_eq!((&invoice["total"], &invoice["balance"]), (&json!(4001.0), &json!(2001.0)), "{invoice:#}");
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
async fn removals(shop: &Both, entered: &Entered) {
    let order = shop.row("sales_orders", entered["sales_orders"]).await["zoho_id"].clone();
    let customer = shop.row("customers", entered["customers"]).await["zoho_id"].clone();
    let (order, customer) = (order.as_str().expect("an id"), customer.as_str().expect("an id"));
    shop.write(&format!("DELETE FROM erp.sales_order_lines WHERE document_id = {}", entered["sales_orders"])).await;
    shop.write(&format!("DELETE FROM erp.sales_orders WHERE id = {}", entered["sales_orders"])).await;
    shop.write(&format!("UPDATE erp.customers SET deleted_at = now() WHERE id = {}", entered["customers"])).await;
    shop.arrived("removals").await;
    assert!(shop.zoho.get(Module::SALES_ORDERS, order).is_none(), "the order is gone");
    assert_eq!(shop.in_zoho(Module::CONTACTS, customer, "status"), "inactive", "Zoho keeps what documents name");
    let entry = shop.becomes(&KINDS[3].entity, entered["customers"], "pushed").await;
    assert!(entry["note"].as_str().is_some_and(|note| note.contains("keeps it")), "{entry:#}");
    shop.echo().await;
    shop.arrived("the echoes of removals").await;
    let row = shop.row("customers", entered["customers"]).await;
    assert_eq!((&row["status"], &row["deleted_at"]), (&json!("inactive"), &Value::Null), "{row:#}");
    let live = format!("erp.live_sales_orders WHERE zoho_id = '{order}'");
    assert_eq!(shop.count(&live).await, 0);
}

/// The ERP is primary: what others change in Zoho is drift.
async fn phase_three(shop: &Both) {
    shop.set_modes("erp_primary").await;
    let writes = shop.zoho.writes();
    let mut edited = Vec::new();
    for kind in &KINDS {
        let (column, key) = kind.change;
        let (local, remote) = shop.known(kind.table, 2).await;
        let old = shop.row(kind.table, local).await[column].clone();
        // The edit is older than a minute, so that it cannot be a change on its way.
        let at = stamp(shop.zoho.now() - time::Duration::minutes(10));
        shop.edit(kind.path, kind.module, &remote, json!({key: "of a foreigner", "last_modified_time": at})).await;
        edited.push((kind, local, remote, old));
    }
    shop.arrived("edits of foreigners").await;
    for (kind, local, _, old) in &edited {
        assert_eq!(&shop.row(kind.table, *local).await[kind.change.0], old, "{} is not applied", kind.entity);
    }
    assert_eq!(shop.zoho.writes(), writes);

    // Each of them is drift, and the switch back is refused.
    shop.write(AGE).await;
    let found = drift(shop).await;
    for (kind, _, remote, _) in &edited {
        let is_found = found.iter().any(|(entity, id)| entity == kind.entity.as_str() && id == remote);
        assert!(is_found, "{} {remote} is not in {found:?}", kind.entity);
    }
    assert_eq!(found.len(), KINDS.len(), "{found:?}");
    let (status, stdout, stderr) = shop.server.told(&["mode", "switch", "sales_orders", "bidirectional"]).await;
    assert!(status == 1 && stderr.contains("differ"), "{status}: {stdout}{stderr}");

    // The ERP's values go to Zoho again. Then nothing keeps the types from switching.
    for (kind, local, ..) in &edited {
        shop.write(&format!("SELECT 1::bigint FROM tds_push('{}', {local}, 'upsert')", kind.entity)).await;
    }
    shop.arrived("the ERP's values").await;
    for (kind, local, remote, old) in &edited {
        let now = shop.in_zoho(kind.module, remote, kind.change.1);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(text(&now), text(old), "{} {local}", kind.entity);
    }
    shop.echo().await;
    shop.arrived("the echoes of phase 3").await;
}

/// Returns the records that a verification of everything reports.
async fn drift(shop: &Both) -> Vec<(String, String)> {
    let (_, report) = shop.server.command(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
    let entities = report["entities"].as_array().expect("entities");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut found = Vec::new();
    for entity in entities {
        for example in entity["examples"].as_array().expect("examples") {
            found.push((text(&entity["entity_type"]), text(&example["zoho_id"])));
        }
    }
    assert_eq!(report["drift_total"], json!(found.len()), "{report:#}");
    found
}

/// Back to both sides, and to Zoho: an edit in Zoho arrives again, and at the end nothing differs.
async fn back(shop: &Both) {
    shop.write(AGE).await;
    let (status, stdout, stderr) = shop.server.told(&["mode", "switch", "sales_orders", "bidirectional"]).await;
    assert_eq!(status, 0, "{stdout}{stderr}");
    shop.set_modes("bidirectional").await;
    let (local, remote) = shop.known("sales_orders", 2).await;
    shop.edit("sales-orders", Module::SALES_ORDERS, &remote, json!({"reference_number": "again"})).await;
    shop.arrived("an edit after the way back").await;
    assert_eq!(shop.row("sales_orders", local).await["reference_number"], "again");

    let (status, stdout, stderr) = shop.server.told(&["mode", "switch", "products", "zoho_primary"]).await;
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert_guarded(shop, &KINDS[4]).await;
    shop.write(AGE).await;
    let (status, report) = shop.server.command(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!((status, &report["drift_total"]), (0, &json!(0)), "{report:#}");
}
