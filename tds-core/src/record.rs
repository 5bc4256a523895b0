//! Records as they pass through the engine: what was read, when it was read, and in which shape.

pub(crate) mod builder;
mod cause;
mod date_range;
pub(crate) mod entity;
pub(crate) mod hash;
mod moves;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use self::{
    builder::RecordBuilder,
    cause::{Cause, Origin},
    date_range::DateRange,
    entity::{EntityType, InvalidEntityType},
    hash::{ColumnHashes, ContentHash, content_hash, list_hash, same_value},
    moves::{Follow, Moves},
};
pub use crate::ids::RecordId;
use crate::{
    closed_set::closed_set,
    error::{Error, Result},
};

/// The key of a record: its entity type and its id at the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The entity type of the record.
    pub entity: EntityType,
    /// The record's id at the source.
    pub id: RecordId,
}

impl RecordKey {
    /// Creates the key of a record.
    #[must_use]
    pub fn new(entity: EntityType, id: RecordId) -> Self {
        Self { entity, id }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.entity, self.id)
    }
}

/// The columns of one row, from name to value. Numbers keep their literal text; times are RFC 3339 in UTC. A missing
/// key says nothing about its column; `null` says that the column is empty.
pub type Fields = Map<String, Value>;

/// JSON text of the source, unchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// Creates a payload from JSON text.
    #[must_use]
    pub fn new(json: impl Into<Arc<str>>) -> Self {
        Self(json.into())
    }

    /// Writes an object as JSON text. The object is not copied first.
    ///
    /// # Errors
    /// `Internal`: the object cannot be written as JSON.
    pub fn of(object: &Map<String, Value>) -> Result<Self> {
        let json = serde_json::to_string(object);
        json.map(Self::new).map_err(|error| Error::internal("a record cannot be written").with_source(error))
    }

    /// Returns the JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the JSON text as a value of a type.
    ///
    /// # Errors
    /// `Invalid`: the text is not the JSON of such a value.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.as_str())
            .map_err(|error| Error::invalid("the payload is not understood").with_source(error))
    }
}

impl fmt::Debug for Payload {
    // Payloads contain names and addresses of people, so logs show only the size of the payload.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({} bytes)", self.0.len())
    }
}

closed_set! {
    /// The shape of a read: how much of a record it shows.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Shape {
        /// A row of a list, which shows a part of the columns.
        List = "list",
        /// The whole record.
        Detail = "detail",
        /// A pushed body that was found complete.
        Webhook = "webhook",
    }
}

/// The interval from the start of a call to its answer, by one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// When the request was sent.
    pub began: OffsetDateTime,
    /// When the answer was complete.
    pub ended: OffsetDateTime,
}

impl Interval {
    /// Returns true if this call began only after the other call had ended. This call then saw the same state as
    /// the other call, or a newer one.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        self.began > other.ended
    }
}

/// When the source had the state that was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// The state was read with a call: the source had the state at some moment of the interval.
    Call(Interval),
    /// The state was pushed: the source had the state at some moment before the push arrived at this time.
    Push(OffsetDateTime),
}

impl Observed {
    /// Returns the interval with which later reads are compared. The state of a pushed body is at least as old as its
    /// arrival.
    #[must_use]
    pub fn interval(&self) -> Interval {
        match *self {
            Self::Call(interval) => interval,
            Self::Push(at) => Interval { began: at, ended: at },
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |at: &OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        match self {
            Self::Call(seen) => write!(formatter, "read from {} to {}", text(&seen.began), text(&seen.ended)),
            Self::Push(at) => write!(formatter, "pushed at {}", text(at)),
        }
    }
}

/// A payload with the data that are needed to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePayload {
    /// How much of the record the payload shows.
    pub shape: Shape,
    /// When the source had this state.
    pub observed: Observed,
    /// The record's JSON as the source sent it.
    pub json: Payload,
}

