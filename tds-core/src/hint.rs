//! What an operator can do about a failure, as a value that the embedding program puts into words.

use std::fmt;

use crate::ids::RunId;

/// What an operator can do about a failure, or about a run that waits for a decision.
///
/// The engine and the stores do not know how an operator uses the program that embeds them. They say what helps, and
/// the program says with which command or setting: it passes its [`Wording`] to
/// [`EngineBuilder::wording`](crate::engine::EngineBuilder::wording). `Display` gives a text that names neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The deletions that this run holds back can be confirmed.
    ConfirmDeletions(RunId),
    /// This run can be resumed. It then accepts its list, although the list is far shorter than the last one.
    AcceptShortList(RunId),
    /// The role of the database connection can be granted the privilege that it lacks.
    GrantPrivilege,
    /// The database is read-only: the connection can be led to a server that accepts writes, or this one can accept
    /// them again.
    AcceptWrites,
    /// One of these settings can be corrected. The names are those of fields in the configuration of an adapter, such
    /// as `refresh_token`.
    Settings(&'static [&'static str]),
}

/// Puts a hint into words. The text continues a sentence after a semicolon, and has no full stop.
pub type Wording = fn(&Hint) -> String;

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfirmDeletions(run) => {
                write!(formatter, "if the records are gone, confirm the deletions of run {run}")
            }
            Self::AcceptShortList(run) => {
                write!(
                    formatter,
                    "if the source really has so few records, resume run {run}, which accepts the list"
                )
            }
            Self::GrantPrivilege => formatter.write_str("grant the role this privilege"),
            Self::AcceptWrites => formatter.write_str(
                "the server is a standby, or default_transaction_read_only is on: let it accept writes",
            ),
            Self::Settings(fields) => write!(formatter, "see {} in the configuration", fields.join(", ")),
        }
    }
}
