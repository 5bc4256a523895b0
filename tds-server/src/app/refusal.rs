//! Why a request of an operator is not carried out. The HTTP API and the command line each have words of their own for it.

use tds_core::{error::Error, record::EntityType};

/// Why nothing was done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is nothing of this kind with this id.
    Unknown(&'static str, i64),
    /// A change of items says neither which ids nor what they have in common: it would be of all items.
    /// The text is the verb: `retry`, `discard`.
    EveryItem(&'static str),
    /// No entity type was named.
    NoEntity,
    /// The entity type has no source that could be listed.
    NoSource(EntityType),
    /// A full run reads everything, whatever changed since then.
    SinceOfFullRun,
    /// The store failed, or its state does not allow the request.
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
