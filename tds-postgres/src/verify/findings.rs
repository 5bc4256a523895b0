//! The records that looked different, and what each look showed.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::types::Json;
use tds_core::{
    mirror::{FieldDifference, MirrorSchema},
    record::{EntityType, Fields, RecordId},
    runs::RunId,
    verify::{DriftClass, Look, Suspect, VerifyCounts},
};

use time::OffsetDateTime;

use super::count_of;
use crate::{
    Database, Tx,
    db::text::{one_of, storable, storable_json},
    mirror::{catalog::Tables, erased::concerned, mode_stays},
};

// Two partial indexes contain the live items and the dead letters by record.
const IN_WORK: &str = "
SELECT q.zoho_entity_id FROM tds_queue_live q
 WHERE q.entity_type = $1 AND COALESCE(q.zoho_entity_id, q.entity_id) = ANY($2) AND q.dead_lettered_at IS NULL
   AND q.zoho_entity_id IS NOT NULL
UNION
SELECT q.zoho_entity_id FROM tds_queue_live q
 WHERE q.entity_type = $1 AND COALESCE(q.zoho_entity_id, q.entity_id) = ANY($2) AND q.dead_lettered_at IS NOT NULL
   AND q.zoho_entity_id IS NOT NULL
";

const SUSPECT: &str = "
INSERT INTO tds_verify_findings (run_id, zoho_id) SELECT $1, id FROM unnest($2::text[]) AS id ORDER BY id COLLATE \"C\"
ON CONFLICT DO NOTHING
";

const SUSPECTS: &str = "
SELECT zoho_id, looks, fields FROM tds_verify_findings WHERE run_id = $1 AND state = 'suspect'
 ORDER BY looks, zoho_id LIMIT $2
";

// A decided suspect stays decided, and a look counts once, however often it is stored. The rows are locked in the order
// of ids, as all statements do that write several rows.
const LOOKED: &str = "
WITH look AS (
  SELECT * FROM unnest($2::text[], $3::smallint[], $4::text[], $5::text[], $6::jsonb[], $7::text[])
    AS l (zoho_id, looks, state, class, fields, error)),
locked AS MATERIALIZED (
  SELECT f.zoho_id FROM tds_verify_findings f WHERE f.run_id = $1 AND f.zoho_id = ANY($2) AND f.state = 'suspect'
   ORDER BY f.zoho_id FOR UPDATE)
UPDATE tds_verify_findings f SET state = look.state, class = look.class, fields = look.fields, error = look.error,
  looks = f.looks + 1, looked_at = clock_timestamp()
  FROM locked JOIN look ON look.zoho_id = locked.zoho_id
 WHERE f.run_id = $1 AND f.zoho_id = locked.zoho_id AND f.looks = look.looks
";

// An erasure has its time a moment before it is committed.
const BEGAN: &str =
    "SELECT coalesce(started_at, created_at) - interval '1 minute' FROM tds_sync_runs WHERE id = $1";

// The hash depends on the run, so that each run has another sample.
const SAMPLE: &str = "
SELECT zoho_id FROM tds_run_records WHERE run_id = $1 ORDER BY hashtextextended(zoho_id, $1), zoho_id LIMIT $2
";

const COUNT: &str = "
INSERT INTO tds_verify_counts (run_id, source_records, target_records, compared, sampled) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run_id) DO UPDATE SET source_records = excluded.source_records,
  target_records = excluded.target_records, compared = excluded.compared, sampled = excluded.sampled
";

const UNREADABLE: &str = "
SELECT count(*) OVER (), zoho_id, error FROM tds_verify_findings
 WHERE run_id = $1 AND state = 'in_flight' AND error IS NOT NULL ORDER BY zoho_id LIMIT $2
";

const DIFFERING: &str = "
SELECT zoho_id, class FROM tds_verify_findings WHERE run_id = $1 AND state = 'drift' AND repaired_at IS NULL ORDER BY zoho_id
";

