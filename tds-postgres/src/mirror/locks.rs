//! Rows that another session has locked: which rows, by which session, and since when.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{
    error::{Error, ErrorKind, Retry},
    lock::lock,
    mirror::MirrorSchema,
    record::{EntityType, Read, RecordId, RecordKey},
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{Database, db::quote};

/// The shortest and the longest wait of a record whose row is locked. Between these limits, a record waits for `PART`
/// of the time for which its row has been locked.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);
const PART: f64 = 0.25;

/// The records that were locked at the last attempt, and since when. No batch waits for these records again.
#[derive(Clone, Default)]
pub(super) struct Locks(Arc<Mutex<HashMap<RecordKey, Instant>>>);

/// The session that holds a row, as far as it can be seen.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub(super) struct Lock {
    pid: Option<i32>,
    application: Option<String>,
    since: Option<OffsetDateTime>,
    seconds: Option<f64>,
}

#[derive(sqlx::FromRow)]
struct Row {
    zoho_id: String,
    #[sqlx(flatten)]
    lock: Lock,
}

impl Locks {
    /// Returns true if the record met a lock at the last attempt.
    pub(super) fn is_suspect(&self, key: &RecordKey) -> bool {
        lock(&self.0).contains_key(key)
    }

    /// Records that the record was written, so no session holds it any more.
    pub(super) fn forget(&self, key: &RecordKey) {
        lock(&self.0).remove(key);
    }

    /// Returns the records whose rows another session has locked. Locks that the search cannot see are found by
    /// trying to write.
    pub(super) async fn find(
        &self,
        database: &Database,
        schema: &MirrorSchema,
        reads: &[&Read],
    ) -> HashMap<RecordId, Lock> {
        let ids: Vec<String> = reads.iter().map(|read| read.key.id.as_str().to_owned()).collect();
        look(database, &schema.entity, schema.head, &ids).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the holder of a lock could not be determined");
            HashMap::new()
        })
    }

    /// Returns the error of a record whose row another session has locked. The record waits without spending an
    /// attempt. It waits for longer the longer the row is locked.
    pub(super) fn wait(&self, key: &RecordKey, holder: Option<&Lock>) -> Error {
        let since = *lock(&self.0).entry(key.clone()).or_insert_with(Instant::now);
        let holder = holder.cloned().unwrap_or_default();
        let held = holder.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let held = held.unwrap_or_else(|| since.elapsed());
        let retry_after = held.mul_f64(PART).clamp(SHORTEST, LONGEST);
        let mut details = Vec::new();
        details.extend(holder.pid.map(|pid| format!("pid {pid}")));
        details.extend(holder.application);
        details.extend(holder.since.map(|since| format!("its transaction began at {since}")));
        let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
        let text = format!(
            "storing {key}: another session of the database has locked its rows{details}; the record waits for that \
             session"
        );
        Error::new(ErrorKind::Locked, Retry::Throttled { retry_after }, text)
    }
}

/// Returns the rows that cannot be locked at once, each with the session whose transaction id is in the row's `xmax`.
async fn look(
    database: &Database,
    entity: &EntityType,
    head: Option<&str>,
    ids: &[String],
) -> Result<HashMap<RecordId, Lock>, sqlx::Error> {
    let mut found = HashMap::new();
    let database = database.hurried();
    let mut tables = vec![("tds_sync_records".to_owned(), "t.entity_type = $2 AND")];
    tables.extend(head.map(|head| (quote::table(head), "$2::text IS NOT NULL AND")));
    for (table, condition) in tables {
        let sql = format!(
            "WITH present AS MATERIALIZED (
               SELECT t.zoho_id, t.xmax AS holder FROM {table} AS t WHERE {condition} t.zoho_id = ANY($1)),
             free AS MATERIALIZED (
               SELECT t.zoho_id FROM {table} AS t WHERE {condition} t.zoho_id = ANY($1) FOR UPDATE SKIP LOCKED)
             SELECT p.zoho_id, l.pid, NULLIF(a.application_name, '') AS application, a.xact_start AS since,
               extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS seconds
               FROM present p
               LEFT JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = p.holder
               LEFT JOIN pg_stat_activity a ON a.pid = l.pid
              WHERE p.zoho_id NOT IN (SELECT zoho_id FROM free)"
        );
        let rows: Vec<Row> = sqlx::query_as(quote::statement(sql))
            .bind(ids)
            .bind(entity.as_str())
            .fetch_all(&database)
            .await?;
        found.extend(rows.into_iter().map(|row| (RecordId::new(row.zoho_id), row.lock)));
    }
    Ok(found)
}
