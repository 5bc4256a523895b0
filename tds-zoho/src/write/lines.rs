//! Bodies: the lists of a record, each as a whole.

use serde_json::{Map, Value};
use tds_core::{outbound::LocalRecord, record::Fields};

use super::{
    chosen::{Chosen, Stage},
    contract::{Field, Form, Lines},
    field::{is_in, value_of},
    findings::Findings,
    local::present,
};

/// Returns the list if the body has one.
pub(super) fn of(
    list: &Lines,
    record: &LocalRecord,
    chosen: &Chosen<'_>,
    found: &mut Findings,
) -> Option<Value> {
    let rows = record.children.get(list.table);
    let is_wanted = match chosen.stage() {
        Stage::Create => list.required || rows.is_some(),
        Stage::Complete => false,
        Stage::Update(changed) => list.always || changed.contains(list.table),
    };
    if !is_wanted {
        return None;
    }
    let Some(rows) = rows.filter(|rows| !(list.required && rows.is_empty())) else {
        found.problem(format!("it has no {}s in {}: enter at least one", list.noun, list.table));
        return None;
    };
    let written = in_order(rows).into_iter().enumerate();
    let written = written.map(|(index, row)| {
        let place = format!("{} {}: ", list.noun, index + 1);
        let wanted = list.fields.iter().filter(|field| is_in(field, chosen) && is_wanted_in(field, row));
        let pairs = wanted.filter_map(|field| {
            let value = value_of(field, row, Stage::Create, &place, found)?;
            Some((field.key.to_owned(), value))
        });
        pairs.collect::<Map<String, Value>>()
    });
    let written = written.collect();
    Some((list.arrange)(written, record, found))
}

fn is_wanted_in(field: &Field, row: &Fields) -> bool {
    let by_reference = matches!(field.form, Form::Reference { local, .. } if present(row, local).is_some());
    field.required || present(row, field.column).is_some() || by_reference
}

/// Returns the rows by their positions. Rows without a position stay in their order.
fn in_order(rows: &[Fields]) -> Vec<&Fields> {
    let position = |row: &&Fields| present(row, "position").and_then(Value::as_i64).unwrap_or(i64::MAX);
    let mut rows: Vec<&Fields> = rows.iter().collect();
    rows.sort_by_key(position);
    rows
}
