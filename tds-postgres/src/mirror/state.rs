//! The rows of `tds_sync_records`: reading, locking, storing.

use std::collections::{HashMap, HashSet};

use sqlx::types::Json;
use tds_core::{ContentHash, EntityType, Interval, Observed, RecordId, Suspect, SyncState};
use time::OffsetDateTime;

use crate::{Database, quote, session::Tx};

#[derive(sqlx::FromRow)]
struct Row {
    zoho_id: String,
    version: Option<OffsetDateTime>,
    pushed: bool,
    observed_began: OffsetDateTime,
    observed_ended: OffsetDateTime,
    list_hash: Option<String>,
    detail_hash: Option<String>,
    detail_version: Option<OffsetDateTime>,
    detail_seen: Option<OffsetDateTime>,
    volatile_hash: Option<String>,
    volatile_seen: Option<OffsetDateTime>,
    deleted: bool,
    suspect: Option<Json<Suspect>>,
}

impl Row {
    fn into_state(self) -> (RecordId, SyncState) {
        let seen = Interval { began: self.observed_began, ended: self.observed_ended };
        let state = SyncState {
            version: self.version,
            observed: if self.pushed { Observed::Push(seen.ended) } else { Observed::Call(seen) },
            list_hash: self.list_hash.map(ContentHash::from_hex),
            detail_hash: self.detail_hash.map(ContentHash::from_hex),
            detail_version: self.detail_version,
            detail_seen: self.detail_seen,
            volatile_hash: self.volatile_hash.map(ContentHash::from_hex),
            volatile_seen: self.volatile_seen,
            deleted: self.deleted,
            suspect: self.suspect.map(|Json(suspect)| suspect),
        };
        (RecordId::new(self.zoho_id), state)
    }
}

/// The accepted states of these records.
pub(super) async fn read(
    database: &Database,
    entity: &EntityType,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, SyncState>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT zoho_id, version, pushed, observed_began, observed_ended, list_hash, detail_hash, detail_version,
           detail_seen, volatile_hash, volatile_seen, deleted_at IS NOT NULL AS deleted, suspect
         FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = ANY($2)",
    )
    .bind(entity.as_str())
    .bind(texts(ids))
    .fetch_all(database)
    .await?;
    Ok(rows.into_iter().map(Row::into_state).collect())
}

/// Locks the rows of these records until the end of the transaction, in one order everywhere, and answers
/// the states of those that were known before. Rows of the others are made, which locks them too.
pub(super) async fn lock(
    tx: &mut Tx,
    entity: &EntityType,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, SyncState>, sqlx::Error> {
    let ids = texts(ids);
    let made: Vec<String> = sqlx::query_scalar(
        "INSERT INTO tds_sync_records (entity_type, zoho_id, pushed, observed_began, observed_ended)
         SELECT $1, id, false, 'epoch', 'epoch' FROM unnest($2::text[]) AS id ORDER BY id COLLATE \"C\"
         ON CONFLICT DO NOTHING RETURNING zoho_id",
    )
    .bind(entity.as_str())
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await?;
    let made: HashSet<String> = made.into_iter().collect();
    let known: Vec<String> = ids.into_iter().filter(|id| !made.contains(id)).collect();
    if known.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT zoho_id, version, pushed, observed_began, observed_ended, list_hash, detail_hash, detail_version,
           detail_seen, volatile_hash, volatile_seen, deleted_at IS NOT NULL AS deleted, suspect
         FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = ANY($2) ORDER BY zoho_id COLLATE \"C\" FOR UPDATE",
    )
    .bind(entity.as_str())
    .bind(known)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Row::into_state).collect())
}

/// Stores new states of locked records, and the ids of their rows in the head table, for operators who know them by
/// these.
pub(super) async fn store(
    tx: &mut Tx,
    entity: &EntityType,
    head: Option<&str>,
    states: &[(&RecordId, SyncState)],
) -> Result<(), sqlx::Error> {
    if states.is_empty() {
        return Ok(());
    }
    let hash = |hash: &Option<ContentHash>| hash.as_ref().map(|hash| hash.as_str().to_owned());
    let column = |of: fn(&SyncState) -> Option<OffsetDateTime>| -> Vec<Option<OffsetDateTime>> {
        states.iter().map(|(_, state)| of(state)).collect()
    };
    let local_id = head.map_or_else(
        || "s.local_id".to_owned(),
        |head| {
            format!(
                "COALESCE(s.local_id, (SELECT h.id FROM {} AS h WHERE h.zoho_id = s.zoho_id))",
                quote::table(head)
            )
        },
    );
    let sql = format!(
        "UPDATE tds_sync_records AS s SET version = n.version, pushed = n.pushed,
           observed_began = n.observed_began, observed_ended = n.observed_ended, list_hash = n.list_hash,
           detail_hash = n.detail_hash, detail_version = n.detail_version, detail_seen = n.detail_seen,
           volatile_hash = n.volatile_hash, volatile_seen = n.volatile_seen, suspect = n.suspect,
           deleted_at = CASE WHEN n.deleted THEN coalesce(s.deleted_at, now()) END, local_id = {local_id}
         FROM unnest($2::text[], $3::timestamptz[], $4::bool[], $5::timestamptz[], $6::timestamptz[], $7::text[],
             $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::bool[],
             $14::jsonb[])
           AS n (zoho_id, version, pushed, observed_began, observed_ended, list_hash, detail_hash, detail_version,
             detail_seen, volatile_hash, volatile_seen, deleted, suspect)
         WHERE s.entity_type = $1 AND s.zoho_id = n.zoho_id"
    );
    sqlx::query(quote::statement(sql))
        .bind(entity.as_str())
        .bind(states.iter().map(|(id, _)| id.as_str().to_owned()).collect::<Vec<_>>())
        .bind(column(|state| state.version))
        .bind(states.iter().map(|(_, state)| matches!(state.observed, Observed::Push(_))).collect::<Vec<_>>())
        .bind(column(|state| Some(state.observed.interval().began)))
        .bind(column(|state| Some(state.observed.interval().ended)))
        .bind(states.iter().map(|(_, state)| hash(&state.list_hash)).collect::<Vec<_>>())
        .bind(states.iter().map(|(_, state)| hash(&state.detail_hash)).collect::<Vec<_>>())
        .bind(column(|state| state.detail_version))
        .bind(column(|state| state.detail_seen))
        .bind(states.iter().map(|(_, state)| hash(&state.volatile_hash)).collect::<Vec<_>>())
        .bind(column(|state| state.volatile_seen))
        .bind(states.iter().map(|(_, state)| state.deleted).collect::<Vec<_>>())
        .bind(states.iter().map(|(_, state)| state.suspect.clone().map(Json)).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

fn texts(ids: &[RecordId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}
