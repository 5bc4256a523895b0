//! Bodies: the keys of the head of a record.

use serde_json::{Map, Value};
use tds_core::{outbound::LocalRecord, record::Fields};

use super::{
    chosen::{Chosen, Stage},
    contract::{Contract, Field, Form, Idempotence, Stamp, When},
    field::{is_in, value_of},
    findings::Findings,
    lines,
    local::present,
    value::custom_field,
};

/// Returns the body of a call, without the keys that the number and the status need.
pub(super) fn of(
    contract: &Contract,
    record: &LocalRecord,
    stage: Stage<'_>,
    unique_field: &str,
    found: &mut Findings,
) -> Map<String, Value> {
    let chosen = Chosen::new(record, stage);
    let mut body = start(contract);
    for field in contract.fields.iter().filter(|field| is_wanted(field, &chosen, &record.fields)) {
        if let Some(value) = value_of(field, &record.fields, stage, "", found) {
            body.insert(field.key.to_owned(), value);
        }
    }
    for list in contract.lists {
        if let Some(rows) = lines::of(list, record, &chosen, found) {
            body.insert(list.key.to_owned(), rows);
        }
    }
    (contract.finish)(record, &chosen, &mut body, found);
    mark(contract, record, &chosen, unique_field, &mut body);
    body
}

/// Returns what every body of the contract has.
pub(super) fn start(contract: &Contract) -> Map<String, Value> {
    contract.constants.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect()
}

fn is_wanted(field: &Field, chosen: &Chosen<'_>, row: &Fields) -> bool {
    let named = |column: &str| match chosen.stage() {
        Stage::Complete => field.when == When::AfterCreation && present(row, column).is_some(),
        Stage::Create | Stage::Update(_) => chosen.has(column),
    };
    let by_reference = matches!(field.form, Form::Reference { local, .. } if named(local));
    // A record without the column is one whose values are hidden: Zoho keeps its own.
    let is_needed =
        if chosen.creates() { field.required } else { field.always && row.contains_key(field.column) };
    is_in(field, chosen) && (is_needed || named(field.column) || by_reference)
}

/// Writes our key where a repeated create finds the record by it. Later bodies keep the key: Zoho may replace custom
/// fields as a whole.
fn mark(
    contract: &Contract,
    record: &LocalRecord,
    chosen: &Chosen<'_>,
    unique_field: &str,
    body: &mut Map<String, Value>,
) {
    match contract.idempotence {
        Idempotence::Search { row_key, stamp: Stamp::Key, .. } => {
            if chosen.creates() {
                body.insert(row_key.to_owned(), Value::from(record.key.as_str()));
            }
        }
        Idempotence::Search { .. } => {}
        Idempotence::UniqueField => {
            if chosen.creates() {
                body.entry("custom_fields").or_insert_with(|| Value::Array(Vec::new()));
            }
            let Some(Value::Array(entries)) = body.get_mut("custom_fields") else { return };
            let before = entries.len();
            entries.retain(|entry| entry.get("api_name").and_then(Value::as_str) != Some(unique_field));
            if chosen.creates() || entries.len() < before {
                entries.push(custom_field(unique_field, Value::from(record.key.as_str())));
            }
        }
    }
}
