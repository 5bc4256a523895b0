//! The conflicts: what a push found, and what operators see of it.

use serde_json::{Value, json};
use sqlx::{Row as _, postgres::PgRow, types::Json};
use tds_core::{
    error::Result,
    outbound::{Conflict, ConflictId, ConflictStatus, FieldConflict, Push},
    queue::Page,
    record::{EntityType, RecordId, same_value},
};

use super::decisions;
use crate::{
    Database, Tx,
    db::{
        error::Doing as _,
        page::{below, page, rows},
        text::{entity_of, one_of, storable_json},
    },
    mode_names,
};

const LIST: &str = "
SELECT * FROM tds_conflicts
 WHERE id < $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR entity_type = $3)
 ORDER BY id DESC LIMIT $4
";

const GET: &str = "SELECT * FROM tds_conflicts WHERE id = $1";
const OPEN: &str = "SELECT count(*) FROM tds_conflicts WHERE status = 'open'";

const UPDATE_OPEN: &str = "
UPDATE tds_conflicts SET fields = $3, zoho_id = coalesce($4, zoho_id)
 WHERE entity_type = $1 AND local_id = $2 AND status = 'open' RETURNING id
";

const ADD_OPEN: &str = "
INSERT INTO tds_conflicts (entity_type, local_id, fields, zoho_id) VALUES ($1, $2, $3, $4) RETURNING id
";

const CLOSE: &str = "
UPDATE tds_conflicts SET status = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'policy'
 WHERE entity_type = $1 AND local_id = $2 AND status = 'open'
";

const ADD_DECIDED: &str = "
INSERT INTO tds_conflicts (entity_type, local_id, fields, zoho_id, status, decisions, resolved_at, resolved_by)
VALUES ($1, $2, $3, $4, 'resolved', $5, clock_timestamp(), 'policy') RETURNING id
";

/// Returns one page of conflicts, newest first.
pub(super) async fn list(
    database: &Database,
    status: Option<ConflictStatus>,
    entity: Option<&EntityType>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Conflict>> {
    let found = sqlx::query(LIST)
        .bind(below(cursor)?)
        .bind(status.map(ConflictStatus::as_str))
        .bind(entity.map(EntityType::as_str))
        .bind(rows(limit))
        .try_map(|row: PgRow| conflict_of(&row))
        .fetch_all(database)
        .await
        .doing("listing conflicts")?;
    Ok(page(found, limit, |conflict| conflict.id.0))
}

/// Returns one conflict.
pub(super) async fn get(database: &Database, id: ConflictId) -> Result<Option<Conflict>, sqlx::Error> {
    let row = sqlx::query(GET).bind(id.0).try_map(|row: PgRow| conflict_of(&row));
    row.fetch_optional(database).await
}

/// Counts the open conflicts.
pub(super) async fn open(database: &Database) -> Result<u64, sqlx::Error> {
    let count: i64 = sqlx::query_scalar(OPEN).fetch_one(database).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Stores what a person has to decide. A record has at most one open conflict. Returns its id.
pub(super) async fn open_for(
    tx: &mut Tx,
    push: &Push,
    fields: &[FieldConflict],
) -> Result<Option<i64>, sqlx::Error> {
    let stored = Json(stored(fields));
    for statement in [UPDATE_OPEN, ADD_OPEN] {
        let store =
            sqlx::query_scalar(statement).bind(push.entity.as_str()).bind(push.local_id).bind(&stored);
        let store = store.bind(push.link.remote_id.as_ref().map(RecordId::as_str));
        if let Some(id) = store.fetch_optional(&mut *tx).await? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Closes the open conflict of a record, because the changes that it was about have ended without a person.
pub(super) async fn close(tx: &mut Tx, push: &Push) -> Result<(), sqlx::Error> {
    sqlx::query(CLOSE).bind(push.entity.as_str()).bind(push.local_id).execute(tx).await.map(drop)
}

/// Keeps what was decided and was not before. Returns the id of the conflict, if there is one.
pub(super) async fn keep_decided(
    tx: &mut Tx,
    push: &Push,
    fields: &[FieldConflict],
) -> Result<Option<i64>, sqlx::Error> {
    let is_new = |conflict: &&FieldConflict| {
        let decided = push.decisions.get(&conflict.field);
        decided.is_none_or(|(source, _)| !same_value(source, &conflict.source))
    };
    let new: Vec<FieldConflict> = fields.iter().filter(is_new).cloned().collect();
    if new.is_empty() {
        return Ok(None);
    }
    // The changes get this conflict in the place of an earlier one, so its decisions come along.
    let decisions = decisions::stored(&push.decisions, &new);
    sqlx::query_scalar(ADD_DECIDED)
        .bind(push.entity.as_str())
        .bind(push.local_id)
        .bind(Json(stored(&new)))
        .bind(push.link.remote_id.as_ref().map(RecordId::as_str))
        .bind(Json(storable_json(&decisions)))
        .fetch_optional(tx)
        .await
}

/// Returns fields as the column `fields` holds them.
pub(super) fn stored(fields: &[FieldConflict]) -> Value {
    let one = |it: &FieldConflict| {
        let winner = it.winner.map(mode_names::of_side);
        json!({"field": it.field, "base": it.base, "erp": it.target, "zoho": it.source, "winner": winner})
    };
    storable_json(&fields.iter().map(one).collect())
}

/// Reads a row of `tds_conflicts`.
pub(super) fn conflict_of(row: &PgRow) -> Result<Conflict, sqlx::Error> {
    let Json(stored): Json<Vec<Value>> = row.try_get("fields")?;
    let field = |mut stored: Value| -> Result<FieldConflict, sqlx::Error> {
        let mut take = |name: &str| stored.get_mut(name).map(Value::take).unwrap_or_default();
        let winner = take("winner");
        Ok(FieldConflict {
            field: take("field").as_str().unwrap_or_default().to_owned(),
            base: take("base"),
            target: take("erp"),
            source: take("zoho"),
            winner: winner.as_str().map(mode_names::side).transpose()?,
        })
    };
    let status = row.try_get("status")?;
    Ok(Conflict {
        id: ConflictId(row.try_get("id")?),
        entity: entity_of(row.try_get("entity_type")?)?,
        remote_id: row.try_get::<Option<String>, _>("zoho_id")?.map(RecordId::new),
        local_id: row.try_get("local_id")?,
        status: one_of(ConflictStatus::ALL, ConflictStatus::as_str, "status", status)?,
        fields: stored.into_iter().map(field).collect::<Result<_, sqlx::Error>>()?,
        created_at: row.try_get("created_at")?,
        resolved_at: row.try_get("resolved_at")?,
        resolved_by: row.try_get("resolved_by")?,
    })
}
