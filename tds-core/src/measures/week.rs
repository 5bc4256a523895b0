//! The figures of the checklist of readiness.

use time::OffsetDateTime;

use super::{AnswerTimes, ShadowFigures};
use crate::runs::RunId;

/// The figures of some time before now.
#[derive(Clone, Debug)]
pub struct WeekFigures {
    /// The time of the figures.
    pub now: OffsetDateTime,
    /// How long work took.
    pub delays: DelayFigures,
    /// What became of the deliveries.
    pub deliveries: DeliveryFigures,
    /// The dead letters.
    pub dead_letters: DeadLetterFigures,
    /// How long the program's own answers took.
    pub answers: AnswerTimes,
    /// The hour of the first answer whose time is stored.
    pub answers_since: Option<OffsetDateTime>,
    /// The checks of money of each verification, oldest first.
    pub money: Vec<MoneyPoint>,
    /// The pushes of the mode `shadow`.
    pub shadow: ShadowFigures,
}

/// The time from the arrival of work to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DelayFigures {
    /// The end of the first item that is stored.
    pub since: Option<OffsetDateTime>,
    /// The number of items that ended.
    pub completed: u64,
    /// The mean in seconds.
    pub mean: Option<f64>,
    /// The 99th percentile in seconds.
    pub p99: Option<f64>,
    /// The mean of the items in the lane of deliveries.
    pub webhook_mean: Option<f64>,
}

/// What became of the deliveries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFigures {
    /// The arrival of the first event that is stored.
    pub since: Option<OffsetDateTime>,
    /// The number of events that were received.
    pub received: u64,
    /// The number of these that are completed.
    pub completed: u64,
    /// The number of these that failed.
    pub failed: u64,
    /// The number of events, received at any time, that are late: they have no end state yet.
    pub late: u64,
    /// The age of the oldest event without an end state, in seconds.
    pub oldest_open: Option<f64>,
    /// The longest time from the arrival of an event to its end, in seconds.
    pub slowest: Option<f64>,
}

/// The dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFigures {
    /// The number of dead letters now.
    pub now: u64,
    /// How often an item became a dead letter, whatever became of it since.
    pub made: u64,
    /// When an item last became a dead letter.
    pub last_at: Option<OffsetDateTime>,
}

/// The checks of money of one verification.
#[derive(Clone, Debug, PartialEq)]
pub struct MoneyPoint {
    /// The verification.
    pub verification: RunId,
    /// When the verification was complete.
    pub at: OffsetDateTime,
    /// The result of each check.
    pub rows: Vec<MoneyRow>,
}

/// The result of one check of money, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyRow {
    /// The name of the check.
    pub check: String,
    /// The currency, if the check is about one.
    pub currency: Option<String>,
    /// The amount that the source states.
    pub source: Option<String>,
    /// The amount that the target's rows add up to.
    pub target: Option<String>,
    /// The difference.
    pub difference: String,
    /// Whether the check holds.
    pub holds: bool,
    /// Records at fault.
    pub examples: Vec<String>,
}

impl MoneyPoint {
    /// Returns the checks that do not hold.
    pub fn failing(&self) -> impl Iterator<Item = &MoneyRow> {
        self.rows.iter().filter(|row| !row.holds)
    }
}
