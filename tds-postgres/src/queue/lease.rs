//! The leases of claimed items.

use std::time::Duration;

use tds_core::queue::{ItemId, Lease, LeaseToken};

use crate::{
    Database,
    db::{
        retry::{IN_BATCH, repeat},
        text::seconds,
    },
};

// Rows are locked in the order of records, as in every statement that locks several items. An item whose row another
// session has locked is still held. The statement skips it instead of waiting, because the leases of all other items
// would expire meanwhile.
const RENEW: &str = "
WITH held AS MATERIALIZED (
  SELECT q.id, q.lease_token FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token)
      ON q.id = d.id AND q.lease_token = d.token),
free AS MATERIALIZED (
  SELECT q.id FROM tds_queue_live q JOIN held ON q.id = held.id AND q.lease_token = held.lease_token
   ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id FOR UPDATE OF q SKIP LOCKED),
renewed AS (
  UPDATE tds_queue_live q SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
    FROM free WHERE q.id = free.id)
SELECT id, lease_token FROM held
";

const HELD: &str = "
SELECT q.id, q.lease_token FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token)
    ON q.id = d.id AND q.lease_token = d.token
";

// The statement locks items first and then events, each in their order, as settling does. The mark is for display
// only, so locked rows are skipped.
const MARK_PROCESSING: &str = "
WITH held AS MATERIALIZED (
  SELECT q.id FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token)
      ON q.id = d.id AND q.lease_token = d.token
   ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id FOR UPDATE OF q SKIP LOCKED),
waiting AS MATERIALIZED (
  SELECT e.id FROM tds_inbox_events e
   WHERE e.status = 'pending'
     AND e.id IN (SELECT w.cause_id FROM held JOIN tds_queue_waiters w ON w.item_id = held.id AND w.cause = 'event')
   ORDER BY e.id FOR UPDATE OF e SKIP LOCKED)
UPDATE tds_inbox_events e SET status = 'processing' FROM waiting WHERE e.id = waiting.id
";

/// Extends leases. Returns those that are still held.
pub(crate) async fn renew(
    database: &Database,
    leases: &[Lease],
    lease: Duration,
) -> Result<Vec<Lease>, sqlx::Error> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, tokens) = &columns_of(leases);
    let renew = || {
        let renew = sqlx::query_as::<_, (i64, i64)>(RENEW).bind(ids).bind(tokens);
        renew.bind(seconds(lease)).fetch_all(database)
    };
    repeat(IN_BATCH, renew).await.map(leases_of)
}

/// Returns the leases that are still held.
pub(crate) async fn held(database: &Database, leases: &[Lease]) -> Result<Vec<Lease>, sqlx::Error> {
    let (ids, tokens) = &columns_of(leases);
    let look = || sqlx::query_as::<_, (i64, i64)>(HELD).bind(ids).bind(tokens).fetch_all(database);
    repeat(IN_BATCH, look).await.map(leases_of)
}

/// Marks the events that wait for the claimed items as processing.
pub(crate) async fn mark_processing(database: &Database, leases: &[Lease]) -> Result<(), sqlx::Error> {
    let (ids, tokens) = &columns_of(leases);
    let mark = || sqlx::query(MARK_PROCESSING).bind(ids).bind(tokens).execute(database);
    repeat(IN_BATCH, mark).await.map(drop)
}

fn columns_of(leases: &[Lease]) -> (Vec<i64>, Vec<i64>) {
    leases.iter().map(|lease| (lease.id.0, lease.token.0)).unzip()
}

fn leases_of(rows: Vec<(i64, i64)>) -> Vec<Lease> {
    rows.into_iter().map(|(id, token)| Lease { id: ItemId(id), token: LeaseToken(token) }).collect()
}
