//! How a command ends: 0 done, 1 failed, 2 wrong usage or configuration.

use std::process::ExitCode;

use super::output;

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

    /// Tells the reason on stderr and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Reported => ExitCode::from(1),
            Self::Failed(message) => {
                output::fail(&message);
                ExitCode::from(1)
            }
            Self::Usage(messages) => {
                for message in messages {
                    output::fail(&message);
                }
                ExitCode::from(2)
            }
        }
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

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::failed(format!("the output cannot be written: {error}")),
        }
    }
}
