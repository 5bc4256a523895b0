//! Bodies have documented keys only, and every column is written or says why not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tds_core::{
    outbound::LocalRecord,
    record::{Fields, Shape},
};
use tds_zoho::{
    entities::{Api, Catalogue},
    write::{Contract, Form, WriteCall, contracts},
};

use crate::{
    local::{Ids, UNIQUE, local},
    support::decoded,
};

/// The names of the documented keys and parameters of calls.
#[derive(Deserialize)]
struct Documented {
    calls: BTreeMap<String, Call>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    parameters: BTreeSet<String>,
    #[serde(default)]
    keys: BTreeSet<String>,
    #[serde(default)]
    required: BTreeSet<String>,
}

/// Keys that are sent although Zoho's files lack them: every client writes custom fields by their API names, and the
/// number of an upsert needs the parameter that the other calls have.
const ELSEWHERE: [&str; 2] = ["custom_fields.api_name", "custom_fields.value"];
const OF_CREATES: &str = "ignore_auto_number_generation";

/// Keys that Zoho's file lists at the top level although they belong to the entries of a list.
const MISPLACED: [&str; 2] = ["invoice_id", "amount_applied"];

fn documented() -> Documented {
    serde_json::from_str(include_str!("../data/write-keys.json")).expect("key names")
}

/// Returns a record as it is after it was created, and the names of everything that may change.
pub(crate) fn changed(contract: &Contract) -> (LocalRecord, BTreeSet<String>) {
    let record = local(contract.entity.as_str(), 1, &Ids::default()).at_source("460000000099001", None);
    let is_written = |field: &&tds_zoho::write::Field| {
        field.when != tds_zoho::write::When::AtCreation && record.fields.contains_key(field.column)
    };
    let columns = contract.fields.iter().filter(is_written).map(|field| field.column);
    let tables = contract.lists.iter().map(|list| list.table);
    let parts = contract.parts.iter().map(|part| part.column);
    let changed = columns.chain(tables).chain(parts).chain(contract.folded.iter().copied());
    let changed = changed.filter(|column| record.fields.get(*column) != Some(&Value::Null));
    (record.clone(), changed.map(str::to_owned).collect())
}

fn all_calls(contract: &Contract) -> Vec<WriteCall> {
    let record = local(contract.entity.as_str(), 1, &Ids::default());
    let mut calls =
        contract.create(&record, UNIQUE).unwrap_or_else(|error| panic!("{}: {error}", contract.entity));
    if contract.entity.as_str() != "stock" {
        let (record, changed) = changed(contract);
        let updates = contract.update(&record, &changed, UNIQUE);
        calls.extend(updates.unwrap_or_else(|error| panic!("{}: {error}", contract.entity)));
        let removal = contract.remove(&record).expect("a removal");
        calls.push(removal.call);
        calls.extend(removal.if_refused);
    }
    calls.retain(|call| call.method.as_str() != "GET");
    calls
}

fn name(call: &WriteCall) -> String {
    let product = if call.api == Api::Books { "books" } else { "inventory" };
    let path = call.path.replace("460000000099001", "{id}");
    format!("{} {product}{path}", call.method.as_str())
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = format!("{prefix}{key}");
                flatten(&format!("{key}."), value, keys);
                keys.insert(key);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| flatten(prefix, item, keys)),
        _ => {}
    }
}

