//! Figures over days and weeks: the statements behind the checklist of readiness and the report.

mod answers;
mod coverage;
mod days;
mod outbox;
mod sizes;
mod week;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use tds_core::{
    error::Result,
    measures::{
        AnswerCount, Coverage, HistoryCheck, Measures, OutboxCounts, ReportFigures, Watched, WeekFigures,
    },
    record::EntityType,
};
use time::Date;

use crate::{
    PgStore,
    db::{
        error::Doing as _,
        retry::{ALONE, repeat},
        text::storable,
    },
};

/// The work of a day is taken an hour after midnight, so that late deliveries of the day before have arrived.
const CLAIM: &str = "
INSERT INTO tds_daily AS d (name, day) VALUES ('measures', (now() AT TIME ZONE 'UTC' - interval '1 hour')::date)
ON CONFLICT (name) DO UPDATE SET day = excluded.day WHERE d.day < excluded.day
RETURNING xmax <> 0 AS is_new_day
";

const CHECKED: &str = "
INSERT INTO tds_webhook_histories (checked_at, answered, detail, calls, failed, read_again)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (checked_at) DO UPDATE SET answered = excluded.answered, detail = excluded.detail,
  calls = excluded.calls, failed = excluded.failed, read_again = excluded.read_again
";

const CHECKS: &str = "
SELECT checked_at, answered, detail, calls, failed, read_again FROM tds_webhook_histories
 WHERE checked_at >= $1::timestamp AT TIME ZONE 'UTC' ORDER BY checked_at DESC
";

#[async_trait]
impl Measures for PgStore {
    async fn week(&self, within: Duration, patience: Duration) -> Result<WeekFigures> {
        week::week(&self.database, within, patience).await.doing("measuring the last days")
    }

    async fn days(&self, days: u16) -> Result<ReportFigures> {
        days::figures(&self.database, days).await.doing("measuring each of the last days")
    }

    async fn count_answers(&self, counts: &[AnswerCount]) -> Result<()> {
        answers::count(&self.database, counts).await.doing("counting the times of answers")
    }

    async fn coverage(&self, watched: &[Watched], days: u16) -> Result<Vec<Coverage>> {
        coverage::coverage(&self.database, watched, days).await.doing("comparing changes with deliveries")
    }

    async fn stored_coverage(&self, days: u16) -> Result<Vec<Coverage>> {
        coverage::known(&self.database, days).await.doing("reading which changes were announced")
    }

    async fn store_day(&self, watched: &[Watched], days: u16) -> Result<u64> {
        let store = async {
            let stored = coverage::store(&self.database, watched, days).await?;
            sizes::store(&self.database).await?;
            Ok::<_, sqlx::Error>(stored)
        };
        store.await.doing("storing the figures of a day")
    }

    async fn claim_day(&self) -> Result<bool> {
        let claim = || sqlx::query_scalar(CLAIM).fetch_optional(&self.database);
        let claimed: Option<bool> = repeat(ALONE, claim).await.doing("taking the work of the day")?;
        Ok(claimed.unwrap_or(false))
    }

    async fn store_history_check(&self, check: &HistoryCheck) -> Result<()> {
        let store = || {
            sqlx::query(CHECKED)
                .bind(check.at)
                .bind(check.is_answered)
                .bind(storable(&check.detail))
                .bind(signed(check.calls))
                .bind(signed(check.failed))
                .bind(signed(check.read_again))
                .execute(&self.database)
        };
        repeat(ALONE, store).await.map(drop).doing("storing a look at the history of deliveries")
    }

    async fn history_checks(&self, since: Date) -> Result<Vec<HistoryCheck>> {
        let checks = sqlx::query(CHECKS).bind(since).try_map(|row: PgRow| {
            Ok(HistoryCheck {
                at: row.try_get("checked_at")?,
                is_answered: row.try_get("answered")?,
                detail: row.try_get("detail")?,
                calls: number(&row, "calls")?,
                failed: number(&row, "failed")?,
                read_again: number(&row, "read_again")?,
            })
        });
        checks.fetch_all(&self.database).await.doing("looking at the history of deliveries")
    }

    async fn outbox(&self) -> Result<BTreeMap<EntityType, OutboxCounts>> {
        outbox::counts(&self.database).await.doing("counting what waits in the outbox")
    }
}

/// Returns a count as PostgreSQL stores it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns a count of the database, which is never negative; NULL counts as zero.
fn unsigned(count: Option<i64>) -> u64 {
    u64::try_from(count.unwrap_or(0)).unwrap_or(0)
}

/// Reads a column that counts.
fn number(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get(column).map(unsigned)
}
