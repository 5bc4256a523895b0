//! Reads one page of a list: makes the call that the engine's paging requests, and returns its rows.

use serde_json::Value;
use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    queue::Lane,
    record::{
        ContentHash, DateRange, Interval, Observed, Payload, RecordId, Shape, SourcePayload, list_hash,
    },
    source::{ListCall, ListPage, ListRequest, ListWalk, Listed, RowOrder},
};
use time::{Duration, OffsetDateTime, UtcOffset, macros::format_description};

use super::{ZohoSource, page};
use crate::{entities::PER_PAGE, mend};

/// The column by which changes are sorted.
const CHANGED: &str = "last_modified_time";

/// The answer to one call of a list.
pub(super) struct Answered {
    pub(super) rows: Vec<Listed>,
    pub(super) has_more: bool,
    /// Zoho itself states that it sorted by another column than the call requested.
    pub(super) says_unsorted: bool,
    pub(super) interval: Interval,
    pub(super) server_time: Option<OffsetDateTime>,
}

impl ZohoSource {
    pub(super) async fn list_page(&self, request: &ListRequest) -> Result<ListPage> {
        let walk = ListWalk::new(request)?;
        let answered = self.ask(&walk.call(), request.dates, request.lane).await?;
        let Answered { rows, has_more, says_unsorted, interval, server_time } = answered;
        let advance = walk.after(&rows, has_more, says_unsorted)?;
        Ok(ListPage { rows, next: advance.next, observed: interval, server_time, learned: advance.learned })
    }

    /// Makes one call of the list.
    pub(super) async fn ask(
        &self,
        list_call: &ListCall,
        dates: Option<DateRange>,
        lane: Lane,
    ) -> Result<Answered> {
        let list = &self.descriptor.list;
        let mut query = self.query(list_call)?;
        query.extend(self.date_query(dates)?);
        let call = self.call(list.path.to_owned(), query, lane);
        let answer = self.client.get(call).await.map_err(|error| self.ended(error))?;
        let page = page::open(answer.body, list, list_call.page)?;
        if let Some(day) = dates.and_then(|dates| outside(&page.rows, dates)) {
            return Err(ignored_dates(list.path, day));
        }
        let sorts = list_call.order != RowOrder::Own;
        Ok(Answered {
            rows: page.rows.iter().map(|row| self.listed(row, answer.interval)).collect(),
            has_more: page.has_more,
            says_unsorted: sorts && page.sorted_by.is_some_and(|column| column != CHANGED),
            interval: answer.interval,
            server_time: answer.server_time,
        })
    }

    /// Ends the run of a list that the organization does not have, because it does not have Inventory. A run that waited
    /// for Inventory would keep others from starting. Work on single records waits.
    fn ended(&self, error: Error) -> Error {
        match self.client.missing_inventory() {
            Some((line, _))
                if self.descriptor.needs_inventory() && error.kind() == ErrorKind::Unauthorized =>
            {
                Error::new(ErrorKind::Unauthorized, Retry::Permanent, line)
            }
            _ => error,
        }
    }

    pub(super) fn query(&self, call: &ListCall) -> Result<Vec<(&'static str, String)>> {
        let list = &self.descriptor.list;
        let mut query: Vec<(&'static str, String)> =
            list.query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        query.push(("page", call.page.to_string()));
        query.push(("per_page", PER_PAGE.to_string()));
        let sort = match call.order {
            RowOrder::OldestChange => Some((CHANGED, "A")),
            RowOrder::NewestChange => Some((CHANGED, "D")),
            // In the order of creation, edits do not move rows, so no row slips through between two pages. The newest
            // rows come first, so that a first load that takes days brings the most needed records on its first day.
            RowOrder::Own => list.by_creation.then_some(("created_time", "D")),
        };
        if let Some((column, order)) = sort {
            query.push(("sort_column", column.to_owned()));
            query.push(("sort_order", order.to_owned()));
        }
        if let Some(since) = call.changed_since {
            query.push((CHANGED, filter_time(since)?));
        }
        Ok(query)
    }

    /// Returns the parameters that select records by their dates.
    pub(super) fn date_query(&self, dates: Option<DateRange>) -> Result<Vec<(&'static str, String)>> {
        let Some(dates) = dates else { return Ok(Vec::new()) };
        let Some(filter) = self.descriptor.list.dates else {
            return Err(Error::invalid(format!("the list of {} has no filter by date", self.entity())));
        };
        // Zoho's dates are written as `Date` writes itself: YYYY-MM-DD.
        let ends = [(filter.from, dates.from()), (filter.to, dates.to())];
        Ok(ends.into_iter().filter_map(|(name, day)| Some((name, day?.to_string()))).collect())
    }

    /// Returns the row as the engine expects it. A row that cannot be read keeps the id that its text shows. If the
    /// text shows no id, the row gets an id made of its content. Decoding the row then gives the reason.
    fn listed(&self, row: &Value, observed: Interval) -> Listed {
        let hidden = row.as_object().and_then(|record| self.hiding.hidden(self.descriptor, record));
        let hidden = hidden.map(Value::Object);
        let row = hidden.as_ref().unwrap_or(row);
        let text = row.to_string();
        let bytes = ContentHash::of_bytes(text.as_bytes());
        let payload = Payload::new(text);
        let record = row.as_object();
        let decode = |record| self.descriptor.decode_object(record, Shape::List, payload.clone()).ok();
        let decoded = record.and_then(decode);
        let shown = record.and_then(|record| mend::id_of(record, self.descriptor.id_key));
        let id =
            shown.unwrap_or_else(|| format!("unreadable:{}", bytes.as_str().get(..12).unwrap_or_default()));
        let ids_only = decoded.is_some() && record.is_some_and(self.descriptor.list.ids_only);
        let payload = SourcePayload { shape: Shape::List, observed: Observed::Call(observed), json: payload };
        Listed {
            id: RecordId::new(id),
            version: decoded.as_ref().and_then(|record| record.version),
            hash: decoded.as_ref().filter(|_| !ids_only).map_or(bytes, list_hash),
            payload: (!ids_only).then_some(payload),
        }
    }
}

/// Returns the date of a row that the selection excludes.
fn outside(rows: &[Value], dates: DateRange) -> Option<&str> {
    let days = rows.iter().filter_map(|row| row.get("date")?.as_str());
    days.into_iter().find(|day| dates.excludes(day))
}

/// Returns the error for a list that shows records of other dates than requested. The list would be read to its end.
fn ignored_dates(path: &str, day: &str) -> Error {
    let message = format!(
        "the list {path} ignores its filter by date: it shows a record of {day}. Read the changes since a time, all \
         records, or single records by their ids"
    );
    Error::new(ErrorKind::Protocol, Retry::Permanent, message)
}

/// Formats a time for the filter. Zoho documents "modified after" and was seen to include the given second; one second
/// earlier includes the second in both cases.
fn filter_time(since: OffsetDateTime) -> Result<String> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
    since
        .checked_sub(Duration::SECOND)
        .and_then(|since| since.checked_to_offset(UtcOffset::UTC))
        .and_then(|since| since.format(format).ok())
        .ok_or_else(|| Error::invalid(format!("{since} is not a time from which changes can be listed")))
}
