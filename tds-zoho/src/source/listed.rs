//! Reads whole records from the list that shows them, if no call for one record shows as much.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Result},
    queue::Lane,
    record::{Interval, Read, RecordId},
    source::{ListCall, RowOrder},
};

use super::{ZohoSource, fetch::check_id, page};
use crate::{
    answer::{Api, Call},
    entities::{Beside, PER_PAGE},
    mend,
};

/// The maximum number of pages of a list that is read for single records. A longer list does not end.
const MOST_PAGES: u32 = 100;

/// The rows of a whole list by id, and the time in which the list was read.
struct Rows {
    by_id: HashMap<String, Map<String, Value>>,
    observed: Interval,
}

impl ZohoSource {
    /// Reads the whole list once, and then what each record has beside its row.
    pub(super) async fn fetch_listed(
        &self,
        single: Api,
        beside: Option<&Beside>,
        ids: &[RecordId],
        lane: Lane,
    ) -> Vec<Result<Read>> {
        match self.rows(lane).await {
            Ok(rows) => join_all(ids.iter().map(|id| self.fetch_row(&rows, single, beside, id, lane))).await,
            Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn rows(&self, lane: Lane) -> Result<Rows> {
        let list = &self.descriptor.list;
        let mut by_id = HashMap::new();
        let mut observed: Option<Interval> = None;
        for page in 1..=MOST_PAGES {
            let query = self.query(&ListCall { page, changed_since: None, order: RowOrder::Own })?;
            let answer = self.client.get(self.call(list.path.to_owned(), query, lane)).await?;
            observed = Some(joined(observed, answer.interval));
            let page = page::open(answer.body, list, page)?;
            for row in page.rows {
                if let Value::Object(row) = row
                    && let Some(id) = mend::id_of(&row, self.descriptor.id_key)
                {
                    by_id.insert(id, row);
                }
            }
            if let (false, Some(observed)) = (page.has_more, observed) {
                return Ok(Rows { by_id, observed });
            }
        }
        Err(page::protocol(format!("the list {} does not end", list.path)))
    }

    async fn fetch_row(
        &self,
        rows: &Rows,
        single: Api,
        beside: Option<&Beside>,
        id: &RecordId,
        lane: Lane,
    ) -> Result<Read> {
        check_id(id)?;
        let Some(row) = rows.by_id.get(id.as_str()) else {
            return self.fetch_missing(rows, single, id, lane).await;
        };
        let (mut record, mut observed) = (row.clone(), rows.observed);
        if let Some(beside) = beside.filter(|beside| (beside.wanted)(row))
            && let Some((more, seen)) = self.more(beside, id, lane).await?
        {
            observed = joined(Some(observed), seen);
            record.extend(more);
        }
        self.present(id, &record, observed)
    }

    /// Reads a record that the list lacks. Only the answer that Zoho does not know the record shows that it is gone.
    async fn fetch_missing(&self, rows: &Rows, single: Api, id: &RecordId, lane: Lane) -> Result<Read> {
        let path = format!("{}/{id}", self.descriptor.list.path);
        match self.client.get(self.call_of(single, path, Vec::new(), lane)).await {
            Ok(_) => Err(page::protocol(format!(
                "the list {} left out {id}, which exists",
                self.descriptor.list.path
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.absent(id, rows.observed)),
            // Without the product that has the call, a list that shows other records has to suffice.
            Err(error) if self.lacks(single, &error) && !rows.by_id.is_empty() => {
                Ok(self.absent(id, rows.observed))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns what a record has beside its row; `None` in an organization without the product that shows it.
    async fn more(
        &self,
        beside: &Beside,
        id: &RecordId,
        lane: Lane,
    ) -> Result<Option<(Map<String, Value>, Interval)>> {
        let path = format!("{}/{id}{}", self.descriptor.list.path, beside.path);
        let mut all: Vec<Value> = Vec::new();
        let mut observed: Option<Interval> = None;
        for number in 1..=MOST_PAGES {
            let query = if beside.path.is_empty() {
                Vec::new()
            } else {
                vec![("page", number.to_string()), ("per_page", PER_PAGE.to_string())]
            };
            let mut answer = match self.client.get(self.call_of(beside.api, path.clone(), query, lane)).await
            {
                Ok(answer) => answer,
                Err(error) if self.lacks(beside.api, &error) => return Ok(None),
                // The record is gone since the list was read. The next reading of the list shows it.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(page::protocol(format!("{path} does not exist, but the list shows {id}")));
                }
                Err(error) => return Err(error),
            };
            let seen = joined(observed, answer.interval);
            observed = Some(seen);
            if let Some(key) =
                beside.keys.iter().find(|key| answer.body.get(**key).is_some_and(Value::is_object))
                && let Some(Value::Object(record)) = answer.body.remove(*key)
            {
                return Ok(Some((record, seen)));
            }
            let page = page::take(answer.body, &path, beside.keys, false, number)?;
            all.extend(page.rows);
            if !page.has_more {
                let key = beside.keys.first().copied().unwrap_or_default();
                return Ok(Some((Map::from_iter([(key.to_owned(), Value::Array(all))]), seen)));
            }
        }
        Err(page::protocol(format!("the list {path} does not end")))
    }

    fn lacks(&self, api: Api, error: &Error) -> bool {
        api == Api::Inventory
            && error.kind() == ErrorKind::Unauthorized
            && self.client.missing_inventory().is_some()
    }

    /// Returns a call to one of the two products.
    fn call_of(&self, api: Api, path: String, query: Vec<(&'static str, String)>, lane: Lane) -> Call {
        let call = self.call(path, query, lane);
        if call.api == api { call } else { Call { api, scope: api.settings(), ..call } }
    }
}

/// Returns the interval of several calls together.
fn joined(earlier: Option<Interval>, later: Interval) -> Interval {
    earlier.map_or(later, |earlier| Interval {
        began: earlier.began.min(later.began),
        ended: earlier.ended.max(later.ended),
    })
}
