//! Whether the mirror can be relied upon: the checklist for the end of the parallel run, measured over the last week.

mod figures;
mod shadow;
mod verified;

use std::time::Duration;

use tds_core::{
    error::Result,
    measures::{Coverage, WeekFigures},
    record::EntityType,
    verify::VerifiedRun,
};
use tds_zoho::entities::{Catalogue, Descriptor};

pub(crate) use self::figures::{counted, day_time, whole};
use super::{
    missed::watched,
    services::{Measured, Ports},
};

/// The time over which everything is measured, in days.
pub(crate) const DAYS: u16 = 7;
/// The time over which everything is measured.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// An event without an end state counts as lost after this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);
/// The time before the week in which the first verification is looked for.
const BEFORE: time::Duration = time::Duration::days(7);

tds_core::closed_set! {
    /// The result of a check.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Verdict {
        /// The check is passed.
        Pass = "pass",
        /// The check is not passed.
        Fail = "fail",
        /// There is not enough data yet.
        Unknown = "unknown",
    }
}

/// One line of the checklist.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    /// The name, such as `products_verified`.
    pub(crate) name: String,
    pub(crate) status: Verdict,
    /// What was measured; `None` if nothing was measured.
    pub(crate) value: Option<f64>,
    /// The unit of the value, for people.
    pub(crate) unit: &'static str,
    /// What the value must be.
    pub(crate) target: &'static str,
    /// What was measured in words, and what to do.
    pub(crate) hint: String,
}

impl Check {
    /// Returns the value with its unit.
    pub(crate) fn shown(&self) -> String {
        let Some(value) = self.value else { return "-".to_owned() };
        let number = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        if self.unit.is_empty() { number } else { format!("{number} {}", self.unit) }
    }
}

/// The checklist.
pub(crate) struct Readiness {
    pub(crate) checks: Vec<Check>,
}

impl Readiness {
    /// Returns true if every check is passed.
    pub(crate) fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.status == Verdict::Pass)
    }
}

/// What the checklist is made from.
pub(crate) struct Evidence<'a> {
    /// The entity types that have to be verified.
    pub(crate) entities: Vec<&'static Descriptor>,
    /// The figures of the last week.
    pub(crate) week: &'a WeekFigures,
    /// The ended runs of verifications of the last two weeks, oldest first.
    pub(crate) runs: &'a [VerifiedRun],
    /// The changes of the last week and the deliveries that announced them.
    pub(crate) coverage: &'a [Coverage],
}

/// Makes the checklist for the entity types that are synced, except those that the organization does not have.
///
/// # Errors
/// The store cannot be reached.
pub(crate) async fn readiness(
    ports: &Ports,
    catalogue: &Catalogue,
    is_lacking: impl Fn(&EntityType) -> bool,
) -> Result<Readiness> {
    let Measured { measures, .. } = ports.measured()?;
    let week = measures.week(WEEK, PATIENCE).await?;
    let runs = ports.verify.history(week.now - WEEK - BEFORE).await?;
    let coverage = measures.coverage(&watched(catalogue), DAYS).await?;
    let entities = catalogue.synced().filter(|one| !is_lacking(one.entity())).collect();
    Ok(judge(&Evidence { entities, week: &week, runs: &runs, coverage: &coverage }))
}

/// Judges the evidence.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Readiness {
    let Evidence { entities, week, runs, coverage } = evidence;
    let mut checks: Vec<Check> =
        entities.iter().map(|entity| verified::check(entity, runs, week.now)).collect();
    checks.push(verified::money(&week.money, week.now));
    checks.push(figures::sync_delay(&week.delays, week.now));
    checks.push(figures::webhook_success(&week.deliveries, coverage, week.now));
    checks.push(figures::no_loss(&week.deliveries, week.now));
    checks.push(figures::dead_letters(&week.dead_letters, &week.delays, week.now));
    checks.push(figures::api_response_time(&week.answers, week.answers_since, week.now));
    checks.extend(shadow::check(&week.shadow));
    Readiness { checks }
}