#[test]
fn calls_and_the_keys_of_their_bodies_are_documented() {
    let documented = documented();
    let mut undocumented = BTreeSet::new();
    let mut lacking = BTreeSet::new();
    for call in contracts().flat_map(all_calls) {
        let name = name(&call);
        let known = documented.calls.get(&name).unwrap_or_else(|| panic!("{name} is not documented"));
        let mut keys = BTreeSet::new();
        let body: Value = call.body.as_ref().map(|body| body.parse().expect("JSON")).unwrap_or_default();
        flatten("", &body, &mut keys);
        let is_known = |key: &&String| known.keys.contains(*key) || ELSEWHERE.contains(&key.as_str());
        undocumented.extend(keys.iter().filter(|key| !is_known(key)).map(|key| format!("{name}: {key}")));
        let parameters = call.query.iter().map(|(key, _)| *key).filter(|key| *key != OF_CREATES);
        let headers = call.headers.iter().map(|(key, _)| *key);
        let unknown = parameters.chain(headers).filter(|key| !known.parameters.contains(*key));
        undocumented.extend(unknown.map(|key| format!("{name}: {key}")));
        let missing =
            known.required.iter().filter(|key| !keys.contains(*key) && !MISPLACED.contains(&key.as_str()));
        lacking.extend(missing.map(|key| format!("{name}: {key}")));
    }
    assert_eq!(undocumented, BTreeSet::new());
    assert_eq!(lacking, BTreeSet::new());
}

#[test]
fn every_column_is_written_or_says_why_not() {
    let mut forgotten = Vec::new();
    for contract in contracts() {
        // The records of the source are others than those that are written.
        if contract.schema.is_some() {
            continue;
        }
        let descriptor = Catalogue::default().find(contract.entity).expect("a descriptor");
        let sample = descriptor.sample.expect("a sample")(1);
        let record = decoded(contract.entity.as_str(), Shape::Detail, &sample.to_string());
        let columns: Vec<&String> = record.fields.keys().chain(record.volatile.keys()).collect();
        let known = known(contract);
        let is_forgotten = |column: &&&String| {
            !known.contains(&column.as_str())
                && !column.starts_with("zoho_")
                && column.as_str() != "synced_at"
        };
        let lost = columns.iter().filter(is_forgotten);
        forgotten.extend(lost.map(|column| format!("{}.{column}", contract.entity)));
        for list in contract.lists {
            let rows = record.children.get(list.table).unwrap_or_else(|| panic!("no rows of {}", list.table));
            let is_row_column = |column: &&String| {
                let is_field = list.fields.iter().any(|field| field.column == column.as_str());
                !is_field && !list.ignored.contains(&column.as_str())
            };
            let columns = rows.iter().flat_map(Fields::keys).filter(is_row_column);
            forgotten.extend(columns.map(|column| format!("{}.{column}", list.table)));
        }
    }
    forgotten.sort();
    forgotten.dedup();
    assert_eq!(forgotten, Vec::<String>::new());
}

fn known(contract: &Contract) -> Vec<&'static str> {
    let locals = contract.fields.iter().filter_map(|field| match field.form {
        Form::Reference { local, .. } => Some(local),
        _ => None,
    });
    let fields = contract.fields.iter().map(|field| field.column);
    let others = contract.read_only.iter().map(|one| one.column).chain(contract.folded.iter().copied());
    let status = contract.status.map(|status| status.column);
    let parts = contract.parts.iter().map(|part| part.column);
    fields.chain(locals).chain(others).chain(status).chain(parts).collect()
}

#[test]
fn the_instructions_name_every_scope() {
    let instructions = include_str!("../../../docs/zoho-setup.md");
    let named: BTreeSet<&str> =
        instructions.split(['`', ',', '\n']).filter(|part| !part.ends_with(".READ")).collect();
    let scopes: BTreeSet<String> = contracts().flat_map(Contract::scopes).collect();
    let settings = tds_zoho::scopes(&Catalogue::default(), true);
    let needed = scopes.iter().map(String::as_str).chain(settings.iter().copied());
    let needed = needed.filter(|scope| !scope.ends_with(".READ"));
    let documented = named.into_iter().filter(|part| part.starts_with("Zoho") && !part.contains(' '));
    assert_eq!(documented.collect::<BTreeSet<_>>(), needed.collect());
    for scope in scopes.iter().filter(|scope| scope.ends_with(".READ")) {
        assert!(instructions.contains(scope.as_str()), "{scope}");
    }
}
