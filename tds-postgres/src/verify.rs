//! Verifications: the records that a run compares, the records that differ, and the reports on them.

mod findings;
mod local;
mod report;

use std::collections::HashSet;

use async_trait::async_trait;
use tds_core::{
    error::{Error, Result},
    mirror::MirrorSchema,
    record::{EntityType, RecordId},
    runs::RunId,
    verify::{
        DriftClass, EntityReport, LocalRecord, Look, MoneyDifference, Suspect, VerificationReport,
        VerifiedRun, VerifyCounts, VerifyOperator, VerifyStore,
    },
};
use time::OffsetDateTime;

use crate::{
    PgStore,
    db::{
        error::{Doing as _, classify_for_record},
        retry::{ALONE, repeat},
    },
};

#[async_trait]
impl VerifyStore for PgStore {
    async fn local_records(
        &self,
        run: RunId,
        schema: &MirrorSchema,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<LocalRecord>> {
        let tables = self.catalog.tables(&self.database, schema).await?;
        local::page(&self.database, run, schema, &tables, after, limit).await.map_err(|error| {
            // The columns are read again, because the table may have changed.
            self.catalog.forget();
            classify_for_record(error, &format!("reading the records of {}", schema.entity))
        })
    }

    async fn in_work(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        findings::in_work(&self.database, entity, ids).await.doing("looking for work on records")
    }

    async fn suspect(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        let add = || findings::suspect(&self.database, run, ids);
        repeat(ALONE, add).await.doing("storing records to look at again")
    }

    async fn suspects(&self, run: RunId, limit: usize) -> Result<Vec<Suspect>> {
        findings::suspects(&self.database, run, limit).await.doing("reading records to look at again")
    }

    async fn looked(&self, run: RunId, schema: &MirrorSchema, looks: &[(Suspect, Look)]) -> Result<()> {
        let tables = self.catalog.tables(&self.database, schema).await?;
        let store = || findings::looked(&self.database, run, (schema, &tables), looks);
        repeat(ALONE, store).await.doing("storing what a comparison found")
    }

    async fn sample(&self, run: RunId, size: usize) -> Result<Vec<RecordId>> {
        findings::sample(&self.database, run, size).await.doing("choosing a sample of records")
    }

    async fn count(&self, run: RunId, counts: VerifyCounts) -> Result<()> {
        let store = || findings::count(&self.database, run, counts);
        repeat(ALONE, store).await.doing("storing what a comparison counted")
    }

    async fn unreadable(&self, run: RunId, limit: usize) -> Result<(u64, Vec<(RecordId, String)>)> {
        findings::unreadable(&self.database, run, limit).await.doing("reading which records cannot be read")
    }

    async fn differing(&self, run: RunId) -> Result<Vec<(RecordId, DriftClass)>> {
        findings::differing(&self.database, run).await.doing("reading which records differ")
    }
}

#[async_trait]
impl VerifyOperator for PgStore {
    async fn report(&self, id: Option<RunId>, examples: usize) -> Result<Option<VerificationReport>> {
        report::report(&self.database, id, examples).await.doing("reading a verification")
    }

    async fn current(&self) -> Result<Vec<EntityReport>> {
        report::current(&self.database).await.doing("reading what the last comparisons found")
    }

    async fn unfinished(&self) -> Result<Vec<RunId>> {
        report::unfinished(&self.database).await.doing("looking for verifications to complete")
    }

    async fn repaired(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        let mark = || findings::repaired(&self.database, run, ids);
        repeat(ALONE, mark).await.doing("storing which records are equal again")
    }

    async fn finish(&self, id: RunId, money: &[MoneyDifference]) -> Result<()> {
        let money = report::stored_money(money).map_err(|error| {
            Error::internal("the checks of money cannot be written as JSON").with_source(error)
        })?;
        let finish = || report::finish(&self.database, id, &money);
        repeat(ALONE, finish).await.doing("completing a verification")
    }

    async fn history(&self, since: OffsetDateTime) -> Result<Vec<VerifiedRun>> {
        report::history(&self.database, since).await.doing("reading the history of verifications")
    }
}

/// Returns a number of rows as the parameter of a statement.
fn count_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
