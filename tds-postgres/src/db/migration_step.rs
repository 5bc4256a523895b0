//! Why a step of a migration failed.

use tds_core::error::Error;

use super::error::{classify, is_retryable};

/// The reason why a migration did not finish.
pub(super) struct Step {
    pub(super) error: Error,
    /// True if the same migration may succeed at once.
    pub(super) again: bool,
}

impl Step {
    pub(super) fn of(error: sqlx::Error, doing: &str) -> Self {
        let again = is_retryable(&error);
        Self { error: classify(error, doing), again }
    }
}

impl From<Error> for Step {
    fn from(error: Error) -> Self {
        Self { error, again: false }
    }
}
