//! The queue as the workers see it.

pub(crate) mod claim;
pub(crate) mod events;
pub(crate) mod fold;
pub(crate) mod heal;
pub(crate) mod notifier;
pub(crate) mod operator;
#[cfg(all(test, feature = "testkit"))]
mod plan;
pub(crate) mod settle;
pub(crate) mod stats;

use std::time::Duration;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    queue::{ClaimRequest, Claimed, ItemId, Lease, LeaseToken, NewItem, Queue, Settle, Settled, Settlement},
};

use self::{fold::enqueue_all, settle::settle_all};
use crate::{
    PgStore,
    db::{
        error::{Doing as _, classify, is_locked},
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

/// The maximum number of items of one transaction, so that no transaction stays open for long.
const CHUNK: usize = 2_000;
/// How long `enqueue` retries items whose rows another session has locked.
const PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl Queue for PgStore {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        let mut locked = None;
        for chunk in items.chunks(CHUNK) {
            let chunk: Vec<&NewItem> = chunk.iter().collect();
            if let Err(fault) = enqueue_all(&self.database, chunk, PATIENCE).await {
                let fault_is_a_lock = is_locked(&fault);
                let error = classify(fault, "queueing work");
                if !fault_is_a_lock {
                    return Err(error);
                }
                locked.get_or_insert(error);
            }
        }
        self.work.announce();
        locked.map_or(Ok(()), Err)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        if request.scope.is_everything() {
            claim::claim(&self.database, &self.cursors, request).await
        } else {
            claim::claim_scoped(&self.database, request).await
        }
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let (database, (ids, tokens)) = (&self.database, &columns_of(leases));
        let renew = || {
            let renew = sqlx::query_as::<_, (i64, i64)>(RENEW).bind(ids).bind(tokens);
            renew.bind(seconds(lease)).fetch_all(database)
        };
        repeat(IN_BATCH, renew).await.map(leases_of).doing("renewing leases")
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        let (database, (ids, tokens)) = (&self.database, &columns_of(leases));
        let look = || sqlx::query_as::<_, (i64, i64)>(HELD).bind(ids).bind(tokens).fetch_all(database);
        repeat(IN_BATCH, look).await.map(leases_of).doing("checking which claims are held")
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        let (database, (ids, tokens)) = (&self.database, &columns_of(leases));
        let mark = || sqlx::query(MARK_PROCESSING).bind(ids).bind(tokens).execute(database);
        repeat(IN_BATCH, mark).await.map(drop).doing("marking work as processing")
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        if settlements.is_empty() {
            return Ok(Settled::default());
        }
        let settled = settle_all(&self.database, &settlements).await.doing("settling claims")?;
        let completes = |it: &Settlement| matches!(it.settle, Settle::Complete(_));
        if settled.again > 0 || !settlements.iter().all(completes) {
            // Items that run again may be due. If none is due, one more look at the queue costs little.
            self.work.announce();
        }
        Ok(settled)
    }

    async fn wait(&self, timeout: Duration) {
        self.work.wait(timeout).await;
    }
}

fn columns_of(leases: &[Lease]) -> (Vec<i64>, Vec<i64>) {
    leases.iter().map(|lease| (lease.id.0, lease.token.0)).unzip()
}

fn leases_of(rows: Vec<(i64, i64)>) -> Vec<Lease> {
    rows.into_iter().map(|(id, token)| Lease { id: ItemId(id), token: LeaseToken(token) }).collect()
}
