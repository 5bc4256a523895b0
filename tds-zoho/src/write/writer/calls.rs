//! The calls of a writer, and what their answers show.

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind},
    outbound::{WriteError, Written},
    queue::Lane,
    record::{Content, Read, RecordId},
    source::Source,
};

use super::{
    ZohoWriter,
    refusal::{explained, is_about_the_record},
};
use crate::{
    answer::{Answer, Call, Write},
    client::Unwritten,
    reading,
    source::page::{self, protocol},
    write::{Purpose, WriteCall},
};

/// The number of pages after which a search gives up.
const MOST_PAGES: u32 = 5_000;

impl ZohoWriter {
    fn request(&self, call: WriteCall) -> Call {
        let write =
            call.writes().then_some(Write { method: call.method, headers: call.headers, body: call.body });
        let (api, scope, path, query) = (call.api, call.scope, call.path, call.query);
        let entity = Some(self.contract.entity.clone());
        Call { api, scope, path, query, lane: Lane::Outbound, entity, write }
    }

    /// Makes a call that writes.
    pub(super) async fn send(&self, call: WriteCall) -> Result<Answer, WriteError> {
        let (creates, noun) = (matches!(call.purpose, Purpose::Create), self.contract.noun);
        match self.source.client().write(self.request(call)).await {
            Ok(answer) => Ok(answer),
            Err(Unwritten::InDoubt(error)) => Err(WriteError::InDoubt(error.context(noun))),
            Err(Unwritten::Refused(error)) => {
                Err(WriteError::Refused(explained(error, creates, noun, &self.unique_field)))
            }
        }
    }

    /// Makes a call whose answer has to show the id of a record. Returns the record, and its status if it shows one.
    pub(super) async fn created(&self, call: WriteCall) -> Result<(Written, Option<String>), WriteError> {
        let shown = call.clone();
        let answer = self.send(call).await?;
        let doubtful =
            |error: Error| WriteError::InDoubt(protocol(error.to_string()).context(self.contract.noun));
        let record = shown.answer.record(&answer.body).map_err(doubtful)?;
        let id = RecordId::new(reading::record_id(record, shown.answer.id_key).map_err(doubtful)?);
        if self.has_another_key(&shown, record) {
            let text =
                format!("the answer shows the record {id}, which has another key than the one that was sent");
            return Err(doubtful(protocol(text)));
        }
        let status = record.get("status").and_then(Value::as_str).map(str::to_owned);
        Ok((Written { read: self.whole(&shown, &id, record, &answer), id }, status))
    }

    /// Makes a call that changes a record. Returns the record as the answer shows it, if it shows the whole record.
    pub(super) async fn change(&self, call: WriteCall, id: &RecordId) -> Result<Option<Read>, WriteError> {
        let shown = call.clone();
        let answer = self.send(call).await?;
        // Answers to actions have no record.
        let Ok(record) = shown.answer.record(&answer.body) else { return Ok(None) };
        let found = reading::record_id(record, shown.answer.id_key);
        if let Ok(found) = found
            && found != id.as_str()
        {
            let text = format!("{} {id} was changed, but the answer shows {found}", self.contract.noun);
            return Err(WriteError::InDoubt(protocol(text)));
        }
        Ok(self.whole(&shown, id, record, &answer))
    }

    /// Makes a call that deletes a record. The inner error says that Zoho refuses it for a reason that the record causes.
    pub(super) async fn end(&self, call: WriteCall) -> Result<Result<(), Error>, WriteError> {
        match self.send(call).await {
            Ok(_) => Ok(Ok(())),
            Err(WriteError::Refused(error)) if error.kind() == ErrorKind::NotFound => Ok(Ok(())),
            Err(WriteError::Refused(error)) if is_about_the_record(&error) => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// Returns the row of the record that a search is for, from whichever page shows it. An answer that is not a whole
    /// page says nothing about the record.
    pub(super) async fn search(&self, call: &WriteCall) -> Result<Option<Map<String, Value>>, WriteError> {
        let Purpose::Search { list_keys, row_key, value, .. } = &call.purpose else { return Ok(None) };
        let is_ours = |row: &Map<String, Value>| {
            row.get(*row_key).and_then(Value::as_str).is_some_and(|text| text.trim() == value.trim())
        };
        let refused = |error: Error| WriteError::Refused(error.context(self.contract.noun));
        for number in 1..=MOST_PAGES {
            let request = self.request(call.clone().with_page(number));
            let answer = self.source.client().get(request).await.map_err(refused)?;
            let page = page::take(answer.body, &call.path, list_keys, true, number).map_err(refused)?;
            if page.has_more && page.rows.is_empty() {
                return Err(refused(protocol(format!(
                    "page {number} of {} is empty, but not the last",
                    call.path
                ))));
            }
            let mut rows = page.rows.into_iter().filter_map(|row| match row {
                Value::Object(row) => Some(row),
                _ => None,
            });
            if let Some(row) = rows.find(is_ours) {
                return Ok(Some(row));
            }
            if !page.has_more {
                return Ok(None);
            }
        }
        Err(refused(protocol(format!("{} has no last page", call.path))))
    }

    /// Returns the id of a row that a search found.
    pub(super) fn row_id(&self, row: &Map<String, Value>) -> Result<RecordId, WriteError> {
        let id = reading::record_id(row, self.contract.answer.id_key);
        id.map(RecordId::new).map_err(|error| WriteError::InDoubt(protocol(error.to_string())))
    }

    /// Returns true if Zoho does not have the record any more.
    pub(super) async fn is_gone(&self, id: &RecordId) -> bool {
        let reads = self.source.fetch(std::slice::from_ref(id), Lane::Outbound).await;
        matches!(reads.as_slice(), [Ok(read)] if read.content == Content::Absent)
    }

    /// Returns true if the record shows our custom field with another key.
    fn has_another_key(&self, call: &WriteCall, record: &Map<String, Value>) -> bool {
        let value =
            |name: &str| call.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value);
        let Some(key) = value("X-Unique-Identifier-Value") else { return false };
        let fields = record.get("custom_fields").and_then(Value::as_array).into_iter().flatten();
        let is_ours =
            |field: &&Value| field.get("api_name").and_then(Value::as_str) == Some(&*self.unique_field);
        let shown = fields.filter(is_ours).find_map(|field| field.get("value")?.as_str());
        shown.is_some_and(|shown| !shown.is_empty() && shown != key)
    }

    /// Returns the record of an answer as a read of it, if the answer shows all that a read of the record would show.
    fn whole(
        &self,
        call: &WriteCall,
        id: &RecordId,
        record: &Map<String, Value>,
        answer: &Answer,
    ) -> Option<Read> {
        let descriptor = self.source.descriptor();
        let is_the_same_record = self.contract.schema.is_none() && call.api == descriptor.api;
        if !is_the_same_record || !descriptor.is_complete(record) {
            return None;
        }
        // A record without a key around it shares its object with these two.
        let mut record = record.clone();
        record.retain(|key, _| key != "code" && key != "message");
        self.source.present(id, &record, answer.interval).ok()
    }
}
