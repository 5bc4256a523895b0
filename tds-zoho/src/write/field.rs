//! The value of one field of a body.

use serde_json::Value;
use tds_core::record::Fields;

use super::{
    chosen::{Chosen, Stage},
    contract::{Field, Form, When},
    findings::Findings,
    local::present,
    value::{emptied, written},
};

/// Returns true if a body of the stage may have the field.
pub(super) fn is_in(field: &Field, chosen: &Chosen<'_>) -> bool {
    field.when == When::Any || (field.when == When::AtCreation) == chosen.creates()
}

/// Returns the value of a field. `place` names the row in texts, with a blank at its end; it is empty for the head.
pub(super) fn value_of(
    field: &Field,
    row: &Fields,
    stage: Stage<'_>,
    place: &str,
    found: &mut Findings,
) -> Option<Value> {
    let column = field.column;
    if let Some(value) = present(row, column) {
        let value = written(field.form, value);
        return value.map_err(|fault| found.problem(format!("{place}{column} {fault}"))).ok();
    }
    if let Form::Reference { entity, local } = field.form
        && let Some(id) = present(row, local)
    {
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        found.awaits(entity, id);
        return None;
    }
    if field.required {
        let or = match field.form {
            Form::Reference { local, .. } => format!(" or {local}"),
            _ => String::new(),
        };
        found.problem(format!("{place}{column}{or} is missing: enter it"));
        return None;
    }
    if !matches!(stage, Stage::Update(_)) {
        return None;
    }
    let empty = emptied(field.form);
    if empty.is_none() {
        found.problem(format!("{place}{column} is empty, and Zoho has no empty value there: enter one"));
    }
    empty
}
