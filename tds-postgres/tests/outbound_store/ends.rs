//! What operators and time do with changes: discards, pruning, and the history of a record.

use std::time::Duration;

use tds_core::{
    history::{HistoryWindow, RecordHistory as _},
    mirror::Mirror as _,
    outbound::{Outbox, Settled, Settlement},
    queue::{
        ItemFilter, ItemId, Lease, Outcome, Queue, QueueMaintenance as _, QueueOperator as _, Settle,
        Settlement as Ended,
    },
    record::{Cause, Origin, Read, RecordId},
};

use crate::{
    support::claim,
    world::{CUSTOMERS, World, customer},
};

#[tokio::test]
async fn a_discarded_push_reads_the_record_again_and_a_retried_one_keeps_its_changes() {
    let world = World::new().await;
    world.apply(&CUSTOMERS, customer("5", 1, "Graz")).await;
    world
        .run("UPDATE erp.customers SET name = 'ours'; INSERT INTO erp.customers (name) VALUES ('new')")
        .await;
    assert_eq!(world.store.relay(10).await.expect("relayed"), 2);
    let claimed = claim(&world.store, 10).await;
    let dead = |item: &tds_core::queue::Claimed| Ended {
        lease: Lease { id: item.id, token: item.token },
        generation: item.generation,
        settle: Settle::DeadLetter { error: "no".to_owned() },
    };
    Queue::settle(&world.store, claimed.iter().map(dead).collect()).await.expect("settled");
    // Dead letters with changes are not pruned.
    world.store.prune(Duration::ZERO, true).await.expect("pruned");
    let items = "SELECT string_agg(concat_ws(' ', direction, status, COALESCE(zoho_entity_id, entity_id), recheck), ', '
      ORDER BY direction, entity_id) FROM tds_queue_live";
    assert_eq!(
        world.text(items).await.as_deref(),
        Some("outbound dead_letter 1 f, outbound dead_letter 2 f")
    );
    assert_eq!(world.store.retry(&ItemFilter::default()).await.expect("retried"), 2);
    assert_eq!(world.load(&CUSTOMERS, 1).await.changes.len(), 1);
    assert_eq!(world.store.discard(&ItemFilter::default()).await.expect("discarded"), 2);
    assert_eq!(world.text(items).await.as_deref(), Some("inbound pending 5 t"), "the other record has no id");
    assert_eq!(world.store.load(&CUSTOMERS, 1).await.expect("loaded"), None);
    world.apply(&CUSTOMERS, customer("5", 3, "Graz")).await;
    let name = "SELECT name FROM erp.customers WHERE zoho_id = '5'";
    assert_eq!(world.text(name).await.as_deref(), Some("Graz"), "both sides agree again");
}

#[tokio::test]
async fn changes_that_ended_are_pruned_and_a_push_is_in_the_history_of_its_record() {
    let world = World::new().await;
    world.apply(&CUSTOMERS, customer("5", 1, "Graz")).await;
    world.run("UPDATE erp.customers SET name = 'ours'").await;
    let push = world.load(&CUSTOMERS, 1).await;
    let cause = Cause { item: ItemId(7), event: None, origin: Origin::Push, by_run: false };
    let answer = Read { cause: Some(cause), ..customer("5", 2, "ours") };
    world.mirror.apply(&CUSTOMERS, vec![answer]).await.pop().expect("a result").expect("applied");
    Outbox::settle(&world.store, &push, &Settlement::new(Settled::Pushed)).await.expect("settled");
    let window = HistoryWindow::newest(10);
    let history = world.store.history(&CUSTOMERS, &RecordId::new("5"), &[], &window).await.expect("read");
    let last = history.expect("known").entries.pop().expect("an entry");
    assert_eq!((last.origin, last.item), (Origin::Push, Some(ItemId(7))));
    assert!(matches!(last.outcome, Some(Outcome::Applied | Outcome::Unchanged)));
    world.run("UPDATE erp.customers SET name = 'later'").await;
    world.store.prune(Duration::ZERO, false).await.expect("pruned");
    let left = "SELECT string_agg(status, ' ') FROM tds_outbox";
    assert_eq!(world.text(left).await.as_deref(), Some("pending"));
}
