//! The reports on verifications.

use std::collections::{BTreeMap, HashMap};

use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use tds_core::{
    record::RecordId,
    runs::{RunId, RunStatus, RunType},
    verify::{EntityReport, Finding, MoneyDifference, VerificationReport, VerifiedRun, VerifyCounts},
};
use time::OffsetDateTime;

use super::{
    count_of,
    findings::{class_of, fields_of},
};
use crate::{
    Database, Tx,
    db::{
        quote,
        text::{entity_of, one_of, storable},
    },
};

/// Lets all statements of a report see the same state of the tables.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

const NEWEST: &str = "SELECT verification FROM tds_sync_runs WHERE verification IS NOT NULL ORDER BY verification DESC LIMIT 1";

// The verification outlives its first run, which pruning may delete before the others.
const COMPLETE: &str = "SELECT completed_at FROM tds_verifications WHERE id = $1";

const MONEY: &str = "
SELECT m.* FROM tds_verifications v, jsonb_to_recordset(v.money) AS m (\"check\" text, currency text, of text, zoho text,
  erp text, difference text, holds boolean, in_flight bigint, examples jsonb)
 WHERE v.id = $1
";

const UNFINISHED: &str = "
SELECT r.verification FROM tds_sync_runs r
 WHERE r.verification IS NOT NULL AND NOT EXISTS (SELECT FROM tds_verifications v WHERE v.id = r.verification)
 GROUP BY r.verification HAVING bool_and(r.status NOT IN ('pending', 'running')) ORDER BY r.verification
";

const FINISH: &str =
    "INSERT INTO tds_verifications (id, money) VALUES ($1, $2::jsonb) ON CONFLICT DO NOTHING";

/// Reads the runs of verifications. Each statement adds its condition.
const RUNS: &str = "
SELECT r.id, r.entity_type, r.status, r.error_log, r.started_at, r.completed_at, r.created_at, r.requested_by, r.calls, r.repair,
  COALESCE(c.source_records, 0) AS source_records, COALESCE(c.target_records, 0) AS target_records,
  COALESCE(c.compared, 0) AS compared, COALESCE(c.sampled, 0) AS sampled
  FROM tds_sync_runs r LEFT JOIN tds_verify_counts c ON c.run_id = r.id
";

const COUNTS: &str = "
SELECT run_id, state, class, repaired_at IS NOT NULL AS repaired, count(*) AS records,
  max(extract(epoch FROM repaired_at - looked_at))::double precision AS slowest
  FROM tds_verify_findings WHERE run_id = ANY($1) AND state IN ('drift', 'in_flight') GROUP BY 1, 2, 3, 4
";

// The name of a child row's field contains what identifies the row, in brackets.
const BY_FIELD: &str = "
SELECT f.run_id, regexp_replace(d->>'field', '\\[.*\\]', '') AS field, count(DISTINCT f.zoho_id) AS records
  FROM tds_verify_findings f CROSS JOIN LATERAL jsonb_array_elements(f.fields) AS d
 WHERE f.run_id = ANY($1) AND f.state = 'drift' GROUP BY 1, 2
";

const EXAMPLES: &str = "
SELECT e.* FROM unnest($1::bigint[]) AS r (id) CROSS JOIN LATERAL (
  SELECT f.run_id, f.zoho_id, f.class, f.fields, f.looked_at, f.repaired_at FROM tds_verify_findings f
   WHERE f.run_id = r.id AND f.state = 'drift' ORDER BY f.repaired_at IS NOT NULL, f.zoho_id LIMIT $2) AS e
 ORDER BY e.run_id, e.repaired_at IS NOT NULL, e.zoho_id
";

