//! Reads many whole items with one call.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Result},
    queue::Lane,
    record::{Content, Interval, Read, RecordId},
};

use super::{ZohoSource, fetch::check_id, page};
use crate::{answer::Call, limits::jitter::chance, mend};

/// The maximum number of ids in one call. Zoho states no limit; clients use 25 to 200.
const MOST: usize = 100;

/// After this many failed calls in a row, the cause is not one of the items. Halving 100 ids down to one takes seven
/// calls.
const PATIENCE: u32 = 9;

/// After an answer has omitted this many items that exist, TDS does not read further omitted items by single calls:
/// these calls would spend the budget of the day.
const TRUST: u32 = 5;

/// What is known about the requested items.
type Answers = HashMap<RecordId, Result<Read>>;

impl ZohoSource {
    /// Reads items by `/itemdetails`. When a call fails, its ids are halved, so that one bad item affects only itself.
    pub(super) async fn fetch_items(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        let mut answers = Answers::new();
        // The number of failed calls since the last call that worked.
        let mut failures = 0;
        let mut open: Vec<RecordId> = Vec::with_capacity(ids.len());
        for id in ids {
            match check_id(id) {
                Ok(()) if !open.contains(id) => open.push(id.clone()),
                Ok(()) => {}
                Err(error) => drop(answers.insert(id.clone(), Err(error))),
            }
        }
        // The loop uses a stack instead of recursion: it next tries the first half of a failed part.
        let mut parts: Vec<&[RecordId]> = if self.is_shut(lane) && open.len() > 1 {
            // One item, chosen at random, finds out whether items can be read again. If it were always the same item,
            // an item that Zoho cannot answer would delay the others.
            let chosen = usize::try_from(chance()).unwrap_or(0) % open.len();
            open.swap(0, chosen);
            let (probe, rest) = open.split_at(1);
            rest.chunks(MOST).rev().chain([probe]).collect()
        } else {
            open.chunks(MOST).rev().collect()
        };
        while let Some(part) = parts.pop() {
            match self.item_details(part, lane).await {
                Ok((records, observed)) => {
                    failures = 0;
                    self.take(part, records, observed, lane, &mut answers).await;
                }
                Err(error) => {
                    failures += 1;
                    let hopeless =
                        failures >= PATIENCE || !may_be_an_items_fault(error.kind()) || self.is_shut(lane);
                    if hopeless {
                        let failed = parts.drain(..).chain([part]).flatten();
                        answers.extend(failed.map(|id| (id.clone(), Err(error.clone()))));
                    } else if let [id] = part {
                        // The item is read by itself, so that its own call shows what is wrong with it.
                        let read = self.fetch_one("/items", &["item"], id, lane).await;
                        answers.insert(id.clone(), read);
                    } else {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                }
            }
        }
        let lost = |id: &RecordId| Error::internal(format!("item {id} was not requested"));
        // An id that was requested twice is answered twice.
        ids.iter().map(|id| answers.get(id).cloned().unwrap_or_else(|| Err(lost(id)))).collect()
    }

    async fn item_details(&self, ids: &[RecordId], lane: Lane) -> Result<(Vec<Value>, Interval)> {
        let mut answer = self.client.get(self.details_call(ids, lane)).await?;
        match answer.body.remove("items") {
            Some(Value::Array(items)) => Ok((items, answer.interval)),
            _ => Err(page::protocol("/itemdetails came without items")),
        }
    }

    fn details_call(&self, ids: &[RecordId], lane: Lane) -> Call {
        let ids: Vec<&str> = ids.iter().map(RecordId::as_str).collect();
        self.call("/itemdetails".to_owned(), vec![("item_ids", ids.join(","))], lane)
    }

    /// Returns true if a breaker stops reads of items, except for occasional probes.
    fn is_shut(&self, lane: Lane) -> bool {
        self.client.is_shut(&self.details_call(&[], lane))
    }

    /// Sorts the items of an answer, which come in any order. A missing item is read by itself before it counts as
    /// gone.
    async fn take(
        &self,
        asked: &[RecordId],
        records: Vec<Value>,
        observed: Interval,
        lane: Lane,
        answers: &mut Answers,
    ) {
        let mut by_id: HashMap<String, Map<String, Value>> = HashMap::with_capacity(records.len());
        for record in records {
            if let Value::Object(record) = record
                && let Some(id) = mend::id_of(&record, self.descriptor.id_key)
            {
                by_id.insert(id, record);
            }
        }
        let mut left_out = 0;
        for id in asked {
            let read = match by_id.get(id.as_str()) {
                Some(record) => self.present(id, record, observed),
                None if left_out >= TRUST => Err(page::protocol("/itemdetails left out items that exist")),
                None => {
                    let read = self.fetch_one("/items", &["item"], id, lane).await;
                    left_out += u32::from(matches!(&read, Ok(read) if read.content != Content::Absent));
                    read
                }
            };
            answers.insert(id.clone(), read);
        }
    }
}

/// Returns true for failures that one item, or the number of items, may cause. Limits, quotas and credentials affect
/// every half in the same way.
fn may_be_an_items_fault(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Protocol | ErrorKind::Unavailable)
}
