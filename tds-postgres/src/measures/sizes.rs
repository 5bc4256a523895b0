//! The sizes of the tables, and how they grow.

use sqlx::{Row as _, postgres::PgRow};
use tds_core::measures::TableSize;

use super::number;
use crate::{
    Database,
    db::retry::{ALONE, repeat},
};

/// The tables of the engine and of the mirror now, with the whole database first. PostgreSQL estimates the numbers of
/// rows; a table that was never analyzed has -1.
macro_rules! now {
    () => {
        "SELECT ''::text AS name, 0::bigint AS rows_estimate, pg_database_size(current_database()) AS bytes
         UNION ALL
         SELECT CASE WHEN n.nspname = 'erp' THEN 'erp.' ELSE '' END || c.relname, GREATEST(c.reltuples, 0)::bigint,
                pg_total_relation_size(c.oid)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'p')
            AND (n.nspname = 'erp' OR n.nspname = current_schema() AND c.relname LIKE 'tds\\_%')"
    };
}

const STORE: &str = concat!(
    "INSERT INTO tds_table_sizes AS t (day, name, rows_estimate, bytes)
     SELECT (now() AT TIME ZONE 'UTC')::date, s.name, s.rows_estimate, s.bytes FROM (",
    now!(),
    ") AS s ORDER BY s.name COLLATE \"C\"
     ON CONFLICT (day, name) DO UPDATE SET rows_estimate = excluded.rows_estimate, bytes = excluded.bytes"
);

// The earlier figures are the oldest that are stored within the days.
const GROWTH: &str = concat!(
    "SELECT s.name, s.rows_estimate, s.bytes, b.rows_estimate AS rows_before, b.bytes AS bytes_before, b.day AS before
       FROM (",
    now!(),
    ") AS s LEFT JOIN LATERAL (
         SELECT t.rows_estimate, t.bytes, t.day FROM tds_table_sizes t
          WHERE t.name = s.name COLLATE \"C\" AND t.day >= (now() AT TIME ZONE 'UTC')::date - $1
            AND t.day < (now() AT TIME ZONE 'UTC')::date
          ORDER BY t.day LIMIT 1) AS b ON true
      ORDER BY s.name <> '', s.bytes DESC, s.name"
);

/// Stores the sizes of today.
pub(super) async fn store(database: &Database) -> Result<(), sqlx::Error> {
    repeat(ALONE, || sqlx::query(STORE).execute(database)).await.map(drop)
}

/// Returns the sizes of now, and those at the beginning of the last days.
pub(super) async fn growth(database: &Database, days: u16) -> Result<Vec<TableSize>, sqlx::Error> {
    let sizes = sqlx::query(GROWTH).bind(i32::from(days)).try_map(|row: PgRow| {
        let before: Option<i64> = row.try_get("rows_before")?;
        let bytes_before: Option<i64> = row.try_get("bytes_before")?;
        Ok(TableSize {
            name: row.try_get("name")?,
            rows: number(&row, "rows_estimate")?,
            bytes: number(&row, "bytes")?,
            rows_before: before.and_then(|rows| u64::try_from(rows).ok()),
            bytes_before: bytes_before.and_then(|bytes| u64::try_from(bytes).ok()),
            before: row.try_get("before")?,
        })
    });
    sizes.fetch_all(database).await
}
