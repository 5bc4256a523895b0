//! What a verification found.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    closed_set::closed_set,
    mirror::FieldDifference,
    record::{DateRange, EntityType, RecordId},
    runs::{RunId, RunStatus},
};

closed_set! {
    /// The way in which a record of the target differs from the source.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum DriftClass {
        /// The source has the record, and the target does not have it, or has it as a tombstone.
        MissingLocal = "missing_local",
        /// The target has the record, and the source does not have it.
        MissingRemote = "missing_remote",
        /// The target has an older version of the record.
        Stale = "stale",
        /// The target has the version of the source with other values.
        FieldDiff = "field_diff",
    }
}

/// A record that differs. It was looked at twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The id of the record at the source.
    pub id: RecordId,
    /// How the record differs.
    pub class: DriftClass,
    /// The fields that differ; empty if one side does not have the record.
    pub fields: Vec<FieldDifference>,
    /// When the record was looked at for the last time.
    pub looked_at: OffsetDateTime,
    /// When the record was found to be equal again; `None` while it differs.
    pub repaired_at: Option<OffsetDateTime>,
}

/// The counts of a run that only its executor knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyCounts {
    /// The number of records that the list of the source showed.
    pub source_records: u64,
    /// The number of live records that the target has.
    pub target_records: u64,
    /// The number of records that were compared.
    pub compared: u64,
    /// The number of whole records that were read and compared as a random sample. If none of them differs, at most
    /// 3 in this number of all records differ, with a confidence of 95 percent.
    pub sampled: u64,
}

/// The report on one entity type of a verification.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityReport {
    /// The run that compared the records.
    pub run: RunId,
    /// Whether the run repairs what differs.
    pub repairs: bool,
    /// The entity type.
    pub entity: EntityType,
    /// The status of the run.
    pub status: RunStatus,
    /// Why the run failed, if it failed; which records could not be read, if there are such records.
    pub error: Option<String>,
    /// When the run was claimed for the first time. The oldest comparison of the report was made after this time.
    pub started_at: Option<OffsetDateTime>,
    /// When the run ended.
    pub completed_at: Option<OffsetDateTime>,
    /// The number of calls to the source.
    pub calls: i64,
    /// What was compared.
    pub counts: VerifyCounts,
    /// The number of records about which nothing is known, because they were still changing when they were looked at for
    /// the last time, or because the source does not return them in a form that can be read.
    pub in_flight: u64,
    /// The number of findings that are equal again.
    pub repaired: u64,
    /// The number of findings of each class, repaired or not. A class without findings has no entry.
    pub found: BTreeMap<DriftClass, u64>,
    /// The number of findings of each class that still differ.
    pub drift: BTreeMap<DriftClass, u64>,
    /// How many findings name each field. The fields of child rows count under `table.column`.
    pub by_field: BTreeMap<String, u64>,
    /// The first findings that still differ, and then those that are repaired.
    pub examples: Vec<Finding>,
}

/// A sum that the source and the target state differently, or a rule of money that the target breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct MoneyDifference {
    /// The name of the check, such as `receivables`.
    pub check: String,
    /// The currency; `None` for a check that is about quantities or rates.
    pub currency: Option<String>,
    /// What the amounts belong to, such as a month or a document; `None` for a whole currency.
    pub of: Option<String>,
    /// The amount that the source states, as an exact decimal.
    pub source: Option<String>,
    /// The amount that the target's rows add up to, as an exact decimal.
    pub target: Option<String>,
    /// What is different, as an exact decimal; `0.00` if nothing is. The differences of records are added without their
    /// signs, so that two errors never cancel each other.
    pub difference: String,
    /// Whether the check holds. A comparison of values that were read at different times does not count as a difference
    /// until it was looked at again; such a row has `in_flight` records and holds.
    pub holds: bool,
    /// The number of records that are still changing.
    pub in_flight: u64,
    /// The records at fault, worst first, such as `invoices 460000000567114: lines add up to 10.00, total is 12.00`. A
    /// line that begins with `unknown:` says how many records cannot be checked, and is not a fault.
    pub examples: Vec<String>,
}

/// The records of one month that the target has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthSums {
    /// The days of the month.
    pub days: DateRange,
    /// Whether the month is not over, so that its records are still changing.
    pub is_current: bool,
    /// The currencies of the records, each with its number of records and the sum of their totals, an exact decimal.
    pub currencies: Vec<(Option<String>, u64, String)>,
}

/// The report of a verification.
#[derive(Clone, Debug, PartialEq)]
pub struct VerificationReport {
    /// The id: that of the verification's first run.
    pub id: RunId,
    /// `running` until every run and the checks of money have ended. Then the worst status of its runs.
    pub status: RunStatus,
    /// Who requested the verification.
    pub requested_by: Option<String>,
    /// When the verification was requested.
    pub created_at: OffsetDateTime,
    /// When its first run was claimed.
    pub started_at: Option<OffsetDateTime>,
    /// When it was complete.
    pub completed_at: Option<OffsetDateTime>,
    /// The checks of money, each with its result; empty until they were made.
    pub money: Vec<MoneyDifference>,
    /// The report on each entity type, in the order of the runs.
    pub entities: Vec<EntityReport>,
}

impl VerificationReport {
    /// Returns the number of findings that still differ.
    #[must_use]
    pub fn drift_total(&self) -> u64 {
        self.entities.iter().flat_map(|entity| entity.drift.values()).sum()
    }

    /// Returns the number of calls to the source.
    #[must_use]
    pub fn calls(&self) -> i64 {
        self.entities.iter().map(|entity| entity.calls).sum()
    }
}

/// One ended run of a verification in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedRun {
    /// The report on the entity type. It has no examples.
    pub report: EntityReport,
    /// The longest time from a finding to its repair, in seconds; `None` if nothing was repaired.
    pub slowest_repair_seconds: Option<f64>,
}
