//! The histories of records.

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow, types::Json};
use tds_core::{
    error::Result,
    guard::VerdictKind,
    history::{Happening, History, HistoryEntry, HistoryWindow, KnownRecord, RecordHistory},
    inbox::InboxId,
    mirror::{MirrorSchema, Operation},
    queue::{AttemptResult, ItemId, Lane, Outcome},
    record::{EntityType, Fields, Interval, Origin, RecordId, RecordKey},
    runs::RunId,
};
use time::OffsetDateTime;

use crate::{
    Database, PgStore,
    db::{
        error::Doing as _,
        quote,
        text::{one_of, storable},
    },
    mirror::state,
};

const STATE: &str = "
SELECT local_id, first_seen_at, deleted_at FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = $2
";

// At most one run of an entity type reads its list at a time, and a run ends after all its items. The run that listed a
// record is therefore the one that was active when the read was judged. A verification may run beside it.
const JUDGED: &str = "
SELECT d.*, CASE WHEN d.by_run THEN (
         SELECT max(r.id) FROM tds_sync_runs r
          WHERE r.entity_type = d.entity_type AND (r.run_type = 'verify') = (d.kind = 'verify')
            AND r.started_at <= d.at AND (r.completed_at IS NULL OR r.completed_at >= d.at)) END AS run_id
  FROM (SELECT * FROM tds_decisions
         WHERE zoho_id = $2 AND entity_type = $1 AND at < COALESCE($4, 'infinity') ORDER BY at DESC LIMIT $3) AS d
";

// No index has the records of events, because every delivery would pay for it. The statement reads the whole inbox.
const RECEIVED: &str = "
SELECT id, received_at, outcome, error_message FROM tds_inbox_events
 WHERE entity_type = ANY($1) AND (entity_id = $2 OR records @> ARRAY[$2::text])
   AND received_at < COALESCE($4, 'infinity') ORDER BY received_at DESC LIMIT $3
";

const WAITING: &str = "
SELECT id, inbox_event_id, priority, queued_at, error_message, dead_lettered_at IS NULL AS waits FROM tds_queue_live
 WHERE entity_type = $1 AND COALESCE(zoho_entity_id, entity_id) = $2 AND direction = 'inbound'
   AND dead_lettered_at IS NULL
UNION ALL
SELECT id, inbox_event_id, priority, queued_at, error_message, false FROM tds_queue_live
 WHERE entity_type = $1 AND COALESCE(zoho_entity_id, entity_id) = $2 AND direction = 'inbound'
   AND dead_lettered_at IS NOT NULL
";

// Archived items are found by their decisions.
const ATTEMPTS: &str = "
SELECT a.item_id, a.ended_at, a.result, a.error, COALESCE(q.priority, d.priority, 20::smallint) AS priority,
       COALESCE(q.inbox_event_id, d.inbox_event_id) AS inbox_event_id
  FROM tds_queue_attempts a
  LEFT JOIN tds_queue_live q ON q.id = a.item_id
  LEFT JOIN tds_queue_done d ON d.id = a.item_id
 WHERE a.item_id = ANY($1) AND a.result <> 'completed' AND a.ended_at < COALESCE($3, 'infinity') ORDER BY a.ended_at DESC LIMIT $2
";

#[async_trait]
impl RecordHistory for PgStore {
    async fn history(
        &self,
        schema: &MirrorSchema,
        id: &RecordId,
        addresses: &[EntityType],
        window: &HistoryWindow,
    ) -> Result<Option<History>> {
        let entries = entries(&self.database, &schema.entity, id, addresses, window);
        let doing = "reading the history of a record";
        let (record, mut entries) =
            tokio::try_join!(known(&self.database, schema, id), entries).doing(doing)?;
        if record.state.is_none() && entries.is_empty() && window.before.is_none() {
            return Ok(None);
        }
        let older = entries.len().saturating_sub(window.limit);
        Ok(Some(History { record, entries: entries.split_off(older), has_older: older > 0 }))
    }
}

/// Returns what is known of a record now.
async fn known(
    database: &Database,
    schema: &MirrorSchema,
    id: &RecordId,
) -> Result<KnownRecord, sqlx::Error> {
    let stored = storable(id.as_str());
    let row = sqlx::query(STATE).bind(schema.entity.as_str()).bind(stored.as_ref());
    let row = row.fetch_optional(database).await?;
    let time = |name| row.as_ref().map_or(Ok(None), |row| row.try_get::<Option<OffsetDateTime>, _>(name));
    Ok(KnownRecord {
        key: RecordKey::new(schema.entity.clone(), id.clone()),
        local_id: row.as_ref().map_or(Ok(None), |row| row.try_get("local_id"))?,
        state: state::read(database, &schema.entity, std::slice::from_ref(id)).await?.remove(id),
        first_seen_at: time("first_seen_at")?,
        deleted_at: time("deleted_at")?,
        row: match schema.head {
            Some(head) => head_row(database, head, &stored).await?,
            None => None,
        },
    })
}

/// Returns the columns of a head row that have simple values.
async fn head_row(database: &Database, head: &str, id: &str) -> Result<Option<Fields>, sqlx::Error> {
    let statement = quote::statement(format!(
        "SELECT (SELECT COALESCE(jsonb_object_agg(c.key, c.value), '{{}}') FROM jsonb_each(to_jsonb(t)) AS c
                  WHERE c.key <> 'raw' AND jsonb_typeof(c.value) IN ('string', 'number', 'boolean'))
           FROM {} AS t WHERE t.zoho_id = $1",
        quote::table(head)
    ));
    let row: Option<Json<Fields>> = sqlx::query_scalar(statement).bind(id).fetch_optional(database).await?;
    Ok(row.map(|Json(fields)| fields))
}

