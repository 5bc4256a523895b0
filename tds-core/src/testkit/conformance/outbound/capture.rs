//! What is captured, and how it gets an item.

use super::*;
use crate::{
    outbound::Operation,
    queue::{Direction, ItemStatus, Outcome, Settle},
};

pub async fn a_change_is_captured_with_the_columns_and_child_tables_that_changed(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let product = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp", "description": "bright"})).await;
    out.update(&PRODUCT_SCHEMA, product, json!({"name": "lamp", "description": "dim"})).await;
    let invoice = out.insert(&INVOICE_SCHEMA, json!({"number": "INV-1"})).await;
    out.write_lines(invoice, vec![json!({"position": 1, "name": "lamp", "quantity": 2})]).await;
    let entries = out.entries().await;
    let told: Vec<_> = entries.iter().map(|it| (it.entity.as_str(), it.local_id, it.operation)).collect();
    let expected = [("products", product); 2].into_iter().chain([("invoices", invoice); 2]);
    assert_eq!(told, expected.map(|(entity, id)| (entity, id, Operation::Upsert)).collect::<Vec<_>>());
    assert_eq!(entries[1].fields, names(["description"]), "the name was written with its own value");
    assert_eq!(entries[3].fields, names(["invoice_lines"]));
    assert!(entries.iter().all(|it| it.status == EntryStatus::Pending && it.settled_at.is_none()));
    assert!(entries.is_sorted_by_key(|it| it.id));
    for named in [&entries[0].fields, &entries[2].fields].into_iter().flatten() {
        assert!(named.contains("name") || named.contains("number"), "{named:?} is what was inserted");
    }
}

pub async fn a_write_that_changes_nothing_is_not_captured(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "lamp"})).await;
    assert!(out.captured().await.is_empty());
}

pub async fn changes_are_captured_in_every_mode_but_source_primary(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::SourcePrimary).await else { return };
    out.set_mode(PRODUCTS, Mode::Shadow).await;
    let local_id = out.mirrored("lamp", 1).await;
    for (number, mode) in [Mode::Shadow, Mode::Bidirectional, Mode::TargetPrimary].into_iter().enumerate() {
        out.set_mode(PRODUCTS, mode).await;
        out.update(&PRODUCT_SCHEMA, local_id, json!({"name": mode.as_str()})).await;
        assert_eq!(out.captured().await.len(), number + 1, "{mode}");
    }
    // What is pending would never be written.
    let refused = out.stores.modes.set_mode(&to_mode(PRODUCTS, Mode::SourcePrimary)).await;
    assert_eq!(refused.expect_err("pending changes").kind(), ErrorKind::Conflict);
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.settle(&push, &Settlement::new(Settled::Unchanged)).await;
    // A store may refuse the write itself, so this is asked for through the engine's own write.
    out.set_mode(PRODUCTS, Mode::SourcePrimary).await;
    out.mirrored("another lamp", 2).await;
    assert_eq!(out.captured().await.len(), 3);
}

pub async fn writes_of_the_engine_are_not_captured(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.mirrored("other lamp", 2).await;
    assert!(out.captured().await.is_empty());
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let take = fields(json!({"name": "theirs"}));
    out.settle(&push, &Settlement { take, ..Settlement::new(Settled::Unchanged) }).await;
    assert_eq!(out.captured().await, [names(["name"])]);
}

pub async fn a_change_that_was_rolled_back_is_not_in_the_outbox(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    harness.abandon_local(&PRODUCT_SCHEMA, fields(json!({"name": "never was"}))).await;
    assert!(out.captured().await.is_empty());
    assert_eq!(out.outbox().relay(10).await.expect("relayed"), 0);
}

pub async fn a_removal_is_captured_whether_the_row_stays_as_a_tombstone_or_not(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    for tombstone in [true, false] {
        let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
        harness.delete_local(&PRODUCT_SCHEMA, local_id, tombstone).await;
        let last = out.entries().await.pop().expect("an entry");
        assert_eq!((last.local_id, last.operation), (local_id, Operation::Delete));
    }
}

/// The source may still have the record of a tombstone, such as that of an erased person, and a push would delete it.
pub async fn a_change_of_a_tombstone_is_not_captured(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    let gone = RecordBuilder::new(&PRODUCTS, "1").read(at(20), at(21));
    applied(harness, &PRODUCT_SCHEMA, Read { content: Content::Absent, ..gone }).await;
    assert!(harness.local_column(&PRODUCT_SCHEMA, local_id, "deleted_at").await.is_some());
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "bright lamp"})).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("bright lamp"), "the row itself may be changed");
    harness.delete_local(&PRODUCT_SCHEMA, local_id, false).await;
    assert!(out.captured().await.is_empty());
}

pub async fn each_record_with_captured_changes_gets_one_item(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let lamp = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    out.update(&PRODUCT_SCHEMA, lamp, json!({"name": "bright lamp"})).await;
    let desk = out.insert(&PRODUCT_SCHEMA, json!({"name": "desk"})).await;
    assert_eq!(out.outbox().relay(100).await.expect("relayed"), 3);
    assert_eq!(out.outbox().relay(100).await.expect("relayed"), 0, "every change is on its way");
    let items = Case(harness).items().await;
    let mut records: Vec<String> = items.iter().map(|item| item.record.to_string()).collect();
    records.sort();
    let mut expected = vec![lamp.to_string(), desk.to_string()];
    expected.sort();
    assert_eq!(records, expected);
    for item in &items {
        assert_eq!((item.direction, item.priority), (Direction::Outbound, 10));
    }
}

pub async fn a_relay_takes_no_more_changes_than_asked_for(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    for name in ["lamp", "desk", "chair"] {
        out.insert(&PRODUCT_SCHEMA, json!({"name": name})).await;
    }
    let mut relayed = Vec::new();
    for _ in 0..3 {
        relayed.push(out.outbox().relay(2).await.expect("relayed"));
    }
    assert_eq!(relayed, [2, 1, 0]);
    assert_eq!(Case(harness).items().await.len(), 3);
}

pub async fn changes_of_a_record_with_an_item_are_folded_into_it(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let case = Case(harness);
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    out.outbox().relay(10).await.expect("relayed");
    let item = case.claim().await;
    // What is captured while the push is under way is pushed once more.
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "bright lamp"})).await;
    assert_eq!(out.outbox().relay(10).await.expect("relayed"), 1);
    assert_eq!(case.settle(&item, Settle::Complete(Outcome::Applied)).await.again, 1);
    let items = case.items().await;
    assert_eq!((items.len(), items[0].status), (1, ItemStatus::Pending));
}
