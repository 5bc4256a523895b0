//! Rows of the ERP.

use serde_json::Value;
use tds_core::record::Fields;

/// Returns the value of a column of a row, unless it is absent or null.
pub(super) fn present<'a>(row: &'a Fields, column: &str) -> Option<&'a Value> {
    row.get(column).filter(|value| !value.is_null())
}
