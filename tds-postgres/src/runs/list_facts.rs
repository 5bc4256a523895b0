//! What is known of lists.

use sqlx::Row as _;
use tds_core::{record::EntityType, source::ListFacts};

use crate::Database;

const KEEP: &str = "
INSERT INTO tds_list_facts (entity_type, facts) VALUES ($1, $2)
ON CONFLICT (entity_type) DO UPDATE SET facts = excluded.facts, updated_at = clock_timestamp()
";

/// How many records the last full list had.
pub(crate) async fn last_full_count(
    database: &Database,
    entity: &EntityType,
) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query("SELECT last_full_count FROM tds_cursors WHERE entity_type = $1")
        .bind(entity.as_str())
        .fetch_optional(database)
        .await?;
    row.map_or(Ok(None), |row| row.try_get("last_full_count"))
}

pub(crate) async fn read(database: &Database, entity: &EntityType) -> Result<ListFacts, sqlx::Error> {
    let row = sqlx::query("SELECT facts FROM tds_list_facts WHERE entity_type = $1")
        .bind(entity.as_str())
        .fetch_optional(database)
        .await?;
    let Some(row) = row else { return Ok(ListFacts::default()) };
    serde_json::from_value(row.try_get("facts")?).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(crate) async fn keep(
    database: &Database,
    entity: &EntityType,
    facts: ListFacts,
) -> Result<(), sqlx::Error> {
    let json = serde_json::to_value(facts).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(KEEP).bind(entity.as_str()).bind(json).execute(database).await.map(drop)
}
