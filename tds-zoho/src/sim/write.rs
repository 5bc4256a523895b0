//! Calls that write: creates, upserts by a unique custom field, changes, status actions and deletions.
//!
//! What Zoho derives from a document is moved by `trade`, as for documents that are entered otherwise. Every write that
//! succeeds leads to the webhook that Zoho would send ([`super::SharedOrganization::take_webhooks`]).

mod action;
mod adjustment;
mod build;
mod contact;
mod custom_fields;
mod deletion;
mod document;
mod entry;
mod item;
mod kinds;
mod lines;
mod payment;
mod price_list;
mod refusal;
mod totals;

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use self::{
    entry::Entry,
    refusal::{self as refused, Refused},
};
use super::{
    answer::{Answer, does_not_exist, unknown_path},
    list::Query,
    literal::{Object, field, stamp, text},
    module::Module,
    organization::Organization,
    projection::detail,
    trade,
};
use crate::entities::Api;

/// A call that writes, after its authorization.
pub(crate) struct Call<'a> {
    pub(crate) api: Api,
    pub(crate) method: &'a str,
    pub(crate) query: &'a Query,
    /// The headers, by their names in lower case.
    pub(crate) headers: &'a HashMap<String, String>,
    pub(crate) body: &'a [u8],
}

/// Answers a call to a module. `rest` is what follows the module's own path.
pub(crate) fn answer(organization: &mut Organization, module: Module, rest: &str, call: &Call<'_>) -> Answer {
    route(organization, module, rest, call).unwrap_or_else(|refused| *refused)
}

fn route(
    organization: &mut Organization,
    module: Module,
    rest: &str,
    call: &Call<'_>,
) -> Result<Answer, Refused> {
    if !build::is_written(module) {
        return Err(refused::method());
    }
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match (call.method, parts.as_slice()) {
        ("POST", []) => save(organization, module, None, call),
        ("PUT", []) => upsert(organization, module, call),
        ("PUT", [id]) => save(organization, module, Some(id), call),
        ("PUT", [id, "address", which]) => address(organization, module, id, which, call),
        ("DELETE", [id]) => delete(organization, module, id),
        ("POST", [id, action @ ..]) if !action.is_empty() => act(organization, module, id, &action.join("/")),
        ("POST" | "PUT" | "DELETE", _) => Err(Box::new(unknown_path())),
        _ => Err(refused::method()),
    }
}

/// Creates a record, or changes one. The answer has the whole record.
fn save(
    organization: &mut Organization,
    module: Module,
    id: Option<&str>,
    call: &Call<'_>,
) -> Result<Answer, Refused> {
    let body = object(call.body)?;
    let before = match id {
        None => None,
        Some(id) => Some(organization.records.get(module, id).cloned().ok_or(does_not_exist(module))?),
    };
    let records = &mut organization.records;
    if let Some(before) = &before {
        trade::post(records, module, before, -Decimal::ONE);
    }
    let own_number = call.query.get("ignore_auto_number_generation").is_some_and(|value| value == "true");
    let entry = Entry { id, before: before.as_ref(), body: &body, own_number };
    let unique = &organization.unique_fields;
    let mut record = match build::built(&organization.records, module, unique, &entry) {
        Ok(record) => record,
        Err(refused) => {
            if let Some(before) = &before {
                trade::post(&mut organization.records, module, before, Decimal::ONE);
            }
            return Err(refused);
        }
    };
    let id = id.map_or_else(|| organization.records.new_id(), str::to_owned);
    record.insert(module.id_key.to_owned(), json!(id));
    entry::number_parts(&mut organization.records, &mut record);
    store(organization, module, &id, record);
    let event = if before.is_some() { "updated" } else { "created" };
    organization.push(module, event, &id);
    let created = call.method == "POST";
    Ok(shown(organization, module, call.api, &id, if created { 201 } else { 200 }))
}

