//! Zoho's own history of webhooks: the deliveries that failed.
//!
//! The address is known, but Zoho documents no form of its answer. The reader therefore accepts every plausible name of a
//! key, and an entry that it cannot read counts as unreadable.

use serde_json::{Map, Value};
use tds_core::{
    error::Result,
    queue::Lane,
    record::{EntityType, RecordId, RecordKey},
};
use time::OffsetDateTime;
use tokio::time::{Duration, sleep};

use crate::{
    answer::{Api, Call},
    client::ZohoClient,
    entities::{Catalogue, Descriptor},
    reading,
};

const PATH: &str = "/settings/webhooks/histories";
const PER_PAGE: usize = 200;
/// The maximum number of pages of one look.
const PAGES: usize = 10;
/// The pause between two pages. The history is in no hurry.
const PACE: Duration = Duration::from_millis(600);

const STATUS: [&str; 5] = ["status", "execution_status", "delivery_status", "state", "status_formatted"];
const CODE: [&str; 5] =
    ["response_code", "response_status", "http_status", "http_status_code", "status_code"];
const MODULE: [&str; 6] = ["entity", "entity_type", "module", "entity_name", "module_name", "resource_type"];
const ID: [&str; 5] = ["entity_id", "record_id", "resource_id", "module_id", "module_record_id"];
const TIME: [&str; 6] =
    ["executed_time", "execution_time", "triggered_time", "created_time", "last_modified_time", "time"];

/// What Zoho's history of webhooks shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookHistory {
    /// Zoho showed the history.
    Known {
        /// The failed deliveries of records that are synced, each record once.
        failed: Vec<FailedDelivery>,
        /// The number of failed deliveries whose record cannot be read from the history, or is not synced.
        others: u64,
        /// The number of calls.
        calls: u64,
        /// Whether the history was read to its beginning, or to `since`.
        is_complete: bool,
    },
    /// Zoho does not show the history, for this reason. Nothing is known.
    Unavailable(String),
}

/// A delivery that failed as far as Zoho knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The record.
    pub key: RecordKey,
    /// The time of the delivery, if it can be read.
    pub at: Option<OffsetDateTime>,
}

impl ZohoClient {
    /// Reads the deliveries that failed since a time from Zoho's own history, with at most ten calls. If Zoho does not
    /// show its history, because the scope `ZohoBooks.settings.READ` is missing or the address does not exist, nothing
    /// else is affected.
    ///
    /// # Errors
    /// Those of limits and of a missing token.
    pub async fn webhook_history(
        &self,
        catalogue: &Catalogue,
        since: OffsetDateTime,
    ) -> Result<WebhookHistory> {
        let mut history = Reader { catalogue, since, failed: Vec::new(), others: 0 };
        for page in 1..=PAGES {
            let body = match self.ask_in_passing(&call(page)).await? {
                Ok(answer) => answer.body,
                Err(reason) => return Ok(WebhookHistory::Unavailable(reason)),
            };
            let Some(entries) = entries(&body) else {
                let reason = "Zoho's answer has no list of deliveries".to_owned();
                return Ok(WebhookHistory::Unavailable(reason));
            };
            let reaches_back = history.read(entries);
            if reaches_back || entries.is_empty() || !has_more(&body, entries.len()) {
                return Ok(history.end(page, true));
            }
            if page < PAGES {
                sleep(PACE).await;
            }
        }
        Ok(history.end(PAGES, false))
    }
}

fn call(page: usize) -> Call {
    Call {
        api: Api::Books,
        scope: Api::Books.settings(),
        path: PATH.to_owned(),
        query: vec![("page", page.to_string()), ("per_page", PER_PAGE.to_string())],
        lane: Lane::Verify,
        entity: None,
        write: None,
    }
}

/// Returns the list of an answer: the first array in it.
fn entries(body: &Map<String, Value>) -> Option<&Vec<Value>> {
    body.values().find_map(Value::as_array)
}

fn has_more(body: &Map<String, Value>, entries: usize) -> bool {
    let stated = body.get("page_context").and_then(|context| context.get("has_more_page"));
    stated.and_then(Value::as_bool).unwrap_or(entries >= PER_PAGE)
}

/// The failed deliveries that were read so far.
struct Reader<'a> {
    catalogue: &'a Catalogue,
    since: OffsetDateTime,
    failed: Vec<FailedDelivery>,
    others: u64,
}

