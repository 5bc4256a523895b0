//! Whether values of hidden columns were stored since the last redaction, by a process with an older configuration.

use sqlx::Row as _;
use tds_core::privacy::{RedactedTable, Redaction};
use time::OffsetDateTime;

use super::BATCH;
use crate::{
    Database,
    db::{quote, text::entity_of},
};

/// A row that was written before the last look may have become visible after it.
const OVERLAP: &str = "interval '1 hour'";

impl Database {
    /// Returns true if a hidden value is stored that the last redaction did not meet. `since`: when that was.
    ///
    /// A value in a hidden column is one that TDS wrote as long as the source is the only place where records are changed.
    /// In other modes the column may have what a program of the ERP wrote, so only what TDS alone writes says that: `raw`,
    /// and the bodies of events. Only those that are newer than `since` are read.
    pub(super) async fn is_stored_again(
        &self,
        redaction: &dyn Redaction,
        since: OffsetDateTime,
    ) -> Result<bool, sqlx::Error> {
        for table in redaction.tables() {
            if self.has_value(redaction, &table).await? || self.has_raw(redaction, &table, since).await? {
                return Ok(true);
            }
        }
        self.has_body(redaction, since).await
    }

    /// Returns true if a hidden column has a value, and a hashed one something else than a hash.
    async fn has_value(&self, redaction: &dyn Redaction, table: &RedactedTable) -> Result<bool, sqlx::Error> {
        // All hashes begin alike, up to the first colon.
        let hash = redaction.hash("-").unwrap_or_default();
        let prefix = hash.split_inclusive(':').next().unwrap_or_default();
        let conditions: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                let name = quote::identifier(column.name);
                if column.hashed {
                    format!("t.{name} <> '' AND NOT starts_with(t.{name}::text, $2)")
                } else {
                    format!("t.{name} IS NOT NULL")
                }
            })
            .collect();
        if conditions.is_empty() {
            return Ok(false);
        }
        let select = format!(
            "SELECT NOT EXISTS (SELECT FROM tds_modes AS m WHERE m.entity_type = $1 AND m.mode <> 'zoho_primary')
                AND $2::text IS NOT NULL AND EXISTS (SELECT FROM {} AS t WHERE {})",
            quote::table(table.table),
            conditions.join(" OR ")
        );
        let select = sqlx::query_scalar(quote::statement(select)).bind(table.entity.as_str()).bind(prefix);
        select.fetch_one(self).await
    }

    /// Returns true if the `raw` of a newer head row has a hidden value.
    async fn has_raw(
        &self,
        redaction: &dyn Redaction,
        table: &RedactedTable,
        since: OffsetDateTime,
    ) -> Result<bool, sqlx::Error> {
        // Child rows have no `raw`.
        if !table.is_head {
            return Ok(false);
        }
        let mut after = i64::MIN;
        let select = format!(
            "SELECT id, raw::text AS raw FROM {} WHERE synced_at > $1 - {OVERLAP} AND id > $2 AND raw IS NOT NULL
              ORDER BY id LIMIT $3",
            quote::table(table.table)
        );
        loop {
            let rows = sqlx::query(quote::statement(select.clone())).bind(since).bind(after).bind(BATCH);
            let rows = rows.fetch_all(self).await?;
            for row in &rows {
                after = row.try_get("id")?;
                if redaction.json(&table.entity, row.try_get("raw")?).is_some() {
                    return Ok(true);
                }
            }
            if rows.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Returns true if the body of a newer event has a hidden value.
    async fn has_body(&self, redaction: &dyn Redaction, since: OffsetDateTime) -> Result<bool, sqlx::Error> {
        let mut after = i64::MIN;
        let select = format!(
            "SELECT id, entity_type, raw_payload FROM tds_inbox_events
              WHERE received_at > $1 - {OVERLAP} AND id > $2 AND raw_payload <> '' ORDER BY id LIMIT $3"
        );
        loop {
            let rows = sqlx::query(quote::statement(select.clone())).bind(since).bind(after).bind(BATCH);
            let rows = rows.fetch_all(self).await?;
            for row in &rows {
                after = row.try_get("id")?;
                let entity = entity_of(row.try_get("entity_type")?)?;
                if redaction.body(&entity, row.try_get("raw_payload")?).is_some() {
                    return Ok(true);
                }
            }
            if rows.is_empty() {
                return Ok(false);
            }
        }
    }
}
