//! The rows of `tds_sync_records`: reading, locking and storing them.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, types::Json};
use tds_core::{
    guard::{Suspect, SyncState},
    outbound::Mode,
    record::{ColumnHashes, ContentHash, EntityType, Interval, Moves, Observed, RecordId},
};
use time::OffsetDateTime;

use super::decisions::{self, Decision};
use crate::{
    Database,
    db::{
        quote,
        session::Tx,
        text::{Query, column},
    },
    mode_names,
};

#[derive(sqlx::FromRow)]
struct Row {
    zoho_id: String,
    version: Option<OffsetDateTime>,
    pushed: bool,
    observed_began: OffsetDateTime,
    observed_ended: OffsetDateTime,
    list_hash: Option<String>,
    list_spells: Option<String>,
    detail_hash: Option<String>,
    detail_version: Option<OffsetDateTime>,
    detail_seen: Option<OffsetDateTime>,
    volatile_hash: Option<String>,
    volatile_seen: Option<OffsetDateTime>,
    moves: Option<Json<Moves>>,
    deleted: bool,
    suspect: Option<Json<Suspect>>,
    now: OffsetDateTime,
    mode: Option<String>,
    erasures: bool,
}

/// What [`lock`] found.
pub(super) struct Locked {
    /// The accepted states.
    pub(super) states: HashMap<RecordId, SyncState>,
    /// The database's time; `None` if no record is known.
    pub(super) now: Option<OffsetDateTime>,
    /// The mode of the entity type.
    pub(super) mode: Mode,
    /// Whether any record is erased.
    pub(super) erasures: bool,
}

/// Whether any erasure is in force. The index has the rows of such erasures and no others.
macro_rules! erasures {
    () => {
        "EXISTS (SELECT FROM tds_erasures AS e WHERE e.undone_at IS NULL)"
    };
}

const MODE: &str =
    concat!("SELECT (SELECT m.mode FROM tds_modes AS m WHERE m.entity_type = $1), ", erasures!());

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
            spelled: self.list_spells.map_or_else(Vec::new, |it| it.split(' ').map(str::to_owned).collect()),
            volatile_hash: self.volatile_hash.as_deref().map(ColumnHashes::from_text),
            volatile_seen: self.volatile_seen,
            moves: self.moves.map(|Json(moves)| moves),
            deleted: self.deleted,
            suspect: self.suspect.map(|Json(suspect)| suspect),
        };
        (RecordId::new(self.zoho_id), state)
    }
}

/// Reads the columns of [`Row`] for these records, each of which is found by the primary key. `zoho_id = ANY($2)`
/// would allow the planner to read all records of the entity type. The planner does so if the table has grown
/// since its last statistics. `fence`: the end of the inner query.
fn select(fence: &str) -> AssertSqlSafe<String> {
    quote::statement(format!(
        "SELECT s.*, (SELECT m.mode FROM tds_modes AS m WHERE m.entity_type = $1) AS mode, {} AS erasures
           FROM unnest($2::text[]) AS k(zoho_id) CROSS JOIN LATERAL (
           SELECT zoho_id, version, pushed, observed_began, observed_ended, list_hash, detail_hash, detail_version,
             detail_seen, volatile_hash, volatile_seen, moves, deleted_at IS NOT NULL AS deleted, suspect, list_spells,
             clock_timestamp() AS now
           FROM tds_sync_records r WHERE r.entity_type = $1 AND r.zoho_id = k.zoho_id {fence}) AS s",
        erasures!()
    ))
}

/// Returns the number of live records of an entity type.
pub(super) async fn live(database: &Database, entity: &EntityType) -> Result<u64, sqlx::Error> {
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM tds_sync_records WHERE entity_type = $1 AND deleted_at IS NULL",
    );
    let count: i64 = count.bind(entity.as_str()).fetch_one(database).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Returns the accepted states of these records.