/// Returns the report of a verification, or of the newest one.
pub(super) async fn report(
    database: &Database,
    id: Option<RunId>,
    examples: usize,
) -> Result<Option<VerificationReport>, sqlx::Error> {
    let mut tx = database.begin_with(BEGIN).await?;
    let id = match id {
        Some(id) => id.0,
        None => match sqlx::query_scalar(NEWEST).fetch_optional(&mut tx).await? {
            Some(newest) => newest,
            None => return Ok(None),
        },
    };
    let runs = runs(&mut tx, "WHERE r.verification = $1 ORDER BY r.id", id).await?;
    let Some(first) = runs.first() else { return Ok(None) };
    let (requested_by, created_at) = (first.requested_by.clone(), first.created_at);
    let completed: Option<OffsetDateTime> =
        sqlx::query_scalar(COMPLETE).bind(id).fetch_optional(&mut tx).await?;
    let money = sqlx::query(MONEY).bind(id).try_map(|row: PgRow| money_of(&row)).fetch_all(&mut tx).await?;
    let entities: Vec<EntityReport> =
        reports(&mut tx, runs, examples).await?.into_iter().map(|run| run.report).collect();
    Ok(Some(VerificationReport {
        id: RunId(id),
        status: if completed.is_some() { worst(&entities) } else { RunStatus::Running },
        requested_by,
        created_at,
        started_at: entities.iter().filter_map(|entity| entity.started_at).min(),
        completed_at: completed,
        money,
        entities,
    }))
}

pub(super) async fn current(database: &Database) -> Result<Vec<EntityReport>, sqlx::Error> {
    let mut tx = database.begin_with(BEGIN).await?;
    let newest = "WHERE r.id IN (SELECT max(n.id) FROM tds_sync_runs n
                    WHERE n.run_type = $1 AND n.status IN ('completed', 'completed_with_errors') GROUP BY n.entity_type)
                  ORDER BY r.entity_type";
    let runs = runs(&mut tx, newest, RunType::Verify.as_str()).await?;
    Ok(reports(&mut tx, runs, 0).await?.into_iter().map(|run| run.report).collect())
}

pub(super) async fn unfinished(database: &Database) -> Result<Vec<RunId>, sqlx::Error> {
    let ids: Vec<i64> = sqlx::query_scalar(UNFINISHED).fetch_all(database).await?;
    Ok(ids.into_iter().map(RunId).collect())
}

pub(super) async fn finish(database: &Database, id: RunId, money: &str) -> Result<(), sqlx::Error> {
    sqlx::query(FINISH).bind(id.0).bind(money).execute(database).await.map(drop)
}

pub(super) async fn history(
    database: &Database,
    since: OffsetDateTime,
) -> Result<Vec<VerifiedRun>, sqlx::Error> {
    let mut tx = database.begin_with(BEGIN).await?;
    let ended =
        "WHERE r.run_type = 'verify' AND r.status NOT IN ('pending', 'running') AND r.completed_at >= $1
                 ORDER BY r.completed_at, r.id";
    let runs = runs(&mut tx, ended, since).await?;
    reports(&mut tx, runs, 0).await
}

/// The columns of a run.
#[derive(FromRow)]
struct RunRow {
    id: i64,
    entity_type: String,
    status: String,
    error_log: Option<String>,
    started_at: Option<OffsetDateTime>,
    completed_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    requested_by: Option<String>,
    calls: i64,
    repair: bool,
    source_records: i64,
    target_records: i64,
    compared: i64,
    sampled: i64,
}

impl RunRow {
    /// Returns the report without findings.
    fn into_report(self) -> Result<EntityReport, sqlx::Error> {
        Ok(EntityReport {
            run: RunId(self.id),
            repairs: self.repair,
            entity: entity_of(&self.entity_type)?,
            status: one_of(RunStatus::ALL, RunStatus::as_str, "run status", &self.status)?,
            error: self.error_log,
            started_at: self.started_at,
            completed_at: self.completed_at,
            calls: self.calls,
            counts: VerifyCounts {
                source_records: number(self.source_records),
                target_records: number(self.target_records),
                compared: number(self.compared),
                sampled: number(self.sampled),
            },
            in_flight: 0,
            repaired: 0,
            found: BTreeMap::new(),
            drift: BTreeMap::new(),
            by_field: BTreeMap::new(),
            examples: Vec::new(),
        })
    }
}

async fn runs<'q, T>(tx: &mut Tx, condition: &str, parameter: T) -> Result<Vec<RunRow>, sqlx::Error>
where
    T: 'q + sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_as(quote::statement(format!("{RUNS} {condition}"))).bind(parameter).fetch_all(tx).await
}