impl Reader<'_> {
    /// Reads a page. Returns true if all of its entries are older than asked for: the newest come first.
    fn read(&mut self, entries: &[Value]) -> bool {
        let mut reaches_back = !entries.is_empty();
        for entry in entries.iter().filter_map(Value::as_object) {
            let at = first(entry, &TIME).and_then(reading::time);
            if at.is_some_and(|at| at < self.since) {
                continue;
            }
            reaches_back = false;
            if !is_failed(entry) {
                continue;
            }
            match self.key(entry) {
                Some(key) if self.failed.iter().any(|known| known.key == key) => {}
                Some(key) => self.failed.push(FailedDelivery { key, at }),
                None => self.others += 1,
            }
        }
        reaches_back
    }

    fn key(&self, entry: &Map<String, Value>) -> Option<RecordKey> {
        let module = first(entry, &MODULE).and_then(Value::as_str);
        let of_module = module.and_then(|module| descriptor(self.catalogue, module));
        let by_id_key =
            || self.catalogue.iter().find(|one| !one.id_key.is_empty() && entry.contains_key(one.id_key));
        let descriptor = of_module.or_else(by_id_key)?;
        let entity: EntityType = self.catalogue.reader(descriptor)?;
        let id = ID.iter().chain([&descriptor.id_key]).find_map(|key| reading::record_id(entry, key).ok())?;
        Some(RecordKey::new(entity, RecordId::new(id)))
    }

    fn end(self, calls: usize, is_complete: bool) -> WebhookHistory {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        WebhookHistory::Known { failed: self.failed, others: self.others, calls, is_complete }
    }
}

fn first<'a>(entry: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| entry.get(*key))
}

/// Returns true if the entry says that the delivery failed. An entry that says nothing is no failure.
fn is_failed(entry: &Map<String, Value>) -> bool {
    let says = |value: &Value| {
        let text = value.as_str().unwrap_or_default().to_lowercase();
        text.contains("fail") || text.contains("error")
    };
    let refuses = |value: &Value| {
        let code = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        code.is_some_and(|code| !(200..=299).contains(&code))
    };
    STATUS.iter().filter_map(|key| entry.get(*key)).any(says)
        || CODE.iter().filter_map(|key| entry.get(*key)).any(refuses)
}

/// Returns the entity type of one of Zoho's modules, such as `salesorder`, `sales_order` or `Sales Orders`.
fn descriptor(catalogue: &Catalogue, module: &str) -> Option<&'static Descriptor> {
    let plain = |name: &str| {
        let letters: String = name.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
        letters.strip_suffix('s').map(str::to_owned).unwrap_or(letters)
    };
    let wanted = plain(module);
    let is_named = |one: &&'static Descriptor| {
        one.envelopes.iter().any(|(name, _)| plain(name) == wanted) || plain(one.name()) == wanted
    };
    catalogue.iter().find(is_named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn read(entries: &Value) -> (Vec<String>, u64, bool) {
        let catalogue = Catalogue::default();
        let since = datetime!(2026-11-20 00:00 UTC);
        let mut reader = Reader { catalogue: &catalogue, since, failed: Vec::new(), others: 0 };
        let reaches_back = reader.read(entries.as_array().expect("an array"));
        let failed = reader.failed.iter().map(|one| format!("{} {}", one.key.entity, one.key.id)).collect();
        (failed, reader.others, reaches_back)
    }

    #[test]
    fn failed_deliveries_are_found_whatever_their_keys_are_called() {
        let entries = json!([
            {"entity": "invoice", "entity_id": "460000000567114", "status": "Failure", "executed_time": "2026-11-21T10:00:00+0300"},
            {"module": "Sales Orders", "record_id": 460_000_000_567_115_u64, "response_code": "500"},
            {"entity_type": "credit_note", "creditnote_id": "460000000567116", "status": "failed"},
            {"entity": "customer", "entity_id": "460000000567117", "response_code": 503},
            {"entity": "invoice", "entity_id": "460000000567114", "status": "failed"},
            {"entity": "invoice", "entity_id": "460000000567118", "status": "success", "response_code": 200},
            {"entity": "invoice", "entity_id": "460000000567119"},
            {"entity": "invoice", "entity_id": "460000000567120", "status": "failed", "created_time": "2026-11-19T10:00:00+0300"},
            {"entity": "estimate", "entity_id": "460000000567121", "status": "failed"},
            {"entity": "invoice", "status": "failed"}
        ]);
        let (failed, others, reaches_back) = read(&entries);
        assert_eq!(
            failed,
            [
                "invoices 460000000567114",
                "sales_orders 460000000567115",
                "credit_notes 460000000567116",
                "customers 460000000567117"
            ]
        );
        assert_eq!((others, reaches_back), (2, false));
    }

    #[test]
    fn a_page_of_older_entries_ends_the_look() {
        let old =
            json!([{"entity": "item", "entity_id": "7", "status": "failed", "time": "2026-11-19T10:00:00Z"}]);
        assert_eq!(read(&old), (Vec::new(), 0, true));
        assert_eq!(read(&json!([])), (Vec::new(), 0, false));
    }
}