/// Returns the newest entries of a history, oldest first: at least one more than the limit if there are that many.
async fn entries(
    database: &Database,
    entity: &EntityType,
    id: &RecordId,
    addresses: &[EntityType],
    window: &HistoryWindow,
) -> Result<Vec<HistoryEntry>, sqlx::Error> {
    let id = storable(id.as_str());
    let most = i64::try_from(window.limit).unwrap_or(i64::MAX).saturating_add(1);
    let judged = sqlx::query(JUDGED).bind(entity.as_str()).bind(id.as_ref()).bind(most).bind(window.before);
    let judged = judged.try_map(|row: PgRow| judged_of(&row)).fetch_all(database).await?;
    let addresses: Vec<&str> = addresses.iter().map(EntityType::as_str).collect();
    let received = sqlx::query(RECEIVED).bind(addresses).bind(id.as_ref()).bind(most).bind(window.before);
    let received = received.try_map(|row: PgRow| received_of(&row)).fetch_all(database).await?;
    let live = sqlx::query(WAITING).bind(entity.as_str()).bind(id.as_ref());
    let live = live.try_map(|row: PgRow| waiting_of(&row)).fetch_all(database).await?;
    let mut items: Vec<i64> = judged.iter().filter_map(|entry| entry.item).map(|item| item.0).collect();
    items.extend(live.iter().filter_map(|(entry, _)| entry.item).map(|item| item.0));
    items.sort_unstable();
    items.dedup();
    let attempts = sqlx::query(ATTEMPTS).bind(items).bind(most).bind(window.before);
    let attempts = attempts.try_map(|row: PgRow| attempt_of(&row)).fetch_all(database).await?;
    let is_before = |entry: &HistoryEntry| window.before.is_none_or(|before| entry.at < before);
    let waiting =
        live.into_iter().filter(|(entry, waits)| *waits && is_before(entry)).map(|(entry, _)| entry);
    let mut entries: Vec<HistoryEntry> =
        received.into_iter().chain(waiting).chain(attempts).chain(judged).collect();
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}

fn judged_of(row: &PgRow) -> Result<HistoryEntry, sqlx::Error> {
    let happening = one_of(Happening::ALL, Happening::as_str, "action", row.try_get("action")?)?;
    let origin = one_of(Origin::ALL, Origin::as_str, "kind", row.try_get("kind")?)?;
    let observed: (Option<OffsetDateTime>, Option<OffsetDateTime>) =
        (row.try_get("observed_began")?, row.try_get("observed_ended")?);
    let verdict: Option<&str> = row.try_get("verdict")?;
    let operation: Option<&str> = row.try_get("operation")?;
    Ok(HistoryEntry {
        version: row.try_get("version")?,
        observed: observed.0.zip(observed.1).map(|(began, ended)| Interval { began, ended }),
        verdict: verdict
            .map(|text| one_of(VerdictKind::ALL, VerdictKind::as_str, "verdict", text))
            .transpose()?,
        outcome: outcome_of(row)?,
        operation: operation
            .map(|text| one_of(Operation::ALL, Operation::as_str, "operation", text))
            .transpose()?,
        changed: row.try_get::<Option<Vec<String>>, _>("changed")?.unwrap_or_default(),
        inbox_event: event_of(row)?,
        run: row.try_get::<Option<i64>, _>("run_id")?.map(RunId),
        item: row.try_get::<Option<i64>, _>("item_id")?.map(ItemId),
        detail: row.try_get("detail")?,
        ..HistoryEntry::new(row.try_get("at")?, happening, origin)
    })
}

fn received_of(row: &PgRow) -> Result<HistoryEntry, sqlx::Error> {
    Ok(HistoryEntry {
        outcome: outcome_of(row)?,
        inbox_event: Some(InboxId(row.try_get("id")?)),
        detail: row.try_get("error_message")?,
        ..HistoryEntry::new(row.try_get("received_at")?, Happening::Received, Origin::Webhook)
    })
}

/// Returns the entry of a live item or a dead letter, and whether it waits.
fn waiting_of(row: &PgRow) -> Result<(HistoryEntry, bool), sqlx::Error> {
    let entry = HistoryEntry {
        inbox_event: event_of(row)?,
        item: Some(ItemId(row.try_get("id")?)),
        detail: row.try_get("error_message")?,
        ..HistoryEntry::new(row.try_get("queued_at")?, Happening::Waiting, lane_of(row)?.into())
    };
    Ok((entry, row.try_get("waits")?))
}

fn attempt_of(row: &PgRow) -> Result<HistoryEntry, sqlx::Error> {
    let result = one_of(AttemptResult::ALL, AttemptResult::as_str, "attempt result", row.try_get("result")?)?;
    let is_last = result == AttemptResult::DeadLetter;
    let happening = if is_last { Happening::DeadLetter } else { Happening::Attempt };
    Ok(HistoryEntry {
        inbox_event: event_of(row)?,
        item: Some(ItemId(row.try_get("item_id")?)),
        detail: row.try_get("error")?,
        ..HistoryEntry::new(row.try_get("ended_at")?, happening, lane_of(row)?.into())
    })
}

fn outcome_of(row: &PgRow) -> Result<Option<Outcome>, sqlx::Error> {
    let outcome: Option<&str> = row.try_get("outcome")?;
    outcome.map(|text| one_of(Outcome::ALL, Outcome::as_str, "outcome", text)).transpose()
}

fn event_of(row: &PgRow) -> Result<Option<InboxId>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>("inbox_event_id")?.map(InboxId))
}

fn lane_of(row: &PgRow) -> Result<Lane, sqlx::Error> {
    Ok(Lane::from_priority(row.try_get("priority")?))
}
