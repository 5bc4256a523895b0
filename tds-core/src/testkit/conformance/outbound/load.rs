//! What a push is made of.

use super::*;
use crate::outbound::Operation;

pub async fn a_push_has_everything_that_is_pending_of_its_record(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "bright lamp"})).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"description": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let entries = out.entries().await;
    assert_eq!((&push.entity, push.local_id, push.operation), (&PRODUCTS, local_id, Operation::Upsert));
    assert_eq!(push.changes, entries.iter().map(|entry| entry.id).collect::<Vec<_>>());
    assert_eq!(push.fields, names(["description", "name"]));
    assert_eq!(push.changed_at, entries[1].captured_at);
    assert_eq!(push.mode.mode, Mode::Bidirectional);
    assert_eq!(push.link.remote_id, Some(RecordId::new("1")));
    assert!(push.link.in_doubt_since.is_none() && push.decisions.is_empty());
    let record = push.record.clone().expect("the row");
    assert_eq!((&record.key, &record.remote_id), (&push.link.key, &push.link.remote_id));
    assert_eq!(
        (&record.fields["name"], &record.fields["description"]),
        (&json!("bright lamp"), &json!("ours"))
    );
    assert_eq!(common_name(&push).as_deref(), Some("lamp"), "the last common state");
    assert_eq!(push.base.map(|base| base.1), Some(Shape::Detail));
}

pub async fn a_push_of_a_document_has_its_child_rows(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let invoice = out.insert(&INVOICE_SCHEMA, json!({"number": "INV-1"})).await;
    out.write_lines(
        invoice,
        vec![json!({"position": 1, "name": "lamp"}), json!({"position": 2, "name": "desk"})],
    )
    .await;
    let push = out.loaded(&INVOICE_SCHEMA, invoice).await;
    let record = push.record.clone().expect("the row");
    let mut lines: Vec<&Value> = record.children["invoice_lines"].iter().map(|line| &line["name"]).collect();
    lines.sort_by_key(|name| name.to_string());
    assert_eq!(lines, ["desk", "lamp"]);
    assert_eq!((record.remote_id, push.base), (None, None), "the source has never seen the record");
    out.pushed(&INVOICE_SCHEMA, invoice).await;
    out.write_lines(invoice, vec![json!({"position": 1, "name": "lamp"})]).await;
    let push = out.loaded(&INVOICE_SCHEMA, invoice).await;
    assert_eq!(push.fields, names(["invoice_lines"]));
}

pub async fn nothing_is_loaded_of_a_record_without_pending_changes(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    assert_eq!(out.load(&PRODUCT_SCHEMA, local_id).await, None);
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "bright lamp"})).await;
    out.pushed(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(out.load(&PRODUCT_SCHEMA, local_id).await, None);
}

pub async fn a_record_keeps_the_key_of_its_first_load(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let lamp = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let desk = out.insert(&PRODUCT_SCHEMA, json!({"name": "desk"})).await;
    let first = out.loaded(&PRODUCT_SCHEMA, lamp).await.link.key;
    assert!(uuid::Uuid::parse_str(&first).is_ok(), "{first}");
    assert_ne!(first, out.loaded(&PRODUCT_SCHEMA, desk).await.link.key);
    out.pushed(&PRODUCT_SCHEMA, lamp).await;
    out.update(&PRODUCT_SCHEMA, lamp, json!({"name": "bright lamp"})).await;
    assert_eq!(out.loaded(&PRODUCT_SCHEMA, lamp).await.link.key, first);
}

pub async fn a_record_whose_row_is_gone_or_a_tombstone_is_removed(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    for (id, tombstone) in [("1", true), ("2", false)] {
        let read = RecordBuilder::new(&PRODUCTS, id).version(at(1)).fields(json!({"name": "lamp"}));
        applied(harness, &PRODUCT_SCHEMA, read.read(at(10), at(11))).await;
        let local_id = out.local_id(id).await;
        out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "bright lamp"})).await;
        harness.delete_local(&PRODUCT_SCHEMA, local_id, tombstone).await;
        let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
        assert_eq!((push.operation, push.changes.len()), (Operation::Delete, 2));
        assert_eq!(push.link.remote_id, Some(RecordId::new(id)), "what is to be removed is known");
        assert_eq!(push.record.is_some(), tombstone);
    }
}

pub async fn references_are_resolved_as_soon_as_the_id_is_known(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let customer = out.insert(&CUSTOMER_SCHEMA, json!({"name": "Graz"})).await;
    let invoice = out.insert(&INVOICE_SCHEMA, json!({"number": "INV-1", "customer_id": customer})).await;
    let refers_to = async || {
        let record = out.loaded(&INVOICE_SCHEMA, invoice).await.record.expect("the row");
        record.value("customer_zoho_id").cloned()
    };
    assert_eq!(refers_to().await, None);
    let push = out.loaded(&CUSTOMER_SCHEMA, customer).await;
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    out.outbox().linked(&push, &RecordId::new("77")).await.expect("linked");
    assert_eq!(refers_to().await, Some(json!("77")));
}
