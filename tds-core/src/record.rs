//! Records as they travel: what was read, when, in which shape.

pub(crate) mod entity;
pub(crate) mod hash;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use self::{
    entity::{EntityType, InvalidEntityType},
    hash::{ColumnHashes, ContentHash, content_hash, list_hash, same_value},
};
use crate::error::{Error, Result};
pub use crate::ids::{RecordId, RecordKey};

/// Columns of one row: name to value. Numbers keep their literal text; times are RFC 3339 in UTC; a key
/// that is not there says nothing about its column, `null` says that it is empty.
pub type Fields = Map<String, Value>;

/// A source's JSON, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// Takes JSON text.
    #[must_use]
    pub fn new(json: impl Into<Arc<str>>) -> Self {
        Self(json.into())
    }

    /// Writes an object as JSON text, without copying it first.
    ///
    /// # Errors
    /// `Internal`: it cannot be written.
    pub fn of(object: &Map<String, Value>) -> Result<Self> {
        let json = serde_json::to_string(object);
        json.map(Self::new).map_err(|error| Error::internal("a record cannot be written").with_source(error))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Payload {
    // Payloads carry people's names and addresses: logs get the size only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({} bytes)", self.0.len())
    }
}

/// How much of a record a read shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A row of a list: a part of the columns.
    List,
    /// The whole record.
    Detail,
    /// A pushed body that was found complete.
    Webhook,
}

impl Shape {
    /// The name as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Detail => "detail",
            Self::Webhook => "webhook",
        }
    }
}

/// From the start of a call to its answer, on one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// When the request was sent.
    pub began: OffsetDateTime,
    /// When the answer was complete.
    pub ended: OffsetDateTime,
}

impl Interval {
    /// True when this call began only after the other was over: it saw whatever the other saw, or newer.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        self.began > other.ended
    }
}

/// When the source was seen in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// We asked: it was so at some moment of the interval.
    Call(Interval),
    /// It was pushed: it was so at some moment before it arrived.
    Push(OffsetDateTime),
}

impl Observed {
    /// The interval to compare later reads with. A pushed body is at least as old as its arrival.
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

/// A payload together with what is needed to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePayload {
    /// How much it shows.
    pub shape: Shape,
    /// When the source was seen so.
    pub observed: Observed,
    /// The record's JSON as the source sent it.
    pub json: Payload,
}

/// A record, understood: the columns of its row and of its children.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The entity type that the record turned out to be; a contact may be a customer or a vendor.
    pub entity: EntityType,
    /// Its id at the source.
    pub id: RecordId,
    /// The source's time of the last change, where it states one (whole seconds in Zoho).
    pub version: Option<OffsetDateTime>,
    /// Columns that change together with `version`.
    pub fields: Fields,
    /// Columns that the source changes without moving `version`: stock, balances, ageing states.
    pub volatile: Fields,
    /// Rows of child tables, by table. A table that is not there says nothing; an empty set is empty.
    pub children: BTreeMap<String, Vec<Fields>>,
    /// The record's JSON as the source sent it.
    pub raw: Payload,
}

impl Record {
    /// Takes over what only the other read of the same record shows.
    pub fn fill_from(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.fields, other.fields), (&mut self.volatile, other.volatile)] {
            for (name, value) in theirs {
                mine.entry(name).or_insert(value);
            }
        }
        for (table, rows) in other.children {
            self.children.entry(table).or_insert(rows);
        }
        self.version = self.version.or(other.version);
    }
}

/// What a read found.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The record.
    Present(Box<Record>),
    /// The source says that there is no such record.
    Absent,
}

/// One look at one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Which record.
    pub key: RecordKey,
    /// How much of it.
    pub shape: Shape,
    /// When.
    pub observed: Observed,
    /// What was found.
    pub content: Content,
    /// For a whole record that is known together with its list row: what is to be remembered of that row, so that the
    /// next listing finds it unchanged.
    pub listed: Option<ListedRow>,
}

/// What is remembered of a list row beside the whole record that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    /// Its [`crate::record::list_hash`].
    pub hash: ContentHash,
    /// The columns that the list spells in another way than the whole record does.
    pub spelled: Vec<String>,
}

impl ListedRow {
    /// A row and the whole record that was read because of it.
    #[must_use]
    pub fn beside(row: &Record, whole: &Record) -> Self {
        let differs = |(name, value): &(&String, &Value)| {
            whole.fields.get(*name).is_some_and(|other| !same_value(value, other))
        };
        let spelled = row.fields.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        Self { hash: list_hash(row), spelled }
    }
}
