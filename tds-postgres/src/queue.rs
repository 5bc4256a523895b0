//! The queue, from the workers' side.

#[cfg(all(test, feature = "testkit"))]
mod plan;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;
use tokio::time::Instant;

use tds_core::{
    error::Result,
    queue::{
        ClaimRequest, ClaimScope, Claimed, ItemId, Lane, Lease, LeaseToken, NewItem, Queue, Settle, Settled,
        Settlement, Work,
    },
    record::{EntityType, Interval, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
};

use crate::{
    Database, PgStore,
    claim_cursor::{ClaimCursor, Range},
    error::{classify, is_locked},
    fold::{Batch, WaiterEntry, attach},
    settle::settle_all,
    store::{around_locks, repeat_batch, seconds, storable},
};

// The statement itself is in sql/claim.sql: see there why it is a function.
pub(crate) const CLAIM: &str = "
SELECT id, lease_token, generation, entity_type, zoho_entity_id, priority, version, payload, shape, pushed,
       observed_began, observed_ended, retry_count, lost_leases, queued_at, run_at
  FROM tds_claim($1, $2, $3, $4, $5, $6, $7)
";

// Without the floors of the claims above: these look at everything that is due, and leave most of it alone.
const CLAIM_SCOPED: &str = "
SELECT id, lease_token, generation, entity_type, zoho_entity_id, priority, version, payload, shape, pushed,
       observed_began, observed_ended, retry_count, lost_leases, queued_at, run_at
  FROM tds_claim_scoped($1, $2, $3, $4, $5, $6)
";

// In the order of records, as every statement that locks several items. One that somebody else has locked is still ours
// and is not waited for: the leases of all others would run out meanwhile.
const RENEW: &str = "
WITH held AS MATERIALIZED (
  SELECT q.id, q.lease_token FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token)
      ON q.id = d.id AND q.lease_token = d.token),
free AS MATERIALIZED (
  SELECT q.id FROM tds_queue_live q JOIN held ON q.id = held.id AND q.lease_token = held.lease_token
   ORDER BY q.entity_type, q.zoho_entity_id FOR UPDATE OF q SKIP LOCKED),
renewed AS (
  UPDATE tds_queue_live q SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
    FROM free WHERE q.id = free.id)
SELECT id, lease_token FROM held
";

const HELD: &str = "
SELECT q.id, q.lease_token FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token)
    ON q.id = d.id AND q.lease_token = d.token
";

// Items first, then events, each in their order: as by settling. It only shows something: what is locked is left out.
const SHOW: &str = "
WITH held AS MATERIALIZED (
  SELECT q.id FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token)
      ON q.id = d.id AND q.lease_token = d.token
   ORDER BY q.entity_type, q.zoho_entity_id FOR UPDATE OF q SKIP LOCKED),
waiting AS MATERIALIZED (
  SELECT e.id FROM tds_inbox_events e
   WHERE e.status = 'pending'
     AND e.id IN (SELECT w.cause_id FROM held JOIN tds_queue_waiters w ON w.item_id = held.id AND w.cause = 'event')
   ORDER BY e.id FOR UPDATE OF e SKIP LOCKED)
UPDATE tds_inbox_events e SET status = 'processing' FROM waiting WHERE e.id = waiting.id
";

const WAIT_EVENT: &str = "
UPDATE tds_inbox_events SET open_items = open_items + $2, processed_at = NULL,
  status = CASE WHEN status = 'completed' THEN 'pending' ELSE status END
 WHERE id = $1
";

const WAIT_RUN: &str = "UPDATE tds_sync_runs SET open_items = open_items + $2 WHERE id = $1";

