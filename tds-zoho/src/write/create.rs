//! The calls that create a record.

use serde_json::{Map, Value};
use tds_core::outbound::{LocalRecord, WriteError};

use super::{
    body,
    call::{Purpose, WriteCall},
    chosen::Stage,
    contract::{Contract, Idempotence, Number, Part, Stamp, When},
    findings::Findings,
    status,
    value::{custom_field, only},
};
use crate::answer::Method;

impl Contract {
    /// Returns the calls that create a record: the search where Zoho has no upsert, the create, and what can only be
    /// done afterwards. `unique_field` is the API name of the unique custom field that contains our key.
    ///
    /// If an answer was lost, [`Contract::lookup`] comes before the calls are made again: an upsert would bring a record that
    /// exists back to the state that is sent.
    ///
    /// # Errors
    /// `WaitsFor`: the record refers to records that do not exist in Zoho yet. `Refused`: the record lacks what Zoho
    /// requires, or has a value that Zoho does not take.
    pub fn create(&self, record: &LocalRecord, unique_field: &str) -> Result<Vec<WriteCall>, WriteError> {
        let mut found = Findings::default();
        let mut body = body::of(self, record, Stage::Create, unique_field, &mut found);
        let wanted = self.status.and_then(|status| record.value(status.column)).and_then(Value::as_str);
        let stated =
            self.status.and_then(|status| status.stated).filter(|(status, _)| Some(*status) == wanted);
        if let Some((_, key)) = stated {
            body.insert(key.to_owned(), Value::Bool(true));
        }
        let search = self.search(record, &mut found);
        let action = status::of_new(self, wanted, &mut found);
        let late = self.fields.iter().filter(|field| field.when == When::AfterCreation);
        let complete = late.map(|field| field.column).any(|column| record.value(column).is_some());
        let rest = complete.then(|| body::of(self, record, Stage::Complete, unique_field, &mut found));
        let parts = self.parts.iter().filter_map(|part| part_of(part, record)).collect::<Vec<_>>();
        found.end(self.noun)?;

        let mut calls = Vec::from_iter(search);
        calls.push(self.creating(record, unique_field, &body)?);
        if let Some(rest) = rest {
            calls.push(WriteCall::on(self, None, Method::Put, None, Purpose::Update).with_body(&rest)?);
        }
        for (part, fields) in parts {
            calls.push(self.on_part(None, part).with_body(&fields)?);
        }
        calls.extend(action);
        Ok(calls)
    }

    fn creating(
        &self,
        record: &LocalRecord,
        unique_field: &str,
        body: &Map<String, Value>,
    ) -> Result<WriteCall, WriteError> {
        let upsert = matches!(self.idempotence, Idempotence::UniqueField);
        let method = if upsert { Method::Put } else { Method::Post };
        let mut call = WriteCall::new(self, method, self.path.to_owned(), Purpose::Create).with_body(body)?;
        if upsert {
            call.headers = by_key(record, unique_field);
            call.headers.push(("X-Upsert", "true".to_owned()));
        }
        if self.number.is_some_and(|number| record.value(number.column).is_some()) {
            call.query.push(Number::own());
        }
        Ok(call)
    }

    /// Returns the search that goes before a create without an upsert.
    fn search(&self, record: &LocalRecord, found: &mut Findings) -> Option<WriteCall> {
        let Idempotence::Search { parameter, row_key, list_keys, stamp } = self.idempotence else {
            return None;
        };
        let value = match stamp {
            Stamp::Key => record.key.clone(),
            Stamp::Column(column) => match record.value(column).and_then(Value::as_str) {
                Some(text) => text.to_owned(),
                None => {
                    found.problem(format!("{column} is missing: the record is found by it"));
                    return None;
                }
            },
        };
        let query = parameter.map(|parameter| (parameter, value.clone()));
        let purpose = Purpose::Search { by_key: stamp == Stamp::Key, list_keys, row_key, value };
        let mut call = WriteCall::new(self, Method::Get, self.path.to_owned(), purpose);
        call.query = Vec::from_iter(query);
        call.query.push(("per_page", "200".to_owned()));
        Some(call)
    }

    /// Returns the call that looks for the record of our key, and creates nothing: the search where Zoho has no upsert,
    /// and otherwise an update by the unique custom field that changes nothing but possibly other custom fields. Zoho
    /// documents no list that finds records of every module by a custom field.
    ///
    /// # Errors
    /// `Refused`: the record lacks the column by which it is found.
    pub fn lookup(&self, record: &LocalRecord, unique_field: &str) -> Result<WriteCall, WriteError> {
        let mut found = Findings::default();
        let search = self.search(record, &mut found);
        found.end(self.noun)?;
        if let Some(search) = search {
            return Ok(search);
        }
        // The body refers to no other record: an answer that something does not exist is about this one.
        let mut body = body::start(self);
        let key = custom_field(unique_field, Value::from(record.key.as_str()));
        body.insert("custom_fields".to_owned(), Value::Array(vec![key]));
        let mut call =
            WriteCall::new(self, Method::Put, self.path.to_owned(), Purpose::Lookup).with_body(&body)?;
        call.headers = by_key(record, unique_field);
        Ok(call)
    }

    /// Starts the call of a part of a record.
    pub(super) fn on_part(&self, id: Option<&str>, part: &Part) -> WriteCall {
        WriteCall::on(self, id, Method::Put, Some(part.call), Purpose::Action(part.call))
    }
}

/// Returns the headers by which Zoho finds the record of our key.
fn by_key(record: &LocalRecord, unique_field: &str) -> Vec<(&'static str, String)> {
    vec![
        ("X-Unique-Identifier-Key", unique_field.to_owned()),
        ("X-Unique-Identifier-Value", record.key.clone()),
    ]
}

/// Returns the body of a part that has any value.
pub(super) fn part_of<'p>(part: &'p Part, record: &LocalRecord) -> Option<(&'p Part, Map<String, Value>)> {
    let fields = only(record.value(part.column)?.as_object()?, part.keys);
    let is_filled = |value: &Value| value.as_str() != Some("");
    fields.values().any(is_filled).then_some((part, fields))
}
