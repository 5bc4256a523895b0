//! What the program measures about itself, for the checklist of readiness and for the report.
//!
//! All figures come from the store and cover days and weeks. They are shared by all processes and survive restarts.

mod answers;
mod coverage;
mod days;
mod outbox;
mod week;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use time::Date;

pub use self::{
    answers::{AnswerCount, AnswerKind, AnswerTimes},
    coverage::{Coverage, HistoryCheck, Watched},
    days::{
        CallsOfDay, DayFigures, DeadLetters, EntityFigures, FailureCause, KnownUnknownField, LaneCount,
        ReportFigures, TableSize,
    },
    outbox::{OutboxCounts, RefusedChanges, ShadowFigures},
    week::{DeadLetterFigures, DelayFigures, DeliveryFigures, MoneyPoint, MoneyRow, WeekFigures},
};
use crate::{error::Result, record::EntityType};

/// Measurements over days and weeks.
///
/// # Contract
/// - Every time and every day is that of the store's clock. Days are days of UTC.
/// - Methods that store something can be repeated with the same arguments: [`Measures::store_day`] and
///   [`Measures::store_history_check`] leave the same result, and [`Measures::count_answers`] counts once per call.
///
/// # Errors
/// A method fails only if the store cannot be reached.
#[async_trait]
pub trait Measures: Send + Sync {
    /// Returns the figures of the time before now, for the checklist of readiness. An event counts as late if it has no
    /// end state `patience` after it was received.
    async fn week(&self, within: Duration, patience: Duration) -> Result<WeekFigures>;

    /// Returns the figures of the last `days` days, today included, for the report.
    async fn days(&self, days: u16) -> Result<ReportFigures>;

    /// Adds the times of answers.
    async fn count_answers(&self, answers: &[AnswerCount]) -> Result<()>;

    /// Compares the changes of the last `days` complete days, and of today, with the deliveries. Days that are stored
    /// are returned as they are stored.
    async fn coverage(&self, watched: &[Watched], days: u16) -> Result<Vec<Coverage>>;

    /// Returns the comparisons of the last `days` complete days that are stored.
    async fn stored_coverage(&self, days: u16) -> Result<Vec<Coverage>>;

    /// Compares and stores those of the last `days` complete days that are not stored yet, and the sizes of the tables
    /// today. Returns the number of days that were stored.
    async fn store_day(&self, watched: &[Watched], days: u16) -> Result<u64>;

    /// Returns true for one caller a day: the work of the day is this caller's. The first call of all only begins the
    /// count of the days.
    async fn claim_day(&self) -> Result<bool>;

    /// Stores what a look at the source's history of deliveries showed.
    async fn store_history_check(&self, check: &HistoryCheck) -> Result<()>;

    /// Returns the looks at the source's history of deliveries since a day, newest first.
    async fn history_checks(&self, since: Date) -> Result<Vec<HistoryCheck>>;

    /// Returns how many changes of the outbox are pending and how many conflicts are open, by entity type.
    async fn outbox(&self) -> Result<BTreeMap<EntityType, OutboxCounts>>;
}