const REPAIRED: &str = "
WITH equal AS MATERIALIZED (
  SELECT f.zoho_id FROM tds_verify_findings f
   WHERE f.run_id = $1 AND f.zoho_id = ANY($2) AND f.state = 'drift' AND f.repaired_at IS NULL
   ORDER BY f.zoho_id FOR UPDATE)
UPDATE tds_verify_findings f SET repaired_at = clock_timestamp() FROM equal
 WHERE f.run_id = $1 AND f.zoho_id = equal.zoho_id
";

pub(super) async fn in_work(
    database: &Database,
    entity: &EntityType,
    ids: &[RecordId],
) -> Result<HashSet<RecordId>, sqlx::Error> {
    let found = sqlx::query_scalar(IN_WORK).bind(entity.as_str()).bind(texts(ids));
    let found: Vec<String> = found.fetch_all(database).await?;
    Ok(found.into_iter().map(RecordId::new).collect())
}

pub(super) async fn suspect(database: &Database, run: RunId, ids: &[RecordId]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(SUSPECT).bind(run.0).bind(texts(ids)).execute(database).await.map(drop)
}

pub(super) async fn suspects(
    database: &Database,
    run: RunId,
    limit: usize,
) -> Result<Vec<Suspect>, sqlx::Error> {
    let found = sqlx::query_as(SUSPECTS).bind(run.0).bind(count_of(limit));
    let found: Vec<(String, i16, Json<Vec<Fields>>)> = found.fetch_all(database).await?;
    let suspect = |(id, looks, fields): (String, i16, Json<Vec<Fields>>)| Suspect {
        id: RecordId::new(id),
        looks: u16::try_from(looks).unwrap_or_default(),
        fields: fields_of(fields),
    };
    Ok(found.into_iter().map(suspect).collect())
}

/// The result of a look as the table keeps it.
struct Stored<'a> {
    state: &'static str,
    class: Option<&'static str>,
    fields: &'a [FieldDifference],
    error: Option<&'a str>,
}

impl<'a> Stored<'a> {
    fn of(look: &'a Look) -> Self {
        let state = |state| Self { state, class: None, fields: &[], error: None };
        match look {
            Look::Clean => state("clean"),
            Look::Again { fields } => Self { fields, ..state("suspect") },
            Look::InFlight => state("in_flight"),
            Look::Unreadable { error } => Self { error: Some(error), ..state("in_flight") },
            Look::Drift { class, fields } => Self { class: Some(class.as_str()), fields, ..state("drift") },
        }
    }
}

pub(super) async fn looked(
    database: &Database,
    run: RunId,
    (schema, tables): (&MirrorSchema, &Tables),
    looks: &[(Suspect, Look)],
) -> Result<(), sqlx::Error> {
    if looks.is_empty() {
        return Ok(());
    }
    // An erasure takes this lock, exclusively: what it does not find here yet is stored without the person.
    let mut tx = database.begin_with(&mode_stays(&schema.entity)).await?;
    let erased =
        erased_since(&mut tx, run, (schema, tables), texts(looks.iter().map(|(it, _)| &it.id))).await?;
    let without = |(suspect, look): &(Suspect, Look)| {
        if erased.contains(suspect.id.as_str()) { look.without_values() } else { look.clone() }
    };
    let kept: Vec<Look> = looks.iter().map(without).collect();
    let rows: Vec<Stored<'_>> = kept.iter().map(Stored::of).collect();
    let ids: Vec<String> =
        looks.iter().map(|(suspect, _)| storable(suspect.id.as_str()).into_owned()).collect();
    let earlier = looks.iter().map(|(suspect, _)| i16::try_from(suspect.looks).unwrap_or(i16::MAX));
    sqlx::query(LOOKED)
        .bind(run.0)
        .bind(ids)
        .bind(earlier.collect::<Vec<i16>>())
        .bind(rows.iter().map(|row| row.state).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.class).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| Json(stored_fields(row.fields))).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.error.map(|error| storable(error).into_owned())).collect::<Vec<_>>())
        .execute(&mut tx)
        .await?;
    tx.commit().await
}

