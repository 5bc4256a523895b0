//! Helpers that the tests of the store share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::Duration;

use tds_core::{
    inbox::{Disposition, NewEvent},
    queue::{
        ClaimRequest, Claimed, Lane, Lease, NewItem, Outcome, Queue as _, Settle, Settlement, Waiter, Work,
        WorkerId,
    },
    record::{EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
};
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};
use time::OffsetDateTime;

/// Selects the sessions of this database that wait for a row that another session has changed. Other tests use other
/// databases of the same cluster, and their locks say nothing about this database.
pub(crate) const ROW_LOCK_WAITS: &str = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
 WHERE locktype = 'transactionid' AND NOT granted AND datname = current_database()";

/// Selects the sessions of this database that wait for an advisory lock.
pub(crate) const ADVISORY_LOCK_WAITS: &str = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
 WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";

/// The entity type of these tests.
pub(crate) const PRODUCTS: EntityType = EntityType::from_static("products");

/// Creates a store on a fresh database.
pub(crate) async fn store() -> (TestDatabase, PgStore) {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    (database, store)
}

/// Returns the single text that a statement selects.
pub(crate) async fn text(database: &TestDatabase, sql: &str) -> String {
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()));
    query.fetch_one(database.database()).await.expect("one text")
}

/// Returns the key of a product.
pub(crate) fn key(id: &str) -> RecordKey {
    RecordKey::new(PRODUCTS, RecordId::new(id))
}

/// Returns pushed work of a version.
pub(crate) fn work(version: i64, json: &str) -> Work {
    let at = OffsetDateTime::from_unix_timestamp(1_790_000_000 + version).expect("a time");
    let payload =
        SourcePayload { shape: Shape::Webhook, observed: Observed::Push(at), json: Payload::new(json) };
    Work { version: Some(at), payload: Some(payload), recheck: false }
}

/// Returns an item without a waiter.
pub(crate) fn item(id: &str, work: Work) -> NewItem {
    NewItem { key: key(id).into(), lane: Lane::Webhook, work, waiter: Waiter::Operator }
}

/// Returns a delivery about one product.
pub(crate) fn event(id: &str, work: Work) -> NewEvent {
    NewEvent {
        event_id: format!("event-{id}"),
        source_type: "zoho".into(),
        entity_type: PRODUCTS,
        entity_id: Some(id.into()),
        event_type: "updated".into(),
        raw_payload: b"{\"\0\":1}".to_vec(),
        headers: serde_json::json!({"x": "a\u{0}b"}),
        disposition: Disposition::Work(vec![(key(id), work)]),
    }
}

/// Claims items for a minute.
pub(crate) async fn claim(store: &PgStore, limit: usize) -> Vec<Claimed> {
    claim_for(store, limit, Duration::from_secs(60)).await
}

/// Claims items for the duration of `lease`.
pub(crate) async fn claim_for(store: &PgStore, limit: usize, lease: Duration) -> Vec<Claimed> {
    let request = ClaimRequest::new(WorkerId("test".into()), limit, lease);
    store.claim(&request).await.expect("claimed")
}

/// Polls until the result is not empty.
pub(crate) async fn eventually<T, F: Future<Output = Vec<T>>>(mut look: impl FnMut() -> F) -> Vec<T> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = look().await;
        if !found.is_empty() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns settlements that complete the claims with the outcome.
pub(crate) fn complete(claimed: &[Claimed], outcome: Outcome) -> Vec<Settlement> {
    let one = |item: &Claimed| Settlement {
        lease: Lease { id: item.id, token: item.token },
        generation: item.generation,
        settle: Settle::Complete(outcome),
    };
    claimed.iter().map(one).collect()
}