/// A decoded record: the columns of its row and of its child rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The entity type of the record. It may differ from the requested one: a contact may be a customer or a vendor.
    pub entity: EntityType,
    /// The record's id at the source.
    pub id: RecordId,
    /// The version: the source's time of the last change, if the source states one (whole seconds in Zoho).
    pub version: Option<OffsetDateTime>,
    /// The columns that change together with `version`.
    pub fields: Fields,
    /// The volatile columns: the source changes them without moving `version`. Examples are stock, balances and ageing
    /// states.
    pub volatile: Fields,
    /// The rows of the child tables, by table. A missing table says nothing about its rows; an empty set says that the
    /// record has no rows there.
    pub children: BTreeMap<String, Vec<Fields>>,
    /// The records whose derived values follow this record. `None` says nothing: a list row shows no lines.
    pub moves: Option<Moves>,
    /// The columns and child tables that show less than the source has, because hidden values were taken out of them. The
    /// source would lose those values if it got such a column as it is shown. It is known of reads only: a stored payload
    /// does not show what is not in it.
    pub cut: BTreeSet<String>,
    /// The record's JSON as the source sent it.
    pub raw: Payload,
}

impl Record {
    /// Adds what another read of the same record shows and this one does not.
    pub fn fill_from(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.fields, other.fields), (&mut self.volatile, other.volatile)] {
            for (name, value) in theirs {
                mine.entry(name).or_insert(value);
            }
        }
        for (table, rows) in other.children {
            self.children.entry(table).or_insert(rows);
        }
        self.cut.extend(other.cut);
        self.version = self.version.or(other.version);
        self.moves = self.moves.take().or(other.moves);
    }
}

/// The content of a read.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The record exists.
    Present(Box<Record>),
    /// The source says that there is no such record.
    Absent,
}

/// A read: one observation of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The key of the record.
    pub key: RecordKey,
    /// How much of the record the read shows.
    pub shape: Shape,
    /// When the source had the state.
    pub observed: Observed,
    /// The content that was found.
    pub content: Content,
    /// For a whole record that is known together with its list row: what to remember of that row, so that the next
    /// listing finds the row unchanged.
    pub listed: Option<ListedRow>,
    /// How the records that this read moves are read again; `None`: they are not.
    pub follow: Option<Follow>,
    /// Why the read was made, if an item of the queue was the reason.
    pub cause: Option<Cause>,
}

impl Read {
    /// Creates the read of a record that exists.
    #[must_use]
    pub fn of(record: Record, shape: Shape, observed: Observed) -> Self {
        let key = RecordKey::new(record.entity.clone(), record.id.clone());
        Self {
            key,
            shape,
            observed,
            content: Content::Present(Box::new(record)),
            listed: None,
            follow: None,
            cause: None,
        }
    }

    /// Creates the read of a whole record by a call. `None` means that the source has no such record.
    #[must_use]
    pub fn whole(key: RecordKey, seen: Interval, record: Option<Record>) -> Self {
        let content = record.map_or(Content::Absent, |record| Content::Present(Box::new(record)));
        Self {
            key,
            shape: Shape::Detail,
            observed: Observed::Call(seen),
            content,
            listed: None,
            follow: None,
            cause: None,
        }
    }

    /// Returns the way in which the state reached the target. Without a cause, the shape shows it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.cause.map_or(
            match self.shape {
                Shape::List => Origin::List,
                Shape::Detail => Origin::Detail,
                Shape::Webhook => Origin::Webhook,
            },
            |cause| cause.origin,
        )
    }

    /// Returns the version that the read shows.
    #[must_use]
    pub fn version(&self) -> Option<OffsetDateTime> {
        match &self.content {
            Content::Present(record) => record.version,
            Content::Absent => None,
        }
    }
}

/// What is remembered of a list row together with the whole record that the row belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    /// The [`crate::record::list_hash`] of the row.
    pub hash: ContentHash,
    /// The columns that the list spells differently from the whole record.
    pub spelled: Vec<String>,
}

impl ListedRow {
    /// Compares a list row with the whole record that was read because of the row.
    #[must_use]
    pub fn beside(row: &Record, whole: &Record) -> Self {
        let differs = |(name, value): &(&String, &Value)| {
            whole.fields.get(*name).is_some_and(|other| !same_value(value, other))
        };
        let spelled = row.fields.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        Self { hash: list_hash(row), spelled }
    }
}
