//! The relay: captured changes become items of the queue.

use std::collections::BTreeSet;

use tds_core::{
    queue::{Lane, Waiter, Work, WorkKey},
    record::EntityType,
};

use crate::{
    Database,
    db::{
        parts::around_locks,
        retry::{ALONE, repeat},
        text::entity_of,
    },
    queue::fold::{Batch, attach},
};

// The triggers put changes where no index costs them anything.
const COLLECT: &str = "SELECT tds_collect_changes()";

// A row is visible when its transaction has committed. A change that commits late is therefore found at a later look,
// whatever its id is.
const WAITING: &str = "SELECT id FROM tds_outbox WHERE NOT relayed ORDER BY id LIMIT $1";

// Another process may carry the same changes at this moment.
const CARRY: &str = "
WITH due AS MATERIALIZED (
  SELECT id FROM tds_outbox WHERE id = ANY($1) AND NOT relayed ORDER BY id FOR UPDATE SKIP LOCKED)
UPDATE tds_outbox AS o SET relayed = true FROM due WHERE o.id = due.id RETURNING o.entity_type, o.local_id
";

/// Enqueues the records of changes that no item carries yet. Returns the number of changes.
pub(super) async fn relay(database: &Database, limit: usize) -> Result<usize, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let waiting: Vec<i64> = sqlx::query_scalar(WAITING).bind(limit).fetch_all(database).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    repeat(ALONE, || sqlx::query(COLLECT).execute(database)).await?;
    let waiting: Vec<i64> = sqlx::query_scalar(WAITING).bind(limit).fetch_all(database).await?;
    let carry = |database: Database, ids: Vec<i64>| async move {
        let mut tx = database.begin().await?;
        let changes: Vec<(String, i64)> = sqlx::query_as(CARRY).bind(ids).fetch_all(&mut tx).await?;
        let records: BTreeSet<&(String, i64)> = changes.iter().collect();
        let mut batch = Batch::default();
        for (entity, local_id) in records {
            add(&mut batch, entity_of(entity)?, *local_id);
        }
        let places = batch.fold(&mut tx).await?;
        attach(&mut tx, &places.each_for(Waiter::Operator)).await?;
        tx.commit().await?;
        Ok(changes.len())
    };
    // Changes whose items another session has locked are carried at the next look.
    let parted = around_locks(database, waiting, carry).await?;
    if let Some(error) = parted.fault {
        tracing::debug!(%error, changes = parted.locked.len(), "local changes wait for locked items");
    }
    Ok(parted.done.into_iter().sum())
}

/// Adds the push of a record. Its item has a waiter of its own, so that no cancelled run takes it out of the queue.
pub(super) fn add(batch: &mut Batch, entity: EntityType, local_id: i64) {
    batch.add(WorkKey::outbound(entity, local_id.to_string()), Lane::Outbound, &Work::fetch(), None);
}
