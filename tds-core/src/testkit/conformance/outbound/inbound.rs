//! What the mirror writes while changes are pending, and in the modes that write both sides.

use super::*;
use crate::{queue::Outcome, record::Content};

const IGNORED: Applied = Applied::Done(Outcome::Ignored);

fn absent(began: i64) -> Read {
    Read { content: Content::Absent, ..RecordBuilder::new(&PRODUCTS, "1").read(at(began), at(began + 1)) }
}

/// Returns a whole read of product 1.
fn product(name: &str, description: &str, version: i64) -> Read {
    let record = named(name, version).fields(json!({"description": description}));
    record.read(at(version * 10), at(version * 10 + 1))
}

pub async fn columns_with_pending_changes_are_kept_when_the_record_is_read(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    applied(harness, &PRODUCT_SCHEMA, product("theirs", "new", 2)).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("ours"));
    assert_eq!(out.description(local_id).await.as_deref(), Some("new"));
    let state = Case(harness).states(&PRODUCTS, &["1"]).await;
    assert_eq!(state[&RecordId::new("1")].version, Some(at(2)), "the read was accepted");
    out.pushed(&PRODUCT_SCHEMA, local_id).await;
    applied(harness, &PRODUCT_SCHEMA, product("later", "new", 3)).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("later"), "the change is settled");
}

pub async fn child_tables_with_pending_changes_are_kept_when_the_record_is_read(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let invoice = |number: &str, line: &str, version: i64| {
        RecordBuilder::new(&INVOICES, "1")
            .version(at(version))
            .fields(json!({"number": number}))
            .children("invoice_lines", [json!({"line_zoho_id": "11", "position": 1, "name": line})])
            .read(at(version * 10), at(version * 10 + 1))
    };
    applied(harness, &INVOICE_SCHEMA, invoice("INV-1", "lamp", 1)).await;
    let local_id = harness.local_id(&INVOICE_SCHEMA, "1").await.expect("a local id");
    out.write_lines(local_id, vec![json!({"line_zoho_id": "11", "position": 1, "name": "our lamp"})]).await;
    applied(harness, &INVOICE_SCHEMA, invoice("INV-2", "their lamp", 2)).await;
    assert_eq!(harness.column("invoices", "1", "number").await.as_deref(), Some("INV-2"));
    assert_eq!(harness.local_child_column(&INVOICE_SCHEMA, local_id, "name").await, ["our lamp"]);
}

pub async fn a_removed_row_does_not_come_back_while_its_removal_is_pending(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    for (id, tombstone) in [("1", true), ("2", false)] {
        let read = |version: i64| {
            let record = RecordBuilder::new(&PRODUCTS, id).version(at(version));
            record.fields(json!({"name": version.to_string()})).read(at(version * 10), at(version * 10 + 1))
        };
        applied(harness, &PRODUCT_SCHEMA, read(1)).await;
        let local_id = out.local_id(id).await;
        harness.delete_local(&PRODUCT_SCHEMA, local_id, tombstone).await;
        applied(harness, &PRODUCT_SCHEMA, read(2)).await;
        assert_eq!(out.name(local_id).await.as_deref(), tombstone.then_some("1"));
        let deleted = harness.local_column(&PRODUCT_SCHEMA, local_id, "deleted_at").await;
        assert_eq!(deleted.is_some(), tombstone);
    }
}

pub async fn the_first_write_over_pending_changes_keeps_the_base(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.mirrored("second", 2).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    for version in [3, 4] {
        out.mirrored(&version.to_string(), version).await;
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        assert_eq!(common_name(&push).as_deref(), Some("second"));
    }
    out.pushed(&PRODUCT_SCHEMA, local_id).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours again"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(common_name(&push).as_deref(), Some("4"), "what was accepted last is the base");
}

pub async fn what_no_change_is_about_has_the_newest_read_as_its_base(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"description": "ours"})).await;
    out.mirrored("second", 2).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("second"), "the name is free");
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(common_name(&push).as_deref(), Some("second"));
    assert_eq!(
        push.earlier.iter().map(|state| state.names.clone()).collect::<Vec<_>>(),
        [names(["description"])]
    );
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    for version in [3, 4] {
        out.mirrored(&version.to_string(), version).await;
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        assert_eq!(common_name(&push).as_deref(), Some("second"), "it was changed over this name");
        assert_eq!(push.earlier.len(), 2);
    }
}

pub async fn a_deletion_at_the_source_waits_for_pending_changes(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    applied(harness, &PRODUCT_SCHEMA, absent(20)).await;
    let deleted = async || harness.local_column(&PRODUCT_SCHEMA, local_id, "deleted_at").await;
    assert_eq!(deleted().await, None, "the push decides");
    out.pushed(&PRODUCT_SCHEMA, local_id).await;
    applied(harness, &PRODUCT_SCHEMA, answered(absent(30))).await;
    assert!(deleted().await.is_some());
}

pub async fn the_versions_of_the_source_win_in_shadow(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Shadow).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    applied(harness, &PRODUCT_SCHEMA, product("theirs", "new", 2)).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("theirs"));
}

pub async fn only_volatile_columns_of_known_records_are_written_in_target_primary(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let invoice = |id: &str, notes: &str, balance: i64, version: i64| {
        RecordBuilder::new(&INVOICES, id)
            .version(at(version))
            .fields(json!({"notes": notes}))
            .volatile(json!({"balance": balance}))
            .read(at(version * 10), at(version * 10 + 1))
    };
    applied(harness, &INVOICE_SCHEMA, invoice("1", "common", 100, 1)).await;
    out.set_mode(INVOICES, Mode::TargetPrimary).await;
    assert_eq!(applied(harness, &INVOICE_SCHEMA, invoice("1", "foreign", 40, 2)).await, IGNORED);
    assert_eq!(harness.column("invoices", "1", "notes").await.as_deref(), Some("common"));
    let balance = harness.column("invoices", "1", "balance").await.expect("a balance");
    assert!(balance.starts_with("40"), "{balance}");
    assert_eq!(applied(harness, &INVOICE_SCHEMA, invoice("2", "foreign", 1, 1)).await, IGNORED);
    assert_eq!(harness.column("invoices", "2", "notes").await, None);
    applied(harness, &INVOICE_SCHEMA, answered(invoice("1", "pushed", 40, 3))).await;
    assert_eq!(harness.column("invoices", "1", "notes").await.as_deref(), Some("pushed"), "our own push");
}
