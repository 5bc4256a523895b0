//! Reads whole records with one call each.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Result},
    queue::Lane,
    record::{Content, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape},
};

use super::{ZohoSource, page};
use crate::{mend, reading};

impl ZohoSource {
    /// Reads each record by `GET {path}/{id}`. The client decides how many calls are in flight.
    pub(super) async fn fetch_each(
        &self,
        path: &str,
        keys: &[&str],
        ids: &[RecordId],
        lane: Lane,
    ) -> Vec<Result<Read>> {
        join_all(ids.iter().map(|id| self.fetch_one(path, keys, id, lane))).await
    }

    /// Reads one record. The answer that Zoho does not know the record is a valid result.
    pub(super) async fn fetch_one(
        &self,
        path: &str,
        keys: &[&str],
        id: &RecordId,
        lane: Lane,
    ) -> Result<Read> {
        check_id(id)?;
        let call = self.call(format!("{path}/{id}"), Vec::new(), lane);
        let began = self.client.clock().now();
        let mut answer = match self.client.get(call).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The call began no earlier than this. An interval that is too wide only causes another read, and
                // never a wrong decision.
                let observed = Interval { began, ended: self.client.clock().now() };
                return Ok(self.absent(id, observed));
            }
            Err(error) => return Err(error),
        };
        match keys.iter().find_map(|key| answer.body.remove(*key)) {
            Some(Value::Object(record)) => self.present(id, &record, answer.interval),
            // Zoho documents some records without a key around them.
            None if answer.body.contains_key(self.descriptor.id_key) => {
                answer.body.retain(|key, _| key != "code" && key != "message");
                self.present(id, &answer.body, answer.interval)
            }
            _ => Err(page::protocol(format!("{path}/{id} came without {}", keys.join(" or ")))),
        }
    }

    /// Returns the read of a record that was found. A record with another id than requested is an error, whatever Zoho
    /// means by it.
    pub(crate) fn present(
        &self,
        id: &RecordId,
        record: &Map<String, Value>,
        observed: Interval,
    ) -> Result<Read> {
        mend::check(record, format_args!("{} {id}", self.entity()))?;
        let found = reading::record_id(record, self.descriptor.id_key)?;
        if found != id.as_str() {
            return Err(page::protocol(format!("{} {id} was requested, but {found} came", self.entity())));
        }
        self.look_for_unknown_fields(record);
        let hidden = self.hiding.hidden(self.descriptor, record);
        let cut = hidden.as_ref().map(|hidden| self.descriptor.cut(record, hidden)).unwrap_or_default();
        let record = hidden.as_ref().unwrap_or(record);
        let raw = Payload::of(record)?;
        let record = self.descriptor.decode_object(record, Shape::Detail, raw)?;
        Ok(self.read(id, observed, Content::Present(Box::new(Record { cut, ..record }))))
    }

    /// Returns the read of a record that does not exist, according to Zoho.
    pub(super) fn absent(&self, id: &RecordId, observed: Interval) -> Read {
        self.read(id, observed, Content::Absent)
    }

    fn read(&self, id: &RecordId, observed: Interval, content: Content) -> Read {
        let key = RecordKey::new(self.entity().clone(), id.clone());
        Read {
            key,
            shape: Shape::Detail,
            observed: Observed::Call(observed),
            content,
            listed: None,
            follow: None,
            cause: None,
        }
    }
}

/// Refuses an id that would change the address that contains it: such an id cannot come from Zoho.
pub(super) fn check_id(id: &RecordId) -> Result<()> {
    let shown = Value::String(id.as_str().chars().take(80).collect());
    let refused = |_| Error::invalid(format!("{shown} cannot be an id of Zoho"));
    reading::as_record_id(&Value::String(id.as_str().to_owned()), "id").map(drop).map_err(refused)
}
