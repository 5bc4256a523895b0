//! The entries, as operators see them.

use super::*;
use crate::{
    outbound::OutboxId,
    queue::{ItemFilter, Settle},
};

pub async fn entries_come_newest_first_and_filters_select_them(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let lamp = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    out.pushed(&PRODUCT_SCHEMA, lamp).await;
    for name in ["desk", "chair"] {
        out.insert(&PRODUCT_SCHEMA, json!({"name": name})).await;
    }
    out.insert(&CUSTOMER_SCHEMA, json!({"name": "Graz"})).await;
    let ids = async |filter: OutboxFilter| {
        let (mut ids, mut cursor) = (Vec::<OutboxId>::new(), None::<String>);
        loop {
            let page = out.operator().entries(&filter, cursor.as_deref(), 2).await.expect("a page");
            ids.extend(page.items.iter().map(|entry| entry.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return ids;
            }
        }
    };
    let mut all: Vec<OutboxId> = out.entries().await.iter().map(|entry| entry.id).collect();
    all.reverse();
    assert_eq!((all.len(), ids(OutboxFilter::default()).await), (4, all.clone()));
    let of_products = OutboxFilter { entity: Some(PRODUCTS), ..OutboxFilter::default() };
    assert_eq!(ids(of_products.clone()).await, all[1..]);
    let pushed = OutboxFilter { status: Some(EntryStatus::Pushed), ..of_products };
    assert_eq!(ids(pushed).await, all[3..]);
    let bad = out.operator().entries(&OutboxFilter::default(), Some("no cursor"), 2).await;
    assert_eq!(kind(bad), ErrorKind::Invalid);
    let entry = out.operator().entry(all[3]).await.expect("read").expect("the entry");
    assert_eq!((entry.local_id, entry.status), (lamp, EntryStatus::Pushed));
    assert_eq!(out.operator().entry(OutboxId(i64::MAX)).await.expect("read"), None);
}

pub async fn an_entry_shows_the_item_of_its_push(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let case = Case(harness);
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let entry = async || out.entries().await.pop().expect("an entry");
    assert_eq!((entry().await.item, entry().await.item_status), (None, None));
    out.outbox().relay(10).await.expect("relayed");
    let item = case.claim().await;
    assert_eq!(entry().await.item, Some(item.id));
    case.settle(&item, Settle::DeadLetter { error: "the name is too long".to_owned() }).await;
    let dead = entry().await;
    assert_eq!((dead.item, dead.item_status.as_deref()), (Some(item.id), Some("dead_letter")));
    assert_eq!((dead.attempts, dead.error.as_deref()), (1, Some("the name is too long")));
    assert_eq!(dead.status, EntryStatus::Pending, "the change is kept for an operator");
    assert!(out.load(&PRODUCT_SCHEMA, local_id).await.is_some());
}

pub async fn a_push_that_an_operator_discards_discards_its_changes(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.mirrored("lamp", 1).await;
    out.update(&PRODUCT_SCHEMA, local_id, json!({"name": "ours"})).await;
    out.outbox().relay(10).await.expect("relayed");
    out.update(&PRODUCT_SCHEMA, local_id, json!({"description": "ours"})).await;
    let discarded = harness.stores().queue_operator.discard(&ItemFilter::default()).await;
    assert_eq!(discarded.expect("discarded"), 1);
    let statuses: Vec<EntryStatus> = out.entries().await.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [EntryStatus::Discarded, EntryStatus::Pending], "the later change has no item yet");
    assert_eq!(out.loaded(&PRODUCT_SCHEMA, local_id).await.fields, names(["description"]));
    out.mirrored("theirs", 2).await;
    assert_eq!(out.name(local_id).await.as_deref(), Some("theirs"), "the column is no longer kept");
}