/// One transaction takes at most this many items, so that none stays open for long.
const CHUNK: usize = 2_000;
/// How long work that somebody has locked is tried to be queued, and how often.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

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
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let (database, range) = (&self.database, &self.cursors.range(request.up_to));
        let rows = repeat_batch(|| claim(database, request, limit, range))
            .await
            .map_err(|error| classify(error, "taking work from the queue"))?;
        let mut claimed = rows.iter().map(claimed_of).collect::<Result<Vec<_>>>()?;
        // RETURNING has no order.
        claimed.sort_by_key(|(due, item)| (item.lane, *due, item.id));
        let full = rows.len() >= request.limit;
        self.cursors.note(rows.iter().filter(|_| full).filter_map(spot_of).max());
        Ok(claimed.into_iter().map(|(_, item)| item).collect())
    }

    async fn claim_scoped(&self, request: &ClaimRequest, scope: &ClaimScope) -> Result<Vec<Claimed>> {
        if scope.is_everything() {
            return self.claim(request).await;
        }
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let less_urgent = Lane::ALL.into_iter().find(|lane| *lane > request.up_to);
        let below = less_urgent.map_or(i16::MAX, Lane::priority);
        let runs: &Option<Vec<i64>> = &scope.runs.as_ref().map(|runs| runs.iter().map(|run| run.0).collect());
        let claim = || {
            sqlx::query(CLAIM_SCOPED)
                .bind(limit)
                .bind(below)
                .bind(runs)
                .bind(scope.carried)
                .bind(storable(&request.worker.0))
                .bind(seconds(request.lease))
                .fetch_all(&self.database)
        };
        let rows =
            repeat_batch(claim).await.map_err(|error| classify(error, "taking work from the queue"))?;
        let mut claimed = rows.iter().map(claimed_of).collect::<Result<Vec<_>>>()?;
        // RETURNING has no order.
        claimed.sort_by_key(|(due, item)| (item.lane, *due, item.id));
        Ok(claimed.into_iter().map(|(_, item)| item).collect())
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let (database, (ids, tokens)) = (&self.database, &columns_of(leases));
        let extend = || sqlx::query(RENEW).bind(ids).bind(tokens).bind(seconds(lease)).fetch_all(database);
        let doing = |error| classify(error, "renewing leases");
        let rows = repeat_batch(extend).await.map_err(doing)?;
        rows.iter().map(lease_of).collect::<Result<_, _>>().map_err(doing)
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        let (database, (ids, tokens)) = (&self.database, &columns_of(leases));
        let look = || sqlx::query(HELD).bind(ids).bind(tokens).fetch_all(database);
        let doing = |error| classify(error, "looking which claims are held");
        let rows = repeat_batch(look).await.map_err(doing)?;
        rows.iter().map(lease_of).collect::<Result<_, _>>().map_err(doing)
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        let (database, (ids, tokens)) = (&self.database, &columns_of(leases));
        repeat_batch(|| sqlx::query(SHOW).bind(ids).bind(tokens).execute(database))
            .await
            .map(drop)
            .map_err(|error| classify(error, "showing work"))
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        if settlements.is_empty() {
            return Ok(Settled::default());
        }
        let settled = settle_all(&self.database, &settlements)
            .await
            .map_err(|error| classify(error, "settling claims"))?;
        let completes = |it: &Settlement| matches!(it.settle, Settle::Complete(_));
        if settled.again > 0 || !settlements.iter().all(completes) {
            // Items that run again may be due; where none is, a look costs little.
            self.work.announce();
        }
        Ok(settled)
    }

    async fn wait(&self, timeout: Duration) {
        self.work.wait(timeout).await;
    }
}

async fn claim(
    database: &Database,
    request: &ClaimRequest,
    limit: i64,
    range: &Range,
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(CLAIM)
        .bind(limit)
        .bind(&range.priorities)
        .bind(&range.ats)
        .bind(&range.ids)
        .bind(&range.below)
        .bind(storable(&request.worker.0))
        .bind(seconds(request.lease))
        .fetch_all(database)
        .await
}

fn columns_of(leases: &[Lease]) -> (Vec<i64>, Vec<i64>) {
    leases.iter().map(|lease| (lease.id.0, lease.token.0)).unzip()
}

