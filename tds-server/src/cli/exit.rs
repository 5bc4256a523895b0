//! How a command ends: 0 done, 1 failed, 2 wrong usage or configuration.

use crate::app::refusal::Refusal;

/// The end of a command that did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or configuration: one line each; status 2.
    Usage(Vec<String>),
    /// It did not work, for this reason; status 1.
    Failed(String),
    /// It did not work, and the output says so already; status 1.
    Reported,
    /// Nobody reads our output any more, as with `… | head`; status 0.
    OutputClosed,
}

/// What every command answers.
pub(crate) type CommandResult<T = ()> = Result<T, Failure>;

impl Failure {
    /// Wrong usage, in one line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(vec![message.into()])
    }

    /// It did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

impl From<tds_core::error::Error> for Failure {
    fn from(error: tds_core::error::Error) -> Self {
        match error.kind() {
            tds_core::error::ErrorKind::Config => Self::usage(error.chain()),
            _ => Self::failed(error.chain()),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(what, id) => Self::failed(format!("there is no {what} {id}")),
            Refusal::Store(error) => error.into(),
            Refusal::EveryItem(verb) => {
                Self::usage(format!("queue {verb}: give ids, or a filter such as --status dead_letter"))
            }
            Refusal::NoEntity => Self::usage("--entity names no entity type"),
            Refusal::NoSource(entity) => Self::usage(format!("{entity} has no source that could be listed")),
            Refusal::SinceOfFullRun => {
                Self::usage("--since goes with --mode incremental: a full sync reads everything")
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
