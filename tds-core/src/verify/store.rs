//! The ports of verification.

use std::collections::HashSet;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    DriftClass, EntityReport, MoneyDifference, MonthSums, VerificationReport, VerifiedRun, VerifyCounts,
};
use crate::{
    error::Result,
    mirror::{FieldDifference, MirrorSchema},
    record::{EntityType, Payload, RecordId},
    runs::RunId,
};

/// A live record of the target.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalRecord {
    /// The id of the record at the source.
    pub id: RecordId,
    /// What the source sent of the record, as the target keeps it; `None` if the target keeps no such text.
    pub raw: Option<Payload>,
    /// Whether the run has listed the record.
    pub listed: bool,
    /// Whether the record was first seen, or seen again, after the run began. Such a record need not be in its list.
    pub seen_since: bool,
}

/// A record that looked different once.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The id of the record at the source.
    pub id: RecordId,
    /// How often the record was looked at again.
    pub looks: u16,
    /// The fields that differed at the last of these looks.
    pub fields: Vec<FieldDifference>,
}

impl Suspect {
    /// Creates a suspect that was not looked at again yet.
    #[must_use]
    pub fn new(id: RecordId) -> Self {
        Self { id, looks: 0, fields: Vec::new() }
    }
}

/// The result of another look at a suspect.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// Both sides are equal.
    Clean,
    /// The record may be changing: it is looked at again later.
    Again {
        /// The fields that differ now.
        fields: Vec<FieldDifference>,
    },
    /// The record was still changing at the last look, so nothing is known about it.
    InFlight,
    /// The source does not return the record in a form that can be read, so nothing is known about it.
    Unreadable {
        /// What went wrong.
        error: String,
    },
    /// The record differs.
    Drift {
        /// How the record differs.
        class: DriftClass,
        /// The fields that differ.
        fields: Vec<FieldDifference>,
    },
}

/// What took the place of an error of an erased record.
const REMOVED: &str = "the text was removed, because it is about a record that was erased";

impl Look {
    /// Returns the look without the values that it showed, and without a text that may quote one.
    #[must_use]
    pub fn without_values(&self) -> Self {
        match self {
            Self::Again { .. } => Self::Again { fields: Vec::new() },
            Self::Drift { class, .. } => Self::Drift { class: *class, fields: Vec::new() },
            Self::Unreadable { .. } => Self::Unreadable { error: REMOVED.to_owned() },
            Self::Clean | Self::InFlight => self.clone(),
        }
    }
}

/// What the executor of verification runs keeps.
///
/// # Contract
/// - Every method can be repeated with the same arguments: a process that dies after a call, and another that continues
///   from the last checkpoint, leave the same result.
/// - A suspect is one of a run only once. A suspect whose look is decided stays decided when it is added again.
///
/// # Errors
/// A method fails only if the store cannot be reached.
#[async_trait]
pub trait VerifyStore: Send + Sync {
    /// Returns one page of the live records of the target in the order of their ids, after `after`. A record without a
    /// head row is live as long as the target has child rows of it. Records without an id at the source do not count.
    async fn local_records(
        &self,
        run: RunId,
        schema: &MirrorSchema,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<LocalRecord>>;

    /// Returns those of the records for which the queue has work that has not ended, or that is a dead letter's.
    async fn in_work(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashSet<RecordId>>;

    /// Adds records to look at again.
    async fn suspect(&self, run: RunId, ids: &[RecordId]) -> Result<()>;

    /// Returns the next suspects that are not decided: those with the fewest looks first, then in the order of ids.
    async fn suspects(&self, run: RunId, limit: usize) -> Result<Vec<Suspect>>;

    /// Stores the results of looks at suspects, as [`VerifyStore::suspects`] returned them. A look counts, whatever its
    /// result. A look at a suspect that was looked at in the meantime changes nothing. `schema` is that of the run's entity
    /// type: of a record that was erased since the run began, or that names such a person, no value and no error is stored.
    async fn looked(&self, run: RunId, schema: &MirrorSchema, looks: &[(Suspect, Look)]) -> Result<()>;

    /// Returns a random sample of the listed records of a run: the same for each call with this run.
    async fn sample(&self, run: RunId, size: usize) -> Result<Vec<RecordId>>;

    /// Stores the counts of a run; they replace earlier counts.
    async fn count(&self, run: RunId, counts: VerifyCounts) -> Result<()>;

    /// Returns the number of records that the source does not return in a form that can be read, and the first of them
    /// in the order of their ids, each with what went wrong.
    async fn unreadable(&self, run: RunId, limit: usize) -> Result<(u64, Vec<(RecordId, String)>)>;

    /// Returns the findings of a run that are not repaired, in the order of their ids.
    async fn differing(&self, run: RunId) -> Result<Vec<(RecordId, DriftClass)>>;
}

/// Verifications as operators see them.
///
/// # Errors
/// A method fails only if the store cannot be reached.
#[async_trait]
pub trait VerifyOperator: Send + Sync {
    /// Returns the report of a verification, or of the newest one; `examples` findings for each entity type. `None` if
    /// there is no such verification.
    async fn report(&self, id: Option<RunId>, examples: usize) -> Result<Option<VerificationReport>>;

    /// Returns the report on the newest ended run of each entity type that was compared to the end, in the order of the
    /// entity types, without examples.
    async fn current(&self) -> Result<Vec<EntityReport>>;

    /// Returns the verifications whose runs have ended and that are not complete: their repairs have to be checked, and
    /// the checks of money have to be made.
    async fn unfinished(&self) -> Result<Vec<RunId>>;

    /// Marks findings as repaired: both sides were found to be equal again at this moment.
    async fn repaired(&self, run: RunId, ids: &[RecordId]) -> Result<()>;

    /// Completes a verification. A verification that is complete stays as it is.
    async fn finish(&self, id: RunId, money: &[MoneyDifference]) -> Result<()>;

    /// Returns the ended runs of verifications since a time, oldest first.
    async fn history(&self, since: OffsetDateTime) -> Result<Vec<VerifiedRun>>;
}

/// The checks of money, which compare sums and rules over the rows of the target.
///
/// # Errors
/// The target cannot be reached.
#[async_trait]
pub trait MoneyCheck: Send + Sync {
    /// Makes the checks that concern these entity types. Returns one row for each check and currency, also for those
    /// that hold.
    async fn check_money(&self, entities: &[EntityType]) -> Result<Vec<MoneyDifference>>;

    /// Returns the sums of the last months in which the target has records of the entity type, newest first. The default
    /// implementation returns none: the lists of the source are then not compared with the target.
    async fn month_sums(&self, _entity: &EntityType, _months: u16) -> Result<Vec<MonthSums>> {
        Ok(Vec::new())
    }
}
