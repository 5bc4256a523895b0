//! The reasons why a request of an operator is refused. The HTTP API and the command line each word them in their own
//! way.

use tds_core::error::Error;

/// The reason why a request was refused. Nothing was changed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nothing of this kind has this id.
    Unknown(&'static str, i64),
    /// A change of items names neither ids nor a filter, so it would apply to all items. The text is the verb: `retry`
    /// or `discard`.
    EveryItem(&'static str),
    /// The request names no entity type.
    NoEntity,
    /// The engine cannot execute a run of this type and entity type.
    Run(Error),
    /// `since` was given for a full run. A full run reads everything, whatever changed since then.
    SinceOfFullRun,
    /// The store failed, or the state of the store does not allow the request.
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