pub(crate) async fn read(
    database: &Database,
    entity: &EntityType,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, SyncState>, sqlx::Error> {
    let query = sqlx::query_as(select("OFFSET 0")).bind(entity.as_str()).bind(texts(ids));
    Ok(query.fetch_all(database).await?.into_iter().map(Row::into_state).collect())
}

/// Returns the accepted states, locked until the end of the transaction. Every caller locks in the same order. Records
/// that are not known cannot be locked: see [`store`]. The rows of known records also have the mode, so that it costs no
/// statement of its own.
pub(super) async fn lock(tx: &mut Tx, entity: &EntityType, ids: &[RecordId]) -> Result<Locked, sqlx::Error> {
    // The rows are locked in the order of the ids.
    let mut ids = texts(ids);
    ids.sort_unstable();
    let query = sqlx::query_as(select("FOR UPDATE")).bind(entity.as_str()).bind(ids);
    let rows: Vec<Row> = query.fetch_all(&mut *tx).await?;
    let now = rows.iter().map(|row| row.now).max();
    let (mode, erasures): (Option<String>, bool) = match rows.first() {
        Some(row) => (row.mode.clone(), row.erasures),
        None => sqlx::query_as(MODE).bind(entity.as_str()).fetch_one(tx).await?,
    };
    let mode = mode.as_deref().map(mode_names::mode).transpose()?.unwrap_or_default();
    Ok(Locked { states: rows.into_iter().map(Row::into_state).collect(), now, mode, erasures })
}

/// The new states as the parameters of a statement, after the entity type. Stored times are at most ten seconds later
/// than the database's time. Otherwise, if the clock of this machine is ahead, later reads would wait until the
/// clock is set back and time has caught up.
const NEW: &str = "(SELECT n.zoho_id, n.version, n.pushed, LEAST(n.observed_began, clock.now) AS observed_began,
      LEAST(n.observed_ended, clock.now) AS observed_ended, n.list_hash, n.detail_hash, n.detail_version,
      CASE WHEN n.detail_seen > clock.now THEN clock.now ELSE n.detail_seen END AS detail_seen, n.volatile_hash,
      CASE WHEN n.volatile_seen > clock.now THEN clock.now ELSE n.volatile_seen END AS volatile_seen, n.deleted,
      n.suspect, n.list_spells, n.moves
    FROM unnest($2::text[], $3::timestamptz[], $4::bool[], $5::timestamptz[], $6::timestamptz[], $7::text[],
      $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::bool[], $14::jsonb[],
      $15::text[], $16::jsonb[])
      AS n (zoho_id, version, pushed, observed_began, observed_ended, list_hash, detail_hash, detail_version,
        detail_seen, volatile_hash, volatile_seen, deleted, suspect, list_spells, moves),
      (SELECT clock_timestamp() + interval '10 seconds' AS now) AS clock) AS n";

