//! Tests with waiters, events and runs that have lost their items. They are inserted as a program that lost an item
//! would leave them.

use std::time::Duration;

use crate::support::{claim, complete, event, item, store, text, work};
use tds_core::{
    inbox::Inbox as _,
    queue::{Healed, Outcome, Queue as _, QueueMaintenance as _},
    record::EntityType,
    runs::{NewRun, RunType, SyncRunOperator as _},
};
use tds_postgres::{PgStore, testkit::TestDatabase};

async fn execute(database: &TestDatabase, sql: &'static str) {
    sqlx::raw_sql(sql)
        .execute(database.database().pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn heal(store: &PgStore) -> Healed {
    store.heal(Duration::ZERO, None).await.expect("healed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_queue_has_nothing_to_heal() {
    let (database, store) = store().await;
    for id in ["waits", "is claimed", "has ended"] {
        store.accept(event(id, work(1, "{}"))).await.expect("accepted");
    }
    let mut claimed = claim(&store, 2).await;
    store.settle(complete(&[claimed.remove(0)], Outcome::Applied)).await.expect("settled");
    assert_eq!(heal(&store).await, Healed::default());
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_waiters").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_whose_item_has_ended_ends_as_superseded() {
    let (database, store) = store().await;
    store.accept(event("7", work(1, "{}"))).await.expect("accepted");
    let claimed = claim(&store, 1).await;
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    execute(
        &database,
        "INSERT INTO tds_inbox_events (event_id, source_type, entity_type, event_type, raw_payload, open_items)
         VALUES ('late', 'zoho', 'products', 'updated', '{}', 1);
         INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
         SELECT d.id, 'event', e.id, 1 FROM tds_queue_done d, tds_inbox_events e WHERE e.event_id = 'late'",
    )
    .await;
    assert_eq!(heal(&store).await, Healed { waiters: 1, ..Healed::default() });
    let late =
        "SELECT status || ' ' || outcome || ' ' || open_items FROM tds_inbox_events WHERE event_id = 'late'";
    assert_eq!(text(&database, late).await, "completed superseded 0");
    assert_eq!(heal(&store).await, Healed::default(), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_work_is_gone_is_reported_so_that_it_is_replayed() {
    let (database, store) = store().await;
    let lost = store.accept(event("7", work(1, "{}"))).await.expect("accepted").id;
    execute(&database, "DELETE FROM tds_queue_live").await;
    let healed = heal(&store).await;
    assert_eq!((healed.waiters, healed.events), (1, vec![lost]));
    assert_eq!(
        text(&database, "SELECT status || ' ' || open_items FROM tds_inbox_events").await,
        "pending 0"
    );
    // Only events that are old enough are healed. With a limit, only events that were received recently are healed.
    let young = store.heal(Duration::from_secs(60), None).await.expect("healed");
    assert_eq!(young, Healed::default());
    execute(&database, "UPDATE tds_inbox_events SET received_at = received_at - interval '2 hours'").await;
    let lately = store.heal(Duration::from_secs(60), Some(Duration::from_secs(3600))).await.expect("healed");
    assert_eq!(lately, Healed::default());
    assert_eq!(store.heal(Duration::from_secs(60), None).await.expect("healed").events, [lost]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_items_that_are_not_there_ends() {
    let (database, store) = store().await;
    let mut runs = Vec::new();
    for entity in ["products", "customers", "bills"] {
        let request = NewRun {
            entity: EntityType::from_static(entity),
            run_type: RunType::Full,
            source_type: "zoho".to_owned(),
            since: None,
            selection: None,
            verify: None,
            requested_by: "test".to_owned(),
        };
        runs.push(store.create(request).await.expect("created").id);
    }
    store.enqueue(vec![item("7", work(1, "{}"))]).await.expect("queued");
    // The first run has lost its items. The second run has lost one waiter that is counted and one that is not. The
    // third run has lost nothing.
    execute(
        &database,
        "UPDATE tds_sync_runs SET status = 'running', listing_done = true, total_items = 190, processed_items = 188,
           open_items = 2, started_at = now() - interval '1 minute' WHERE entity_type = 'products';
         UPDATE tds_sync_runs SET status = 'running', listing_done = true, total_items = 3, processed_items = 1,
           open_items = 2, started_at = now() - interval '1 minute' WHERE entity_type = 'customers';
         INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
         SELECT q.id, 'run', r.id, 1 FROM tds_queue_live q, tds_sync_runs r WHERE r.entity_type = 'customers';
         UPDATE tds_sync_runs SET status = 'running', total_items = 5, started_at = now() - interval '1 minute'
          WHERE entity_type = 'bills'",
    )
    .await;
    assert_eq!(heal(&store).await, Healed { runs: 2, ..Healed::default() });
    let figures = "SELECT string_agg(status || ' ' || processed_items || ' ' || open_items, ', ' ORDER BY id) FROM tds_sync_runs";
    assert_eq!(text(&database, figures).await, "completed 190 0, running 2 1, running 0 0");
    let claimed = claim(&store, 1).await;
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    assert_eq!(text(&database, figures).await, "completed 190 0, completed 3 0, running 0 0");
}
