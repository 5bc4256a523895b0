//! The report on some days: everything that TDS measures, and what to look at.

mod actions;

use std::collections::BTreeMap;

use tds_core::{
    error::Result,
    measures::{Coverage, HistoryCheck, OutboxCounts, ReportFigures},
    record::EntityType,
    verify::VerifiedRun,
};
use tds_zoho::entities::Catalogue;
use time::OffsetDateTime;

pub(crate) use self::actions::{Action, Urgency};
use super::{
    missed::watched,
    readiness::{Readiness, readiness},
    services::{Measured, Ports},
};

/// What the report shows.
pub(crate) struct Report {
    /// The time of the report.
    pub(crate) at: OffsetDateTime,
    /// The number of days, today included.
    pub(crate) days: u16,
    pub(crate) figures: ReportFigures,
    /// The checklist, which is always about seven days.
    pub(crate) readiness: Readiness,
    /// The ended runs of verifications, oldest first.
    pub(crate) runs: Vec<VerifiedRun>,
    /// The changes and the deliveries that announced them, by day and entity type.
    pub(crate) coverage: Vec<Coverage>,
    /// The looks at Zoho's own history of webhooks, newest first.
    pub(crate) history: Vec<HistoryCheck>,
    /// What waits in the outbox now, by entity type.
    pub(crate) outbox: BTreeMap<EntityType, OutboxCounts>,
    /// The calls that the organization's plan allows in a day, if they are configured.
    pub(crate) day_limit: Option<u32>,
}

impl Report {
    /// Returns what to look at, most urgent first.
    pub(crate) fn actions(&self) -> Vec<Action> {
        actions::actions(self)
    }
}

/// Gathers the report.
///
/// # Errors
/// The store cannot be reached.
pub(crate) async fn report(
    ports: &Ports,
    catalogue: &Catalogue,
    days: u16,
    day_limit: Option<u32>,
    is_lacking: impl Fn(&EntityType) -> bool,
) -> Result<Report> {
    let Measured { measures, .. } = ports.measured()?;
    let figures = measures.days(days).await?;
    let readiness = readiness(ports, catalogue, is_lacking).await?;
    let at = figures.whole.now;
    let since = at - time::Duration::days(i64::from(days));
    Ok(Report {
        at,
        days,
        readiness,
        runs: ports.verify.history(since).await?,
        coverage: measures.coverage(&watched(catalogue), days.saturating_sub(1)).await?,
        history: measures.history_checks(since.date()).await?,
        outbox: measures.outbox().await?,
        figures,
        day_limit,
    })
}