/// Returns those of the records that were erased since the run began, or that name a person who was. A comparison of before
/// has seen the person; one of afterwards leaves the person out by itself.
async fn erased_since(
    tx: &mut Tx,
    run: RunId,
    (schema, tables): (&MirrorSchema, &Tables),
    ids: Vec<String>,
) -> Result<HashSet<String>, sqlx::Error> {
    let found = concerned(tx, schema, tables, ids).await?;
    if found.is_empty() {
        return Ok(HashSet::new());
    }
    let began: Option<OffsetDateTime> = sqlx::query_scalar(BEGAN).bind(run.0).fetch_optional(tx).await?;
    let since = found.into_iter().filter(|(_, erased_at)| began.is_none_or(|began| *erased_at >= began));
    Ok(since.map(|(id, _)| id).collect())
}

pub(super) async fn sample(
    database: &Database,
    run: RunId,
    size: usize,
) -> Result<Vec<RecordId>, sqlx::Error> {
    let sample = sqlx::query_scalar(SAMPLE).bind(run.0).bind(count_of(size));
    let sample: Vec<String> = sample.fetch_all(database).await?;
    Ok(sample.into_iter().map(RecordId::new).collect())
}

pub(super) async fn count(database: &Database, run: RunId, counts: VerifyCounts) -> Result<(), sqlx::Error> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(COUNT)
        .bind(run.0)
        .bind(number(counts.source_records))
        .bind(number(counts.target_records))
        .bind(number(counts.compared))
        .bind(number(counts.sampled))
        .execute(database)
        .await
        .map(drop)
}

pub(super) async fn unreadable(
    database: &Database,
    run: RunId,
    limit: usize,
) -> Result<(u64, Vec<(RecordId, String)>), sqlx::Error> {
    let found = sqlx::query_as(UNREADABLE).bind(run.0).bind(count_of(limit));
    let found: Vec<(i64, String, String)> = found.fetch_all(database).await?;
    let count = found.first().map_or(0, |(count, ..)| u64::try_from(*count).unwrap_or_default());
    Ok((count, found.into_iter().map(|(_, id, error)| (RecordId::new(id), error)).collect()))
}

pub(super) async fn differing(
    database: &Database,
    run: RunId,
) -> Result<Vec<(RecordId, DriftClass)>, sqlx::Error> {
    let found: Vec<(String, String)> = sqlx::query_as(DIFFERING).bind(run.0).fetch_all(database).await?;
    found.into_iter().map(|(id, class)| Ok((RecordId::new(id), class_of(&class)?))).collect()
}

pub(super) async fn repaired(database: &Database, run: RunId, ids: &[RecordId]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(REPAIRED).bind(run.0).bind(texts(ids)).execute(database).await.map(drop)
}

/// Returns the fields as the column `fields` holds them.
fn stored_fields(fields: &[FieldDifference]) -> Value {
    let field = |it: &FieldDifference| json!({"field": it.field, "zoho": it.source, "erp": it.target});
    storable_json(&fields.iter().map(field).collect())
}

/// Reads the column `fields`.
pub(super) fn fields_of(Json(stored): Json<Vec<Fields>>) -> Vec<FieldDifference> {
    let field = |mut it: Fields| FieldDifference {
        field: it.get("field").and_then(Value::as_str).unwrap_or_default().to_owned(),
        source: it.remove("zoho").unwrap_or_default(),
        target: it.remove("erp").unwrap_or_default(),
    };
    stored.into_iter().map(field).collect()
}

/// Reads the column `class`.
pub(super) fn class_of(text: &str) -> Result<DriftClass, sqlx::Error> {
    one_of(DriftClass::ALL, DriftClass::as_str, "class of drift", text)
}

fn texts<'a>(ids: impl IntoIterator<Item = &'a RecordId>) -> Vec<String> {
    ids.into_iter().map(|id| storable(id.as_str()).into_owned()).collect()
}
