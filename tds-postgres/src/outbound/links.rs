//! The links between local records and the records at the source.

use sqlx::types::Json;
use tds_core::{
    outbound::{Push, Sending},
    record::RecordId,
};

use super::{adopt, conflicts, modes, target::Target};
use crate::{
    Database, Tx,
    db::{error::is_data_error, quote},
    mirror::references,
};

// The mirror puts unknown records off that arrive soon after this time, so a repeated create renews it.
const SENDING: &str = "
INSERT INTO tds_links AS l (entity_type, local_id, key, zoho_id, in_doubt_since, sent)
VALUES ($1, $2, $3::uuid, $4, CASE WHEN $5 THEN clock_timestamp() END, $6)
ON CONFLICT (entity_type, local_id) DO UPDATE
   SET in_doubt_since = coalesce(excluded.in_doubt_since, l.in_doubt_since), sent = excluded.sent
";

const OF_CONFLICT: &str = "
UPDATE tds_outbox SET conflict_id = $2 WHERE id = ANY($1) AND status IN ('pending', 'conflict')
";

const NOT_CREATED: &str = "
UPDATE tds_links SET in_doubt_since = NULL, sent = DEFAULT
 WHERE entity_type = $1 AND local_id = $2 AND in_doubt_since IS NOT NULL
";

const LINKED: &str = "SELECT zoho_id FROM tds_links WHERE entity_type = $1 AND local_id = $2 FOR UPDATE";
const TAKEN: &str =
    "SELECT local_id FROM tds_links WHERE entity_type = $1 AND zoho_id = $2 AND local_id <> $3";

const LINK: &str = "
INSERT INTO tds_links AS l (entity_type, local_id, key, zoho_id) VALUES ($1, $2, $3::uuid, $4)
ON CONFLICT (entity_type, local_id) DO UPDATE SET zoho_id = excluded.zoho_id, in_doubt_since = NULL
";

/// How often the id is stored again after the mirror inserted the same record at the same moment.
const RACES: u32 = 3;

/// Notes what is about to be sent. Returns false if the mode has another epoch than the push.
pub(super) async fn sending(
    database: &Database,
    push: &Push,
    sending: &Sending,
) -> Result<bool, sqlx::Error> {
    let mut tx = database.begin().await?;
    if !modes::holds(&mut tx, push).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    let mut sent = push.sent.clone();
    sending.sent.clone().remember(&mut sent);
    sqlx::query(SENDING)
        .bind(push.entity.as_str())
        .bind(push.local_id)
        .bind(&push.link.key)
        .bind(push.link.remote_id.as_ref().map(RecordId::as_str))
        .bind(sending.sent.creates)
        .bind(Json(sent))
        .execute(&mut tx)
        .await?;
    if let Some(conflict) = conflicts::keep_decided(&mut tx, push, &sending.conflicts).await? {
        let changes: Vec<i64> = push.changes.iter().map(|id| id.0).collect();
        sqlx::query(OF_CONFLICT).bind(changes).bind(conflict).execute(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Notes that the source refused the create.
pub(super) async fn not_created(database: &Database, push: &Push) -> Result<(), sqlx::Error> {
    let note = sqlx::query(NOT_CREATED).bind(push.entity.as_str()).bind(push.local_id);
    note.execute(database).await.map(drop)
}

/// Stores the id of a record at the source. Returns why it cannot be stored.
pub(super) async fn linked(
    database: &Database,
    target: &Target,
    push: &Push,
    id: &RecordId,
) -> Result<Option<String>, sqlx::Error> {
    let mut races = 0;
    loop {
        match link(database, target, push, id).await {
            Err(error) if races < RACES && is_data_error(&error) => races += 1,
            result => return result,
        }
    }
}

async fn link(
    database: &Database,
    target: &Target,
    push: &Push,
    id: &RecordId,
) -> Result<Option<String>, sqlx::Error> {
    let mut tx = database.begin_as_engine("").await?;
    let (entity, local_id) = (push.entity.as_str(), push.local_id);
    // The rows are locked in the order in which the mirror locks them: state, head rows, link.
    let other = adopt::lock(&mut tx, target, push, id).await?;
    let known: Option<Option<String>> =
        sqlx::query_scalar(LINKED).bind(entity).bind(local_id).fetch_optional(&mut tx).await?;
    if let Some(known) = known.flatten().filter(|known| known != id.as_str()) {
        return Ok(Some(format!("{entity} {local_id} is linked with {known} already, and not with {id}")));
    }
    let taken: Option<i64> = sqlx::query_scalar(TAKEN)
        .bind(entity)
        .bind(id.as_str())
        .bind(local_id)
        .fetch_optional(&mut tx)
        .await?;
    if let Some(taken) = taken {
        return Ok(Some(format!(
            "{id} is linked with {entity} {taken} already: two local records cannot be the same record"
        )));
    }
    if let Some(other) = other {
        adopt::replace(&mut tx, target, push, id, other).await?;
    }
    let own = format!(
        "UPDATE {} SET zoho_id = $1 WHERE id = $2 AND zoho_id IS DISTINCT FROM $1",
        quote::table(target.head)
    );
    sqlx::query(quote::statement(own)).bind(id.as_str()).bind(local_id).execute(&mut tx).await?;
    let store = sqlx::query(LINK).bind(entity).bind(local_id).bind(&push.link.key).bind(id.as_str());
    store.execute(&mut tx).await?;
    name_in_references(&mut tx, target, local_id, id).await?;
    tx.commit().await?;
    Ok(None)
}

/// Fills in the id at the source where rows refer to the local id only.
async fn name_in_references(
    tx: &mut Tx,
    target: &Target,
    local_id: i64,
    id: &RecordId,
) -> Result<(), sqlx::Error> {
    for reference in references::to_rows_of(target.head) {
        let remote = quote::identifier(&reference.remote());
        let sql = format!(
            "UPDATE {} SET {remote} = $1 WHERE {} = $2 AND {remote} IS NULL",
            quote::table(reference.table),
            quote::identifier(&reference.local()),
        );
        sqlx::query(quote::statement(sql)).bind(id.as_str()).bind(local_id).execute(&mut *tx).await?;
    }
    Ok(())
}
