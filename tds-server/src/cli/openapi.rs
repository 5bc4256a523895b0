//! `openapi`.

use tds_zoho::entities::Catalogue;

use super::{exit::CommandResult, output};

/// Prints the document that a server returns at `/openapi.json`.
pub(crate) fn run(catalogue: &Catalogue) -> CommandResult {
    output::json(&crate::openapi_document(catalogue))
}
