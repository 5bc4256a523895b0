//! How a command ends: 0 done, 1 failed, 2 wrong usage or configuration.

use tds_core::error::{Error, ErrorKind};

use crate::{
    app::refusal::{Refusal, blanked, names, not_writable, unknown_field},
    hint::command,
};

/// The failure of a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or configuration, one line each. Exit status 2.
    Usage(Vec<String>),
    /// The command did not succeed, for this reason. Exit status 1.
    Failed(String),
    /// The command did not succeed, and its output already says so. Exit status 1.
    Reported,
    /// The reader of the output has closed it, as with `… | head`. Exit status 0.
    OutputClosed,
}

/// The result of every command.
pub(crate) type CommandResult<T = ()> = Result<T, Failure>;

impl Failure {
    /// Creates a failure for wrong usage, in one line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(vec![message.into()])
    }

    /// Returns the failure as an error of a step of a procedure.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Failed(reason) => Error::conflict(reason),
            Self::Usage(reasons) => Error::conflict(reasons.join("; ")),
            Self::Reported | Self::OutputClosed => Error::conflict("the step did not end"),
        }
    }

    /// Returns the failure of a list. The cursor is the only value that a list cannot check before it asks the store.
    pub(crate) fn of_list(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => Self::usage(format!("--cursor: {error}")),
            _ => error.into(),
        }
    }

    /// Creates a failure with this reason.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::usage(error.explain(command)),
            _ => Self::failed(error.explain(command)),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(what, id) => Self::failed(format!("there is no {what} {id}")),
            Refusal::NoRecord(key) => {
                Self::failed(format!("nothing is known of a record {} of {}", key.id, key.entity))
            }
            Refusal::Blanked(id, at) => Self::failed(blanked(id, at)),
            Refusal::Store(error) => error.into(),
            Refusal::EveryItem(verb) => {
                Self::usage(format!("queue {verb}: state ids, or a filter such as --status dead_letter"))
            }
            Refusal::NoEntity => Self::usage("--entity names no entity type"),
            Refusal::Run(error) => Self::usage(error.chain()),
            Refusal::NotSynced(entity) => Self::usage(format!(
                "{entity} are not synced: TDS_ENTITIES does not name them; add them there to sync them"
            )),
            Refusal::Selection(reason) => Self::usage(reason),
            Refusal::IdsOfSeveral => {
                Self::usage("--ids requires one entity type: --entity invoices --ids ID,ID")
            }
            Refusal::NoDates { refused, possible } => Self::usage(format!(
                "--from and --to: Zoho documents no filter by date for {}. Choose entity types that have one (--entity \
                 {}), or use --ids, --since or --mode full",
                names(&refused),
                names(&possible).replace(", ", ",")
            )),
            Refusal::NotWritable { entity, mode } => Self::usage(not_writable(&entity, mode)),
            Refusal::UnknownField { entity, field, known } => {
                Self::usage(unknown_field(&entity, &field, &known))
            }
            Refusal::NoModeChange => Self::usage("state a mode, --conflict-policy or --field"),
            Refusal::SinceOfFullRun => {
                Self::usage("--since requires --mode incremental: a full sync reads everything")
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::failed(format!("the output cannot be written: {error}")),
        }
    }
}
