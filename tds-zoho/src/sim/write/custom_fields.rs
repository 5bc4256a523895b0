//! Custom fields, and those of them that no two records share.

use serde_json::{Value, json};

use super::{
    entry::{Entry, unique},
    refusal::{self as refused, Refused},
};
use crate::sim::{
    literal::{Object, text},
    module::Module,
    records::Records,
};

/// Returns the id of the record whose custom field has the value.
pub(super) fn find(records: &Records, module: Module, api_name: &str, value: &str) -> Option<String> {
    let has = |record: &&Object| value_of(record, api_name).is_some_and(|found| found == value);
    let record = records.records(module).find(has)?;
    Some(text(record, module.id_key).to_owned())
}

/// Merges the custom fields of a body into the record's. A field that the body omits keeps its value.
pub(super) fn merge(
    records: &Records,
    module: Module,
    unique_fields: &[String],
    entry: &Entry<'_>,
    record: &mut Object,
) -> Result<(), Refused> {
    let Some(Value::Array(given)) = entry.body.get("custom_fields") else { return Ok(()) };
    let mut fields = record.get("custom_fields").and_then(Value::as_array).cloned().unwrap_or_default();
    for field in given {
        let name = field["api_name"].as_str().ok_or_else(|| refused::value("custom_fields"))?;
        let value = &field["value"];
        let is_same = |other: &Object| value_of(other, name) == Some(value) && *value != json!("");
        let is_unique = unique_fields.iter().any(|unique| unique == name);
        if is_unique && unique(records, module, entry, is_same).is_err() {
            return Err(refused::exists(name, value.as_str().unwrap_or_default()));
        }
        match fields.iter_mut().find(|known| known["api_name"] == name) {
            Some(known) => known["value"] = value.clone(),
            None => fields.push(new(name, value, fields.len())),
        }
    }
    record.insert("custom_fields".to_owned(), Value::Array(fields));
    Ok(())
}

fn value_of<'a>(record: &'a Object, api_name: &str) -> Option<&'a Value> {
    let fields = record.get("custom_fields")?.as_array()?;
    fields.iter().find(|field| field["api_name"] == api_name)?.get("value")
}

fn new(api_name: &str, value: &Value, index: usize) -> Value {
    let id = format!("4600000000000092{index:03}");
    json!({
        "field_id": id, "customfield_id": id, "api_name": api_name, "label": api_name,
        "data_type": "string", "index": index + 1, "value": value, "is_active": true,
    })
}
