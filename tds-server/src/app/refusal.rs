//! The reasons why a request of an operator is refused. The HTTP API and the command line each word them in their own
//! way.

use tds_core::{
    error::Error,
    record::{EntityType, RecordKey},
};
use tds_zoho::write::contracts;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::nearest::ending;

/// The reason why a request was refused. Nothing was changed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nothing of this kind has this id.
    Unknown(&'static str, i64),
    /// Nothing is known of this record.
    NoRecord(RecordKey),
    /// The body of an inbox event was blanked, so the event cannot be parsed again.
    Blanked(i64, OffsetDateTime),
    /// A change of items names neither ids nor a filter, so it would apply to all items. The text is the verb: `retry`
    /// or `discard`.
    EveryItem(&'static str),
    /// The request names no entity type.
    NoEntity,
    /// The engine cannot execute a run of this type and entity type.
    Run(Error),
    /// `since` was given for a full run. A full run reads everything, whatever changed since then.
    SinceOfFullRun,
    /// The entity type is known and not synced.
    NotSynced(EntityType),
    /// The dates or ids that were asked for are no selection, or `since` was given with them.
    Selection(String),
    /// Ids were given for another number of entity types than one.
    IdsOfSeveral,
    /// Dates were given for entity types whose lists have no filter by date.
    NoDates {
        /// These entity types.
        refused: Vec<EntityType>,
        /// The entity types whose lists have such a filter.
        possible: Vec<EntityType>,
    },
    /// TDS does not know how to write records of the entity type to Zoho, which the mode requires.
    NotWritable {
        /// The entity type.
        entity: EntityType,
        /// The name of the mode.
        mode: &'static str,
    },
    /// A conflict policy names a field that TDS does not write to Zoho.
    UnknownField {
        /// The entity type.
        entity: EntityType,
        /// The name.
        field: String,
        /// The names of the fields that TDS writes.
        known: Vec<&'static str>,
    },
    /// A change of a mode changes nothing.
    NoModeChange,
    /// The store failed, or the state of the store does not allow the request.
    Store(Error),
}

/// Says that an event cannot be processed again, and what to do instead.
pub(crate) fn blanked(id: i64, at: OffsetDateTime) -> String {
    format!(
        "inbox event {id} cannot be processed again: its body was blanked at {} (TDS_PAYLOAD_RETENTION, or an erasure). \
         A bulk sync reads its record from Zoho",
        at.format(&Rfc3339).unwrap_or_default()
    )
}

/// Says that TDS does not write an entity type, and which it writes.
pub(crate) fn not_writable(entity: &EntityType, mode: &str) -> String {
    let writable: Vec<&str> = contracts().map(|contract| contract.entity.as_str()).collect();
    format!(
        "{entity} cannot be {mode}: TDS does not write {entity} to Zoho, so zoho_primary is their only mode. TDS writes {}",
        writable.join(", ")
    )
}

/// Says that TDS does not write a field of an entity type, and which it writes.
pub(crate) fn unknown_field(entity: &EntityType, field: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!(
            "{field:?} has no policy: TDS does not write {entity} to Zoho, so they have no conflicts"
        );
    }
    let ending = ending(field, known.iter().copied());
    format!(
        "{field:?} is not one of the fields of {entity} that TDS writes to Zoho: {}{ending}",
        known.join(", ")
    )
}

/// Returns names as a list in a sentence.
pub(crate) fn names(entities: &[EntityType]) -> String {
    entities.iter().map(EntityType::as_str).collect::<Vec<_>>().join(", ")
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
