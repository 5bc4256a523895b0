//! The output of dry runs.

use serde_json::Value;
use tds_core::mirror::FieldDifference;

use super::{
    exit::CommandResult,
    output::{self, Column},
};
use crate::{app::dry_run::Would, http::dto};

/// Prints what would happen: as the API answers it, or a line for each record and a table of its changes. `what` names
/// the event or the item.
pub(crate) fn print(what: &str, would: Would, json: bool) -> CommandResult {
    if json {
        return output::json_line(&dto::WouldBe::from(would));
    }
    let reason = |reason: &Option<String>| reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    if would.records.is_empty() {
        return output::data(&output::clean(&format!("{what}: {}{}", would.outcome, reason(&would.reason))));
    }
    for record in &would.records {
        let operation =
            record.operation.map(|operation| format!(" ({})", operation.as_str())).unwrap_or_default();
        let line = format!(
            "{what}: {} would be {}{operation}{}",
            record.key,
            record.outcome,
            reason(&record.reason)
        );
        output::data(&output::clean(&line))?;
        if !record.changes.is_empty() {
            output::data(&output::table(COLUMNS, &record.changes))?;
        }
    }
    Ok(())
}

const COLUMNS: &[Column<FieldDifference>] = &[
    ("FIELD", |change| change.field.clone()),
    ("BEFORE", |change| value(&change.target)),
    ("AFTER", |change| value(&change.source)),
];

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
