//! The three phases of the transition, from outside: every entity type that can be written goes from `zoho_primary` over
//! `shadow` and `bidirectional` to `erp_primary` and back. One server and one database serve all of it.

mod both;
mod erp;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_core::record::EntityType;
use tds_zoho::testkit::Module;

use crate::two_way::{
    both::Both,
    entries::{KINDS, Kind, enter},
};

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
        assert!(
            says(kind.entity.as_str()) && says("zoho_primary") && says("TDS_WRITE_GUARD"),
            "{sql}: {error}"
        );
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
    let entered = both::phase_two(&shop).await;
    both::removals(&shop, &entered).await;
    erp::phase_three(&shop).await;
    erp::back(&shop).await;
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
        assert_eq!(
            (&difference["field"], &difference["erp"]),
            (&json!(kind.change.0), &json!("on trial")),
            "{entry:#}"
        );
        assert_eq!(shown(&difference["zoho"]), shown(old), "{entry:#}");
        assert_eq!(entry["zoho_id"], json!(remote), "{entry:#}");
    }
    for (entity, local) in &trial {
        let entity = EntityType::from_static(entity);
        let entry = shop.becomes(&entity, *local, "shadow").await;
        assert!(entry["differences"].as_array().is_some_and(|all| !all.is_empty()), "{entry:#}");
        assert_eq!(entry["zoho_id"], Value::Null, "{entry:#}");
    }
    assert_eq!(
        (shop.zoho.writes(), &in_zoho(shop)),
        (before.0, &before.1),
        "shadow makes no call that writes"
    );
    let readiness = shop.server.get("/api/zoho/readiness").await;
    let checks = readiness["checks"].as_array().expect("checks");
    let refused = checks.iter().find(|check| check["name"] == "shadow_pushes").expect("a check of the trial");
    assert_eq!(refused["status"], "pass", "nothing of the trial would be refused: {refused:#}");

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
    shop.write(&format!("DELETE FROM erp.stock_adjustment_lines WHERE document_id = {}", trial["stock"]))
        .await;
    shop.write(&format!("DELETE FROM erp.stock_adjustments WHERE id = {}", trial["stock"])).await;
    shop.arrived("the end of the trial").await;
    assert_eq!(rows(shop).await, before.2);
    assert_eq!(shop.zoho.writes(), before.0);
}