/// Changes the record whose unique custom field has the value of the header, or creates it.
fn upsert(organization: &mut Organization, module: Module, call: &Call<'_>) -> Result<Answer, Refused> {
    let header = |name: &str| call.headers.get(name).map(String::as_str).filter(|text| !text.is_empty());
    if !build::is_upserted(module) || call.api != Api::Books {
        return Err(refused::method());
    }
    let (Some(key), Some(value)) = (header("x-unique-identifier-key"), header("x-unique-identifier-value"))
    else {
        return Err(refused::value("X-Unique-Identifier-Key"));
    };
    if !organization.unique_fields.iter().any(|known| known == key) {
        return Err(refused::value("X-Unique-Identifier-Key"));
    }
    let found = custom_fields::find(&organization.records, module, key, value);
    match found {
        Some(id) => save(organization, module, Some(&id), call),
        None if header("x-upsert") == Some("true") => save(organization, module, None, call),
        None => Err(Box::new(does_not_exist(module))),
    }
}

/// Changes the address of a document.
fn address(
    organization: &mut Organization,
    module: Module,
    id: &str,
    which: &str,
    call: &Call<'_>,
) -> Result<Answer, Refused> {
    let has_both = [Module::SALES_ORDERS, Module::INVOICES, Module::CREDIT_NOTES].contains(&module);
    let has_one = [Module::BILLS, Module::PURCHASE_ORDERS].contains(&module);
    if !(has_both && which == "shipping" || (has_both || has_one) && which == "billing") {
        return Err(Box::new(unknown_path()));
    }
    let body = object(call.body)?;
    let mut record = organization.records.get(module, id).cloned().ok_or(does_not_exist(module))?;
    let known = record.entry(format!("{which}_address")).or_insert_with(|| json!({}));
    if let Value::Object(address) = known {
        address.extend(body);
    }
    touch(organization, &mut record);
    organization.records.put(module, id, record);
    organization.push(module, "updated", id);
    Ok(done("The address has been updated."))
}

fn act(organization: &mut Organization, module: Module, id: &str, action: &str) -> Result<Answer, Refused> {
    let before = organization.records.get(module, id).cloned().ok_or(does_not_exist(module))?;
    let after = action::done(module, &before, action)?;
    trade::post(&mut organization.records, module, &before, -Decimal::ONE);
    store(organization, module, id, after);
    organization.push(module, "updated", id);
    Ok(done("The status has been changed."))
}

fn delete(organization: &mut Organization, module: Module, id: &str) -> Result<Answer, Refused> {
    let record = organization.records.get(module, id).cloned().ok_or(does_not_exist(module))?;
    deletion::allowed(&organization.records, module, id, &record)?;
    organization.records.delete(module, id);
    trade::post(&mut organization.records, module, &record, -Decimal::ONE);
    organization.push(module, "deleted", id);
    Ok(done(&format!("The {} has been deleted.", module.noun.to_lowercase())))
}

/// Enters a record with a new time of change, and moves what follows from it.
fn store(organization: &mut Organization, module: Module, id: &str, mut record: Object) {
    touch(organization, &mut record);
    trade::post(&mut organization.records, module, &record, Decimal::ONE);
    organization.records.put(module, id, record);
}

/// Sets the time of the change, and of the creation where there is none.
fn touch(organization: &Organization, record: &mut Object) {
    let now = stamp(organization.now());
    if text(record, "created_time").is_empty() {
        record.insert("created_time".to_owned(), json!(now));
    }
    if record.contains_key("updated_time") {
        record.insert("updated_time".to_owned(), json!(now));
    }
    record.insert("last_modified_time".to_owned(), json!(now));
}

fn shown(organization: &Organization, module: Module, api: Api, id: &str, status: u16) -> Answer {
    let stored = organization.records.get(module, id);
    let record = stored.map(|record| detail(module, api, record)).unwrap_or_default();
    let mut body = match module {
        // Zoho documents the answers to written payments of vendors without a key for the record.
        Module::VENDOR_PAYMENTS => record,
        _ => Object::from_iter([(module.detail_key.to_owned(), Value::Object(record))]),
    };
    body.insert("code".to_owned(), json!(0));
    body.insert("message".to_owned(), json!(format!("The {} has been saved.", module.noun.to_lowercase())));
    Answer { status, body: Value::Object(body), file: None }
}

fn done(message: &str) -> Answer {
    Answer { status: 200, body: json!({"code": 0, "message": message}), file: None }
}

/// Reads a body. Zoho takes JSON objects only.
fn object(body: &[u8]) -> Result<Object, Refused> {
    serde_json::from_slice(body).map_err(|_| refused::not_json())
}

/// Returns the text of a key of a body; an id may be written as a number.
fn given(body: &Object, key: &str) -> Option<String> {
    match field(body, key) {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
