//! The figures of the report.

use time::{Date, OffsetDateTime};

use super::{AnswerTimes, WeekFigures};
use crate::{queue::Lane, record::EntityType};

/// The figures of some days.
#[derive(Clone, Debug)]
pub struct ReportFigures {
    /// The figures of the same time as a whole.
    pub whole: WeekFigures,
    /// The figures of each day, oldest first. Days without anything are there too.
    pub days: Vec<DayFigures>,
    /// The figures of each entity type that had work.
    pub entities: Vec<EntityFigures>,
    /// The causes of failed attempts, most frequent first.
    pub failures: Vec<FailureCause>,
    /// The dead letters of now by entity type and cause, most frequent first.
    pub dead_letters: Vec<DeadLetters>,
    /// The number of deliveries of now that could not be understood.
    pub unparsed: u64,
    /// The fields that no column takes, those that were seen last first.
    pub unknown_fields: Vec<KnownUnknownField>,
    /// The number of all fields that no column takes.
    pub unknown_fields_total: u64,
    /// The tables, largest first, and before them the whole database with the name ``.
    pub tables: Vec<TableSize>,
}

/// The figures of one day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayFigures {
    /// The day.
    pub day: Date,
    /// The number of deliveries that arrived.
    pub deliveries: u64,
    /// The number of these that failed.
    pub failed_deliveries: u64,
    /// The number of items that ended.
    pub completed: u64,
    /// The number of these that changed the target.
    pub changed: u64,
    /// The number of items that ended, by lane.
    pub lanes: Vec<LaneCount>,
    /// The mean time from the arrival of work to its end, in seconds.
    pub mean: Option<f64>,
    /// The median of this time.
    pub p50: Option<f64>,
    /// The 99th percentile of this time.
    pub p99: Option<f64>,
    /// The number of attempts that failed and were repeated.
    pub retries: u64,
    /// How often an item became a dead letter.
    pub dead_letters: u64,
    /// The calls to the source.
    pub calls: Vec<CallsOfDay>,
    /// The times of the program's own answers.
    pub answers: AnswerTimes,
}

impl DayFigures {
    /// Returns the number of calls to the source.
    #[must_use]
    pub fn calls_total(&self) -> u64 {
        self.calls.iter().map(|calls| calls.calls).sum()
    }
}

/// The number of items of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCount {
    /// The lane.
    pub lane: Lane,
    /// The number of items that ended.
    pub items: u64,
}

/// The calls of a lane on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallsOfDay {
    /// The lane.
    pub lane: Lane,
    /// The number of calls.
    pub calls: u64,
    /// The number of these that failed.
    pub failed: u64,
}

/// The figures of one entity type.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityFigures {
    /// The entity type.
    pub entity: EntityType,
    /// The number of deliveries that arrived.
    pub deliveries: u64,
    /// The number of items that ended.
    pub completed: u64,
    /// The number of these that changed the target.
    pub changed: u64,
    /// The mean time from the arrival of work to its end, in seconds.
    pub mean: Option<f64>,
    /// The 99th percentile of this time.
    pub p99: Option<f64>,
}

/// A cause of failed attempts. Errors that differ only in numbers are one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCause {
    /// The entity type of the items; `None` if the items no longer exist.
    pub entity: Option<EntityType>,
    /// One of the errors.
    pub error: String,
    /// The number of failed attempts.
    pub attempts: u64,
    /// The number of these after which the item became a dead letter.
    pub dead_letters: u64,
    /// When this last happened.
    pub last_at: OffsetDateTime,
}

/// Dead letters of one entity type and one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// The entity type.
    pub entity: EntityType,
    /// One of the errors.
    pub error: String,
    /// The number of dead letters.
    pub items: u64,
    /// When the first of them became a dead letter.
    pub since: OffsetDateTime,
}

/// A field of the source that no column takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUnknownField {
    /// The entity type.
    pub entity: EntityType,
    /// The path of the field, such as `line_items[].colour`.
    pub path: String,
    /// When the field was seen first.
    pub first_seen_at: OffsetDateTime,
    /// When the field was seen last.
    pub last_seen_at: OffsetDateTime,
    /// The number of reads that showed the field.
    pub occurrences: u64,
}

/// The size of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// The name of the table, with its schema if that is the mirror's.
    pub name: String,
    /// The estimated number of rows.
    pub rows: u64,
    /// The bytes on disk, with indexes.
    pub bytes: u64,
    /// The estimated number of rows at the beginning, if it is known.
    pub rows_before: Option<u64>,
    /// The bytes at the beginning, if they are known.
    pub bytes_before: Option<u64>,
    /// The day of these earlier figures.
    pub before: Option<Date>,
}
