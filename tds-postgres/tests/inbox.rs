//! Tests of the group commit on a real PostgreSQL.

mod support;

use std::{collections::HashSet, time::Duration};

use support::{event, store, text, work};
use tds_core::{
    error::ErrorKind,
    inbox::{Inbox as _, InboxOperator as _},
};
use tds_postgres::{PgStore, StoreSettings};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_events_are_all_committed_and_duplicates_are_one_row() {
    let (database, store) = store().await;
    let tasks: Vec<_> = (0..256)
        .map(|n| {
            let store = store.clone();
            // There are eight deliveries, each about its own record. Each delivery is sent 32 times.
            tokio::spawn(async move { store.accept(event(&(n % 8).to_string(), work(1, "{}"))).await })
        })
        .collect();
    let mut fresh = 0;
    let mut ids = HashSet::new();
    for task in tasks {
        let accepted = task.await.expect("no panic").expect("accepted");
        fresh += usize::from(!accepted.duplicate);
        ids.insert(accepted.id);
    }
    assert_eq!((fresh, ids.len()), (8, 8));
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_inbox_events").await, "8");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_database_refuses_fails_alone() {
    let (database, store) = store().await;
    let check = "ALTER TABLE tds_inbox_events ADD CHECK (entity_id <> '13')";
    sqlx::query(check).execute(database.database()).await.expect("a check");
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { (n, store.accept(event(&n.to_string(), work(1, "{}"))).await) })
        })
        .collect();
    for task in tasks {
        let (n, result) = task.await.expect("no panic");
        match result {
            Ok(_) => assert_ne!(n, 13),
            Err(error) => assert_eq!((n, error.kind()), (13, ErrorKind::Invalid)),
        }
    }
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_inbox_events").await, "39");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_keeps_every_byte_and_headers_lose_what_cannot_be_stored() {
    let (_database, store) = store().await;
    let mut pushed = event("7\0", work(1, "{}"));
    pushed.raw_payload = (0..=255).collect();
    let id = store.accept(pushed).await.expect("accepted").id;
    let stored = store.get_event(id).await.expect("read").expect("there");
    assert_eq!(stored.raw_payload, Some((0..=255).collect()));
    assert_eq!(stored.entity_id.as_deref(), Some("7\u{FFFD}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_can_be_repeated() {
    let (database, store) = store().await;
    let kill = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..20 {
        let delivery = event(&n.to_string(), work(1, "{}"));
        let accepting = tokio::spawn({
            let (store, delivery) = (store.clone(), delivery.clone());
            async move { store.accept(delivery).await }
        });
        let _ = sqlx::query(kill).execute(database.database()).await;
        let mut result = accepting.await.expect("no panic");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while let Err(error) = &result {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert!(tokio::time::Instant::now() < deadline, "{error:?}");
            result = store.accept(delivery.clone()).await;
        }
    }
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_inbox_events").await, "20");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "20");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_waiters").await, "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_lock_holds_up_its_own_events_only() {
    let (database, store) = store().await;
    store.accept(event("held", work(1, "{}"))).await.expect("accepted");
    let mut tx = database.database().begin().await.expect("a transaction");
    let lock = sqlx::query("SELECT id FROM tds_queue_live WHERE zoho_entity_id = 'held' FOR UPDATE");
    lock.execute(&mut tx).await.expect("locked");
    let blocked = store.clone();
    let newer = tds_core::inbox::NewEvent { event_id: "newer".to_owned(), ..event("held", work(2, "{}")) };
    let waits = tokio::spawn(async move { blocked.accept(newer).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    for id in ["1", "2", "3"] {
        let accepted = tokio::time::timeout(Duration::from_secs(10), store.accept(event(id, work(1, "{}"))));
        accepted.await.expect("nobody waits for the lock").expect("accepted");
    }
    assert!(!waits.is_finished(), "the lock is still held");
    tx.rollback().await.expect("released");
    waits.await.expect("no panic").expect("accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_refuses_and_a_closing_store_commits_what_it_accepted() {
    let (database, _store) = store().await;
    let settings = StoreSettings { waiting_bytes: 10, ..StoreSettings::default() };
    let tiny = PgStore::new(database.database().clone(), settings);
    let refused = tiny.accept(event("1", work(1, "{}"))).await.expect_err("too large for the bound");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);

    let open = PgStore::new(database.database().clone(), StoreSettings::default());
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let open = open.clone();
            tokio::spawn(async move { open.accept(event(&n.to_string(), work(1, "{}"))).await })
        })
        .collect();
    open.shutdown().await;
    let mut accepted = 0;
    for task in tasks {
        accepted += usize::from(task.await.expect("no panic").is_ok());
    }
    let stored = text(&database, "SELECT count(*)::text FROM tds_inbox_events").await;
    assert_eq!(stored, accepted.to_string());
    assert!(open.accept(event("x", work(1, "{}"))).await.is_err());
}
