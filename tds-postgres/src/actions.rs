//! What operators do with items: retry and discard, a batch per transaction.

use std::collections::BTreeMap;

use sqlx::{Row as _, postgres::PgRow};

use tds_core::{
    queue::{ItemFilter, ItemStatus, Lane},
    record::{EntityType, RecordId, RecordKey},
};

use crate::{
    Database, Tx,
    ended::{self, Completions},
    error::of_postgres,
    fold::Batch,
    queue::{entity_of, work_of},
    queue_operator::ids_of,
    settle::move_items,
    store::{repeat_for_operator, seconds, storable},
};

/// Items of one transaction.
const BATCH: i64 = 500;

const SELECT: &str = "
SELECT q.* FROM tds_queue_live q
 WHERE q.status = ANY($1::text[]) AND ($2::bigint[] IS NULL OR q.id = ANY($2))
   AND ($3::text IS NULL OR q.status = $3) AND ($4::text IS NULL OR q.entity_type = $4)
   AND ($5::text IS NULL OR strpos(lower(concat_ws(E'\\n', q.zoho_entity_id, q.error_message)), lower($5)) > 0)
   AND ($6::double precision IS NULL OR q.queued_at <= now() - make_interval(secs => $6))
 ORDER BY q.entity_type, q.zoho_entity_id, q.id LIMIT $7 FOR UPDATE
";

const DUE_NOW: &str = "
UPDATE tds_queue_live SET status = 'pending', retry_count = 0, run_at = clock_timestamp()
 WHERE id = ANY($1::bigint[]) AND status = 'failed'
";

// The newest dead letter of a record lives again, where nothing else of the record lives.
const REVIVE: &str = "
UPDATE tds_queue_live q SET status = 'pending', retry_count = 0, run_at = clock_timestamp(), dead_lettered_at = NULL
 WHERE q.id IN (SELECT DISTINCT ON (d.entity_type, d.zoho_entity_id) d.id FROM tds_queue_live d
                 WHERE d.id = ANY($1::bigint[]) AND d.dead_lettered_at IS NOT NULL
                 ORDER BY d.entity_type, d.zoho_entity_id, d.id DESC)
   AND NOT EXISTS (SELECT FROM tds_queue_live o WHERE o.dead_lettered_at IS NULL AND o.entity_type = q.entity_type
                      AND o.zoho_entity_id = q.zoho_entity_id)
RETURNING q.id
";

/// Makes dead letters and waiting retries due now. Answers how many.
pub(crate) async fn retry(database: &Database, filter: &ItemFilter) -> Result<u64, sqlx::Error> {
    let among = ["failed", "dead_letter"];
    if filter.status.is_some_and(|status| !matches!(status, ItemStatus::Failed | ItemStatus::DeadLetter)) {
        return Ok(0);
    }
    all(database, filter, &among, Action::Retry).await
}

/// Gives items up. Answers how many.
pub(crate) async fn discard(database: &Database, filter: &ItemFilter) -> Result<u64, sqlx::Error> {
    all(database, filter, &["pending", "failed", "dead_letter"], Action::Discard).await
}

#[derive(Clone, Copy)]
enum Action {
    Retry,
    Discard,
}

/// Batch after batch; what was done does not match any more.
async fn all(
    database: &Database,
    filter: &ItemFilter,
    among: &[&str],
    action: Action,
) -> Result<u64, sqlx::Error> {
    let mut affected: u64 = 0;
    let mut collisions = 0;
    loop {
        let done = match repeat_for_operator(|| one_batch(database, filter, among, action)).await {
            // Work of the record was queued between our look and our write: look again.
            Err(error) if collisions < 20 && is_collision(&error) => {
                collisions += 1;
                continue;
            }
            result => result?,
        };
        affected += done;
        if done < BATCH.unsigned_abs() {
            return Ok(affected);
        }
    }
}

fn is_collision(error: &sqlx::Error) -> bool {
    of_postgres(error).is_some_and(|cause| cause.constraint() == Some("tds_queue_record"))
}

async fn one_batch(
    database: &Database,
    filter: &ItemFilter,
    among: &[&str],
    action: Action,
) -> Result<u64, sqlx::Error> {
    let mut tx = database.begin().await?;
    let rows = sqlx::query(SELECT)
        .bind(among)
        .bind(ids_of(filter))
        .bind(filter.status.map(ItemStatus::as_str))
        .bind(filter.entity.as_ref().map(EntityType::as_str))
        .bind(filter.search.as_deref().map(storable))
        .bind(filter.older_than.map(seconds))
        .bind(BATCH)
        .fetch_all(&mut tx)
        .await?;
    let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<i64>, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    match action {
        Action::Retry => retry_items(&mut tx, &rows, &ids).await?,
        Action::Discard => discard_items(&mut tx, &ids).await?,
    }
    tx.commit().await?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}

async fn discard_items(tx: &mut Tx, ids: &[i64]) -> Result<(), sqlx::Error> {
    let gone: Vec<(i64, &'static str)> = ids.iter().map(|id| (*id, "discarded")).collect();
    let upto: Vec<(i64, i64)> = ids.iter().map(|id| (*id, i64::MAX)).collect();
    ended::archive(tx, &gone).await?;
    let mut endings = Completions::default();
    for completed in ended::take_waiters(tx, &upto).await? {
        endings.notify(&completed, "discarded", false);
    }
    endings.write(tx).await
}

async fn retry_items(tx: &mut Tx, rows: &[PgRow], ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query(DUE_NOW).bind(ids).execute(&mut *tx).await?;
    let revived = sqlx::query(REVIVE).bind(ids).fetch_all(&mut *tx).await?;
    let revived = revived.iter().map(|row| row.try_get("id")).collect::<Result<Vec<i64>, _>>()?;
    ended::reopen_events(tx, &revived, "failed").await?;

    // The others are folded into what lives of their record.
    let mut batch = Batch::default();
    let mut targets = BTreeMap::new();
    for row in rows {
        let (id, status): (i64, String) = (row.try_get("id")?, row.try_get("status")?);
        if status != "dead_letter" || revived.contains(&id) {
            continue;
        }
        let (entity, record): (String, String) =
            (row.try_get("entity_type")?, row.try_get("zoho_entity_id")?);
        let key = RecordKey::new(entity_of(&entity)?, RecordId::new(record));
        let lane = Lane::from_priority(row.try_get("priority")?);
        batch.add(&key, lane, &work_of(row)?, None);
        targets.insert(id, key);
    }
    if targets.is_empty() {
        return Ok(());
    }
    let moved: Vec<i64> = targets.keys().copied().collect();
    ended::reopen_events(tx, &moved, "failed").await?;
    let mut endings = Completions::default();
    move_items(tx, &batch, &targets, &mut endings).await?;
    endings.write(tx).await
}
