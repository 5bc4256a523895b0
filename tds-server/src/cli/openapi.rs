//! `openapi`.

use super::{exit::CommandResult, output};

/// Prints the document that a server answers at `/openapi.json`.
pub(crate) fn run() -> CommandResult {
    output::json(&crate::openapi_document())
}