/// Returns the reports on runs, in the same order.
async fn reports(tx: &mut Tx, runs: Vec<RunRow>, examples: usize) -> Result<Vec<VerifiedRun>, sqlx::Error> {
    let ids: Vec<i64> = runs.iter().map(|run| run.id).collect();
    let mut places = HashMap::new();
    let mut reports = Vec::with_capacity(runs.len());
    for (place, run) in runs.into_iter().enumerate() {
        places.insert(run.id, place);
        reports.push(VerifiedRun { report: run.into_report()?, slowest_repair_seconds: None });
    }
    type Count = (i64, String, Option<String>, bool, i64, Option<f64>);
    let counts: Vec<Count> = sqlx::query_as(COUNTS).bind(&ids).fetch_all(&mut *tx).await?;
    for (run, state, class, is_repaired, records, slowest) in counts {
        let Some(verified) = places.get(&run).and_then(|place| reports.get_mut(*place)) else { continue };
        let (report, records) = (&mut verified.report, number(records));
        match class {
            Some(class) if state == "drift" => {
                let class = class_of(&class)?;
                *report.found.entry(class).or_default() += records;
                if is_repaired {
                    report.repaired += records;
                    let slowest = slowest.map(|seconds| seconds.max(0.0));
                    verified.slowest_repair_seconds = match (verified.slowest_repair_seconds, slowest) {
                        (Some(one), Some(other)) => Some(one.max(other)),
                        (one, other) => one.or(other),
                    };
                } else {
                    *report.drift.entry(class).or_default() += records;
                }
            }
            _ => report.in_flight += records,
        }
    }
    let fields: Vec<(i64, String, i64)> = sqlx::query_as(BY_FIELD).bind(&ids).fetch_all(&mut *tx).await?;
    for (run, field, records) in fields {
        if let Some(verified) = places.get(&run).and_then(|place| reports.get_mut(*place)) {
            verified.report.by_field.insert(field, number(records));
        }
    }
    if examples > 0 {
        let found = sqlx::query(EXAMPLES).bind(&ids).bind(count_of(examples));
        for row in found.fetch_all(&mut *tx).await? {
            let place = places.get(&row.try_get::<i64, _>("run_id")?);
            if let Some(verified) = place.and_then(|place| reports.get_mut(*place)) {
                verified.report.examples.push(finding_of(&row)?);
            }
        }
    }
    Ok(reports)
}

fn finding_of(row: &PgRow) -> Result<Finding, sqlx::Error> {
    Ok(Finding {
        id: RecordId::new(row.try_get::<String, _>("zoho_id")?),
        class: class_of(row.try_get("class")?)?,
        fields: fields_of(row.try_get("fields")?),
        looked_at: row.try_get("looked_at")?,
        repaired_at: row.try_get("repaired_at")?,
    })
}

/// Returns the worst status of the runs: one that failed, then one that was cancelled, then one with errors.
fn worst(entities: &[EntityReport]) -> RunStatus {
    let order = [RunStatus::Failed, RunStatus::Cancelled, RunStatus::CompletedWithErrors];
    let worst = order.into_iter().find(|status| entities.iter().any(|entity| entity.status == *status));
    worst.unwrap_or(RunStatus::Completed)
}

/// Returns the checks of money as the column `money` holds them.
pub(super) fn stored_money(money: &[MoneyDifference]) -> serde_json::Result<String> {
    let row = |it: &MoneyDifference| {
        serde_json::json!({
            "check": storable(&it.check), "currency": it.currency.as_deref().map(storable),
            "of": it.of.as_deref().map(storable), "zoho": it.source.as_deref().map(storable),
            "erp": it.target.as_deref().map(storable), "difference": storable(&it.difference), "holds": it.holds,
            "in_flight": it.in_flight, "examples": it.examples.iter().map(|it| storable(it)).collect::<Vec<_>>(),
        })
    };
    serde_json::to_string(&money.iter().map(row).collect::<Vec<_>>())
}

fn money_of(row: &PgRow) -> Result<MoneyDifference, sqlx::Error> {
    let Json(examples): Json<Vec<String>> = row.try_get("examples")?;
    Ok(MoneyDifference {
        check: row.try_get("check")?,
        currency: row.try_get("currency")?,
        of: row.try_get("of")?,
        source: row.try_get("zoho")?,
        target: row.try_get("erp")?,
        difference: row.try_get("difference")?,
        holds: row.try_get("holds")?,
        in_flight: number(row.try_get("in_flight")?),
        examples,
    })
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