/// Stores new states of locked records, and of records that were not `known`. The rows also get the ids of their head
/// rows, for operators who know the records by these ids. Returns false if another transaction stored a record that
/// was not known. In that case everything must be decided again.
///
/// The first statement also stores the decisions that led to the states.
pub(super) async fn store(
    tx: &mut Tx,
    entity: &EntityType,
    head: Option<&str>,
    states: &[(&RecordId, SyncState)],
    known: &HashMap<RecordId, SyncState>,
    decisions: &[Decision<'_>],
) -> Result<bool, sqlx::Error> {
    let (old, fresh): (Vec<_>, Vec<_>) = states.iter().partition(|(id, _)| known.contains_key(*id));
    let head_id = |record: &str| {
        head.map_or_else(
            || "NULL::bigint".to_owned(),
            |head| {
                format!("(SELECT h.id FROM {} AS h WHERE h.zoho_id = {record}.zoho_id)", quote::table(head))
            },
        )
    };
    if states.is_empty() {
        let insert = quote::statement(decisions::insert(1, 2));
        decisions::alone(insert, entity, decisions).execute(tx).await?;
        return Ok(true);
    }
    // A statement that changes the states has sixteen parameters.
    let decided = format!("WITH decided AS ({}) ", decisions::insert(1, 17));
    if !old.is_empty() {
        let sql = format!(
            "{decided}UPDATE tds_sync_records AS s SET version = n.version, pushed = n.pushed,
               observed_began = n.observed_began, observed_ended = n.observed_ended, list_hash = n.list_hash,
               detail_hash = n.detail_hash, detail_version = n.detail_version, detail_seen = n.detail_seen,
               volatile_hash = n.volatile_hash, volatile_seen = n.volatile_seen, suspect = n.suspect,
               list_spells = n.list_spells, moves = n.moves,
               deleted_at = CASE WHEN n.deleted THEN coalesce(s.deleted_at, now()) END,
               local_id = coalesce(s.local_id, {})
             FROM {NEW} WHERE s.entity_type = $1 AND s.zoho_id = n.zoho_id",
            head_id("s")
        );
        let query = bind(sqlx::query(quote::statement(sql)), entity, &old);
        decisions::bind(query, decisions).execute(&mut *tx).await?;
    }
    if fresh.is_empty() {
        return Ok(true);
    }
    let decided = if old.is_empty() { decided } else { String::new() };
    let sql = format!(
        "{decided}INSERT INTO tds_sync_records (entity_type, zoho_id, version, pushed, observed_began, observed_ended, list_hash,
           detail_hash, detail_version, detail_seen, volatile_hash, volatile_seen, deleted_at, suspect, list_spells, moves,
           local_id)
         SELECT $1, n.zoho_id, n.version, n.pushed, n.observed_began, n.observed_ended, n.list_hash, n.detail_hash,
           n.detail_version, n.detail_seen, n.volatile_hash, n.volatile_seen, CASE WHEN n.deleted THEN now() END,
           n.suspect, n.list_spells, n.moves, {}
         FROM {NEW} ORDER BY n.zoho_id COLLATE \"C\" ON CONFLICT DO NOTHING",
        head_id("n")
    );
    let query = bind(sqlx::query(quote::statement(sql)), entity, &fresh);
    let query = if old.is_empty() { decisions::bind(query, decisions) } else { query };
    let stored = query.execute(tx).await?.rows_affected();
    Ok(usize::try_from(stored) == Ok(fresh.len()))
}

fn bind<'q>(query: Query<'q>, entity: &EntityType, states: &[&(&RecordId, SyncState)]) -> Query<'q> {
    query
        .bind(entity.as_str())
        .bind(column(states, |(id, _)| id.as_str()))
        .bind(column(states, |(_, state)| state.version))
        .bind(column(states, |(_, state)| matches!(state.observed, Observed::Push(_))))
        .bind(column(states, |(_, state)| state.observed.interval().began))
        .bind(column(states, |(_, state)| state.observed.interval().ended))
        .bind(column(states, |(_, state)| state.list_hash.as_ref().map(ContentHash::as_str)))
        .bind(column(states, |(_, state)| state.detail_hash.as_ref().map(ContentHash::as_str)))
        .bind(column(states, |(_, state)| state.detail_version))
        .bind(column(states, |(_, state)| state.detail_seen))
        .bind(column(states, |(_, state)| state.volatile_hash.as_ref().map(ColumnHashes::to_text)))
        .bind(column(states, |(_, state)| state.volatile_seen))
        .bind(column(states, |(_, state)| state.deleted))
        .bind(column(states, |(_, state)| state.suspect.clone().map(Json)))
        .bind(column(states, |(_, state)| (!state.spelled.is_empty()).then(|| state.spelled.join(" "))))
        .bind(column(states, |(_, state)| state.moves.clone().map(Json)))
}

fn texts(ids: &[RecordId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}
