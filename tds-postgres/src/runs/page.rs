//! Pages of a run: the items, the counts and the checkpoint of a page are written in one transaction.

use std::collections::HashSet;

use sqlx::types::Json;
use tds_core::{
    queue::{Lane, LeaseToken, NewItem, Waiter, Work},
    record::{EntityType, RecordId, RecordKey},
    runs::{PageCommit, RunId},
};

use crate::{
    Database, Tx,
    db::text::{entity_of, storable},
    queue::{events::end_runs, fold::queue},
};

const STAND: &str = "SELECT pages, total_items FROM tds_sync_runs WHERE id = $1 AND lease_token = $2";

// The rows are written in the order of ids, as all statements do that write several rows.
const LIST: &str = "
INSERT INTO tds_run_records (run_id, zoho_id) SELECT $1, id FROM unnest($2::text[]) AS id ORDER BY id COLLATE \"C\"
ON CONFLICT DO NOTHING RETURNING zoho_id
";

// Proves the lease and the page number. The statement changes nothing if either is wrong.
const ADVANCE: &str = "
UPDATE tds_sync_runs SET total_items = total_items + $3, unchanged_items = unchanged_items + $4,
  processed_items = processed_items + $4, open_items = open_items + $5, pages = $6, checkpoint = $7::jsonb,
  window_to = $8, listing_done = listing_done OR $9,
  lease_expires_at = CASE WHEN $9 THEN NULL ELSE lease_expires_at END
 WHERE id = $1 AND lease_token = $2 AND status = 'running' AND pages < $6 RETURNING total_items
";

const LIVE: &str = "SELECT count(*) FROM tds_sync_records WHERE entity_type = $1 AND deleted_at IS NULL";

