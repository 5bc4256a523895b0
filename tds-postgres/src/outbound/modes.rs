//! The modes of the entity types.

use std::collections::BTreeMap;

use sqlx::{Row as _, postgres::PgRow, types::Json};
use tds_core::{
    error::{Error, Retry},
    outbound::{ConflictPolicy, EntityMode, ModeChange, Push},
    record::EntityType,
};

use crate::{Database, Tx, db::text::entity_of, mode_names};

const ALL: &str = "
SELECT entity_type, mode, conflict_policy, field_policies, epoch, changed_at FROM tds_modes ORDER BY entity_type
";

// tds_captures and batches of reads take the same lock, shared.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext(tds_own('tds_modes')), hashtext($1))";

const MODE: &str = "SELECT mode FROM tds_modes WHERE entity_type = $1";

const ADD: &str = "INSERT INTO tds_modes (entity_type) VALUES ($1) ON CONFLICT DO NOTHING";

const SET: &str = "
UPDATE tds_modes SET mode = coalesce($2, mode), conflict_policy = coalesce($3, conflict_policy),
  field_policies = coalesce($4, field_policies), epoch = epoch + 1, changed_at = clock_timestamp()
 WHERE entity_type = $1 AND ($5::bigint IS NULL OR epoch = $5)
RETURNING entity_type, mode, conflict_policy, field_policies, epoch, changed_at
";

const PENDING: &str = "
SELECT count(*) FROM tds_outbox WHERE entity_type = $1 AND status IN ('pending', 'conflict')
";

const EPOCH: &str = "SELECT epoch FROM tds_modes WHERE entity_type = $1 FOR SHARE";

/// The epoch of a mode that was never set.
const FIRST: i64 = 1;

/// Returns the modes that were set at some time.
pub(super) async fn all(database: &Database) -> Result<Vec<EntityMode>, sqlx::Error> {
    sqlx::query(ALL).try_map(|row: PgRow| mode_of(&row)).fetch_all(database).await
}

/// The result of a change of a mode.
pub(super) enum Change {
    /// The mode was changed.
    Set(EntityMode),
    /// The mode has another epoch.
    OtherEpoch,
    /// So many changes are pending that the new mode would not write.
    Pending(u64),
}

/// Changes a mode, or nothing. The lock waits for the programs whose changes were captured under the present mode.
pub(super) async fn set(database: &Database, change: &ModeChange) -> Result<Change, sqlx::Error> {
    let stored = |policies: &BTreeMap<String, ConflictPolicy>| {
        let stored = policies.iter().map(|(field, policy)| (field.clone(), mode_names::of_policy(*policy)));
        Json(stored.collect::<BTreeMap<String, &str>>())
    };
    let mut tx = database.begin().await?;
    sqlx::query(LOCK).bind(change.entity.as_str()).execute(&mut tx).await?;
    sqlx::query(ADD).bind(change.entity.as_str()).execute(&mut tx).await?;
    let pushes: String = sqlx::query_scalar(MODE).bind(change.entity.as_str()).fetch_one(&mut tx).await?;
    if mode_names::mode(&pushes)?.pushes() && change.mode.is_some_and(|mode| !mode.pushes()) {
        let open: i64 = sqlx::query_scalar(PENDING).bind(change.entity.as_str()).fetch_one(&mut tx).await?;
        if open > 0 {
            tx.rollback().await?;
            return Ok(Change::Pending(u64::try_from(open).unwrap_or(0)));
        }
    }
    let set = sqlx::query(SET)
        .bind(change.entity.as_str())
        .bind(change.mode.map(mode_names::of_mode))
        .bind(change.policy.map(mode_names::of_policy))
        .bind(change.fields.as_ref().map(stored))
        .bind(change.epoch)
        .try_map(|row: PgRow| mode_of(&row))
        .fetch_optional(&mut tx)
        .await?;
    match set {
        Some(mode) => {
            tx.commit().await?;
            Ok(Change::Set(mode))
        }
        None => {
            tx.rollback().await?;
            Ok(Change::OtherEpoch)
        }
    }
}

/// Counts the changes of an entity type that are pending or parked.
pub(super) async fn pending(database: &Database, entity: &EntityType) -> Result<u64, sqlx::Error> {
    let count: i64 = sqlx::query_scalar(PENDING).bind(entity.as_str()).fetch_one(database).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Returns true if the mode still has the epoch of the push. The mode stays so until the end of the transaction.
pub(super) async fn holds(tx: &mut Tx, push: &Push) -> Result<bool, sqlx::Error> {
    let epoch: Option<i64> = sqlx::query_scalar(EPOCH).bind(push.entity.as_str()).fetch_optional(tx).await?;
    Ok(epoch.unwrap_or(FIRST) == push.mode.epoch)
}

/// Returns the error of a push whose mode was changed.
pub(super) fn epoch_passed(push: &Push) -> Error {
    Error::conflict(format!(
        "the mode of {} was changed while {} {} was pushed; nothing of the push is kept",
        push.entity, push.entity, push.local_id
    ))
    .with_retry(Retry::Transient { retry_after: None })
}

/// Reads a row of `tds_modes`.
pub(super) fn mode_of(row: &PgRow) -> Result<EntityMode, sqlx::Error> {
    let Json(fields): Json<BTreeMap<String, String>> = row.try_get("field_policies")?;
    let policy = |(field, policy): (String, String)| Ok((field, mode_names::policy(&policy)?));
    Ok(EntityMode {
        entity: entity_of(row.try_get("entity_type")?)?,
        mode: mode_names::mode(row.try_get("mode")?)?,
        policy: mode_names::policy(row.try_get("conflict_policy")?)?,
        fields: fields.into_iter().map(policy).collect::<Result<_, sqlx::Error>>()?,
        epoch: row.try_get("epoch")?,
        changed_at: row.try_get("changed_at")?,
    })
}