fn lease_of(row: &PgRow) -> Result<Lease, sqlx::Error> {
    Ok(Lease { id: ItemId(row.try_get("id")?), token: LeaseToken(row.try_get("lease_token")?) })
}

fn spot_of(row: &PgRow) -> Option<ClaimCursor> {
    Some((row.try_get("priority").ok()?, row.try_get("run_at").ok()?, row.try_get("id").ok()?))
}

/// Queues what nobody has locked at once, and waits so long for the rest.
pub(crate) async fn enqueue_all(
    database: &Database,
    mut items: Vec<&NewItem>,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    loop {
        let slice = items.as_slice();
        let parted = around_locks(database, slice.len(), |database, range| async move {
            enqueue(&database, slice.get(range).unwrap_or_default()).await
        });
        let parted = parted.await?;
        let Some(fault) = parted.fault.filter(|_| !parted.locked.is_empty()) else { return Ok(()) };
        if began.elapsed() >= patience {
            return Err(fault);
        }
        items = parted.locked.iter().filter_map(|index| slice.get(*index).copied()).collect();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn enqueue(database: &Database, items: &[&NewItem]) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    let places = Batch::of(items.iter().copied()).fold(&mut tx).await?;
    let waiters: Vec<WaiterEntry> =
        items.iter().filter_map(|item| WaiterEntry::of(item.waiter, places.of(&item.key)?, true)).collect();
    let attached = attach(&mut tx, &waiters).await?;
    let mut waiting: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for new in attached.iter().filter(|attached| attached.inserted) {
        *waiting.entry((new.cause.as_str(), new.id)).or_default() += 1;
    }
    for ((cause, id), count) in waiting {
        let statement = if cause == "event" { WAIT_EVENT } else { WAIT_RUN };
        sqlx::query(statement).bind(id).bind(count).execute(&mut tx).await?;
    }
    tx.commit().await
}

fn claimed_of(row: &PgRow) -> Result<(OffsetDateTime, Claimed)> {
    let read = || -> Result<_, sqlx::Error> {
        let entity: String = row.try_get("entity_type")?;
        let id: String = row.try_get("zoho_entity_id")?;
        let (retries, lost): (i32, i32) = (row.try_get("retry_count")?, row.try_get("lost_leases")?);
        let claimed = Claimed {
            id: ItemId(row.try_get("id")?),
            token: LeaseToken(row.try_get("lease_token")?),
            generation: row.try_get("generation")?,
            key: RecordKey::new(entity_of(&entity)?, RecordId::new(id)),
            lane: Lane::from_priority(row.try_get("priority")?),
            work: work_of(row)?,
            retry_count: u32::try_from(retries).unwrap_or(0),
            lost_leases: u32::try_from(lost).unwrap_or(0),
            queued_at: row.try_get("queued_at")?,
        };
        Ok((row.try_get("run_at")?, claimed))
    };
    read().map_err(|error| classify(error, "reading claimed work"))
}

/// Reads an entity type.
pub(crate) fn entity_of(text: &str) -> Result<EntityType, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Reads the work of an item.
pub(crate) fn work_of(row: &PgRow) -> Result<Work, sqlx::Error> {
    let version = row.try_get("version")?;
    let Some(json) = row.try_get::<Option<&str>, _>("payload")? else {
        return Ok(Work { version, payload: None });
    };
    let shape = match row.try_get::<Option<&str>, _>("shape")? {
        Some("list") => Shape::List,
        Some("webhook") => Shape::Webhook,
        _ => Shape::Detail,
    };
    let (began, ended) = (row.try_get("observed_began")?, row.try_get("observed_ended")?);
    let pushed: Option<bool> = row.try_get("pushed")?;
    let observed = match pushed {
        Some(true) => Observed::Push(began),
        _ => Observed::Call(Interval { began, ended }),
    };
    let payload = SourcePayload { shape, observed, json: Payload::new(json) };
    Ok(Work { version, payload: Some(payload) })
}