// A time that is later than the clock was noted by a clock that was ahead, so it does not show that the record is new.
// Each missing record is read by id before it is deleted anyway.
const MISSING: &str = "
SELECT s.zoho_id FROM tds_sync_records s, tds_sync_runs r
 WHERE r.id = $1 AND s.entity_type = $2 AND s.deleted_at IS NULL
   AND (s.first_seen_at < COALESCE(r.started_at, r.created_at)
     OR s.first_seen_at > clock_timestamp() + interval '10 seconds')
   AND (s.observed_ended < COALESCE(r.started_at, r.created_at)
     OR s.observed_ended > clock_timestamp() + interval '10 seconds')
   AND NOT EXISTS (SELECT FROM tds_run_records d WHERE d.run_id = $1 AND d.zoho_id = s.zoho_id COLLATE \"C\")
 ORDER BY s.zoho_id
";

const HELD: &str = "SELECT entity_type, held_ids FROM tds_sync_runs WHERE id = $1";

const RELEASE: &str = "
UPDATE tds_sync_runs SET held_ids = '{}', error_log = NULL, total_items = total_items + $2,
  open_items = open_items + $3, status = CASE WHEN status = 'pending' THEN status ELSE 'running' END,
  completed_at = NULL
 WHERE id = $1 AND held_ids = $4
";

/// Commits a page. Returns the number of records that the run has listed so far. `None` means that the lease is lost.
pub(crate) async fn commit(
    database: &Database,
    id: RunId,
    token: LeaseToken,
    page: &PageCommit,
) -> Result<Option<i64>, sqlx::Error> {
    let mut tx = database.begin().await?;
    let stand = sqlx::query_as::<_, (i64, i64)>(STAND).bind(id.0).bind(token.0);
    let Some((pages, total)) = stand.fetch_optional(&mut tx).await? else { return Ok(None) };
    if pages >= page.checkpoint.pages {
        // The page was committed before, but the caller did not receive the result.
        return Ok(Some(total));
    }
    let listed: HashSet<String> = page.listed.iter().map(stored).collect();
    let relisted = list(&mut tx, id, &listed).await?;
    let queued: HashSet<String> = page.items.iter().map(|item| stored(&item.key.id)).collect();
    let unchanged = listed.iter().filter(|id| !queued.contains(*id) && !relisted.contains(*id)).count();
    let open = open_items(&mut tx, &page.items, &relisted).await?;
    let advanced = sqlx::query_scalar::<_, i64>(ADVANCE)
        .bind(id.0)
        .bind(token.0)
        .bind(count(listed.len() - relisted.len()))
        .bind(count(unchanged))
        .bind(open)
        .bind(page.checkpoint.pages)
        .bind(Json(&page.checkpoint))
        .bind(page.checkpoint.window_to)
        .bind(page.last)
        .fetch_optional(&mut tx)
        .await?;
    let Some(total) = advanced else { return Ok(None) };
    if page.last {
        end_runs(&mut tx, &[id.0]).await?;
    }
    tx.commit().await?;
    Ok(Some(total))
}

/// Returns the number of live records, and the ids of the live records that no page listed.
pub(crate) async fn missing(
    database: &Database,
    id: RunId,
    entity: &EntityType,
) -> Result<(i64, Vec<RecordId>), sqlx::Error> {
    let live = sqlx::query_scalar(LIVE).bind(entity.as_str()).fetch_one(database).await?;
    let missing = sqlx::query_scalar(MISSING).bind(id.0).bind(entity.as_str());
    let missing: Vec<String> = missing.fetch_all(database).await?;
    Ok((live, missing.into_iter().map(RecordId::new).collect()))
}

/// Enqueues held deletions as items of the run. Returns the number of items.
pub(crate) async fn confirm(database: &Database, id: RunId) -> Result<u64, sqlx::Error> {
    let mut tx = database.begin().await?;
    let (entity, held): (String, Vec<String>) = sqlx::query_as(HELD).bind(id.0).fetch_one(&mut tx).await?;
    if held.is_empty() {
        return Ok(0);
    }
    let entity = entity_of(&entity)?;
    let item = |record: &String| NewItem {
        key: RecordKey::new(entity.clone(), RecordId::new(record.as_str())).into(),
        lane: Lane::Operator,
        work: Work::fetch(),
        waiter: Waiter::Run(id),
    };
    let items: Vec<NewItem> = held.iter().map(item).collect();
    let open = open_items(&mut tx, &items, &HashSet::new()).await?;
    let released = sqlx::query(RELEASE)
        .bind(id.0)
        .bind(count(held.len()))
        .bind(open)
        .bind(&held)
        .execute(&mut tx)
        .await?;
    if released.rows_affected() == 0 {
        // Another request released the deletions in the meantime, or a later check held other deletions back. This
        // transaction is rolled back.
        return Ok(0);
    }
    tx.commit().await?;
    Ok(u64::try_from(held.len()).unwrap_or(u64::MAX))
}

/// Enqueues the items of a page. Returns the number of items for which the run did not wait yet.
async fn open_items(tx: &mut Tx, items: &[NewItem], relisted: &HashSet<String>) -> Result<i64, sqlx::Error> {
    let new = queue(tx, &items.iter().collect::<Vec<_>>(), relisted).await?;
    Ok(count(new.iter().filter(|new| matches!(new.waiter, Waiter::Run(_))).count()))
}

/// Records the ids that the run listed. Returns the ids that the run had listed before.
async fn list(tx: &mut Tx, id: RunId, listed: &HashSet<String>) -> Result<HashSet<String>, sqlx::Error> {
    let ids: Vec<&str> = listed.iter().map(String::as_str).collect();
    let fresh: Vec<String> = sqlx::query_scalar(LIST).bind(id.0).bind(ids).fetch_all(tx).await?;
    let fresh: HashSet<String> = fresh.into_iter().collect();
    Ok(listed.difference(&fresh).cloned().collect())
}

fn stored(id: &RecordId) -> String {
    storable(id.as_str()).into_owned()
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
