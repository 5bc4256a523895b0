//! The live records of the mirror, page by page.

use tds_core::{
    mirror::MirrorSchema,
    record::{Payload, RecordId},
    runs::RunId,
    verify::LocalRecord,
};

use super::count_of;
use crate::{
    Database,
    db::quote,
    mirror::catalog::{Columns, Tables},
};

/// A time that is later than the clock was noted by a clock that was ahead, so it does not show that the record was
/// seen after the run began. [`super::super::runs`] finds the missing records of a full sync by the same rule.
const SEEN_SINCE: &str = "
COALESCE((SELECT GREATEST(
    CASE WHEN s.first_seen_at <= clock_timestamp() + interval '10 seconds' THEN s.first_seen_at END,
    CASE WHEN s.observed_ended <= clock_timestamp() + interval '10 seconds' THEN s.observed_ended END)
    >= (SELECT COALESCE(r.started_at, r.created_at) FROM tds_sync_runs r WHERE r.id = $1)
  FROM tds_sync_records s WHERE s.entity_type = $4 AND s.zoho_id = p.zoho_id), false)
";

/// Returns the next page of live records, in the order of the index on the ids.
pub(super) async fn page(
    database: &Database,
    run: RunId,
    schema: &MirrorSchema,
    tables: &Tables,
    after: Option<&RecordId>,
    limit: usize,
) -> Result<Vec<LocalRecord>, sqlx::Error> {
    let page = match schema.head.and_then(|head| tables.get_key_value(head)) {
        Some((table, columns)) => of_heads(table, columns),
        None => of_owners(schema),
    };
    let sql = format!(
        "WITH p AS MATERIALIZED ({page})
         SELECT p.zoho_id, p.raw,
           COALESCE((SELECT true FROM tds_run_records d WHERE d.run_id = $1 AND d.zoho_id = p.zoho_id COLLATE \"C\"), false)
             AS listed,
           {SEEN_SINCE} AS seen_since
           FROM p ORDER BY p.zoho_id"
    );
    let found: Vec<(String, Option<String>, bool, bool)> = sqlx::query_as(quote::statement(sql))
        .bind(run.0)
        .bind(after.map_or("", RecordId::as_str))
        .bind(count_of(limit))
        .bind(schema.entity.as_str())
        .fetch_all(database)
        .await?;
    let record = |(id, raw, listed, seen_since): (String, Option<String>, bool, bool)| LocalRecord {
        id: RecordId::new(id),
        raw: raw.map(Payload::new),
        listed,
        seen_since,
    };
    Ok(found.into_iter().map(record).collect())
}

/// Returns the statement for the records of a head table.
fn of_heads(table: &str, columns: &Columns) -> String {
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    let raw = if has("raw") { "h.raw::text" } else { "NULL::text" };
    let alive = if has("deleted_at") { " AND h.deleted_at IS NULL" } else { "" };
    format!(
        "SELECT h.zoho_id, {raw} AS raw FROM {} AS h WHERE h.zoho_id > $2{alive} ORDER BY h.zoho_id LIMIT $3",
        quote::table(table)
    )
}

/// Returns the statement for the records that consist of child rows only. Each table contributes its own page, so that
/// no table is read beyond the page.
fn of_owners(schema: &MirrorSchema) -> String {
    let owners = schema.children.iter().map(|child| {
        let (table, owner) = (quote::table(child.table), quote::identifier(child.owner));
        format!("(SELECT DISTINCT c.{owner} AS zoho_id FROM {table} AS c WHERE c.{owner} > $2 ORDER BY 1 LIMIT $3)")
    });
    let owners: Vec<String> = owners.collect();
    format!(
        "SELECT zoho_id, NULL::text AS raw FROM ({}) AS owners ORDER BY 1 LIMIT $3",
        if owners.is_empty() { "SELECT NULL::text AS zoho_id WHERE false".to_owned() } else { owners.join(" UNION ") }
    )
}
