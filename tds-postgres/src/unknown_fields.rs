//! Fields of the source that no column takes.

use sqlx::{Row as _, postgres::PgRow};
use tds_core::{error::Result, source::UnknownField};

use crate::{
    PgStore,
    db::{
        error::Doing as _,
        retry,
        text::{column, entity_of, storable},
    },
};

/// The rows are written in the order of the primary key, so that two processes cannot deadlock. A row that
/// was inserted has no `xmax`.
const NOTE: &str = "
INSERT INTO tds_unknown_fields AS f (entity_type, path, occurrences)
SELECT entity_type, path, sum(records)
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n(entity_type, path, records)
 GROUP BY entity_type, path ORDER BY entity_type COLLATE \"C\", path COLLATE \"C\"
ON CONFLICT (entity_type, path) DO UPDATE
  SET last_seen_at = now(), occurrences = f.occurrences + excluded.occurrences
RETURNING entity_type, path, occurrences, xmax = 0 AS is_new
";

impl PgStore {
    /// Adds to the list of unknown fields. Returns the fields that were not in the list before.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn note_unknown_fields(&self, fields: &[UnknownField]) -> Result<Vec<UnknownField>> {
        let write = || {
            sqlx::query(NOTE)
                .bind(column(fields, |field| field.entity.as_str()))
                .bind(column(fields, |field| storable(&field.path)))
                .bind(column(fields, |field| i64::try_from(field.records).unwrap_or(i64::MAX)))
                .try_map(|row: PgRow| field_of(&row))
                .fetch_all(&self.database)
        };
        let noted = retry::repeat(retry::ALONE, write).await.doing("storing the names of unknown fields")?;
        Ok(noted.into_iter().flatten().collect())
    }
}

/// Returns the field of a row that is new.
fn field_of(row: &PgRow) -> Result<Option<UnknownField>, sqlx::Error> {
    if !row.try_get::<bool, _>("is_new")? {
        return Ok(None);
    }
    Ok(Some(UnknownField {
        entity: entity_of(row.try_get("entity_type")?)?,
        path: row.try_get("path")?,
        records: u64::try_from(row.try_get::<i64, _>("occurrences")?).unwrap_or(0),
    }))
}
