//! The end of a conflict: the decision is stored, and the parked changes are pushed again.

use std::collections::BTreeMap;

use sqlx::{postgres::PgRow, types::Json};
use tds_core::{
    outbound::{Conflict, Resolution},
    queue::Waiter,
};

use super::{
    conflicts,
    decisions::{self, Decided},
    relay, take,
    target::Target,
};
use crate::{
    Database,
    db::text::{storable, storable_json},
    queue::fold::{Batch, attach},
};

const RESOLVE: &str = "
UPDATE tds_conflicts SET status = 'resolved', fields = $2, decisions = $3, resolved_at = clock_timestamp(),
  resolved_by = $4
 WHERE id = $1 AND status = 'open' RETURNING *
";

const AGAIN: &str = "
UPDATE tds_outbox SET status = 'pending', relayed = true
 WHERE entity_type = $1 AND local_id = $2 AND status = 'conflict' AND conflict_id = $3
";

/// Stores a decision. Returns `None`, and changes nothing, if the conflict was decided in the meantime.
pub(super) async fn resolve(
    database: &Database,
    target: &Target,
    conflict: &Conflict,
    resolution: &Resolution,
    decided: &Decided,
) -> Result<Option<Conflict>, sqlx::Error> {
    let mut tx = database.begin_as_engine("").await?;
    // The row first: a program that writes it waits for nothing else.
    take::columns(&mut tx, target, conflict.local_id, &decided.write).await?;
    let resolved = sqlx::query(RESOLVE)
        .bind(conflict.id.0)
        .bind(Json(conflicts::stored(&decided.fields)))
        .bind(Json(storable_json(&decisions::stored(&BTreeMap::new(), &decided.fields))))
        .bind(storable(&resolution.by))
        .try_map(|row: PgRow| conflicts::conflict_of(&row))
        .fetch_optional(&mut tx)
        .await?;
    if resolved.is_none() {
        tx.rollback().await?;
        return Ok(None);
    }
    let again = sqlx::query(AGAIN).bind(conflict.entity.as_str()).bind(conflict.local_id).bind(conflict.id.0);
    again.execute(&mut tx).await?;
    let mut batch = Batch::default();
    relay::add(&mut batch, conflict.entity.clone(), conflict.local_id);
    let places = batch.fold(&mut tx).await?;
    attach(&mut tx, &places.each_for(Waiter::Operator)).await?;
    tx.commit().await?;
    Ok(resolved)
}
