//! One page of a list, and when the last one is reached.

use serde_json::Value;
use tds_core::{
    ContentHash, Interval, ListPage, ListRequest, Listed, Observed, Payload, RecordId, Result, Shape,
    SourcePayload, list_hash,
};
use time::{Duration, OffsetDateTime, UtcOffset, macros::format_description};

use super::{
    ZohoSource,
    cursor::Cursor,
    page::{self, Page},
};
use crate::{answer::Call, entities::Changes, reading};

/// The most that Zoho states for every list. Its own default is 10 in places.
const PER_PAGE: &str = "200";

impl ZohoSource {
    pub(super) async fn list_page(&self, request: &ListRequest) -> Result<ListPage> {
        let cursor = Cursor::from_text(request.cursor.as_deref())?;
        let list = &self.descriptor.list;
        let call = Call {
            api: self.descriptor.api,
            path: list.path.to_owned(),
            query: self.query(&cursor, request.since)?,
            lane: request.lane,
        };
        let answer = self.client.get(call).await?;
        let page = page::open(answer.body, list.path, list.keys, cursor.page)?;
        let rows: Vec<Listed> = page.rows.iter().map(|row| self.listed(row, answer.interval)).collect();
        let next = self.next(&cursor, request.since, &page, &rows)?;
        let next = next.map(|next| next.to_text()).transpose()?;
        Ok(ListPage { rows, next, observed: answer.interval })
    }

    fn query(&self, cursor: &Cursor, since: Option<OffsetDateTime>) -> Result<Vec<(&'static str, String)>> {
        let list = &self.descriptor.list;
        let mut query: Vec<(&'static str, String)> =
            list.query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        query.push(("page", cursor.page.to_string()));
        query.push(("per_page", PER_PAGE.to_owned()));
        let sort = match (since, list.changes) {
            (Some(_), Changes::NewestFirst) => Some(("last_modified_time", "D")),
            // Edits do not move rows in the order of creation, so that none slips through between two pages.
            _ if list.by_creation => Some(("created_time", "A")),
            _ => None,
        };
        if let Some((column, order)) = sort {
            query.push(("sort_column", column.to_owned()));
            query.push(("sort_order", order.to_owned()));
        }
        if let (Some(since), Changes::Filter) = (since, list.changes) {
            query.push(("last_modified_time", filter_time(since)?));
        }
        Ok(query)
    }

    /// A row whose id cannot be read is kept under an id made of its content: its decoding tells why.
    fn listed(&self, row: &Value, observed: Interval) -> Listed {
        let text = row.to_string();
        let bytes = ContentHash::of_bytes(text.as_bytes());
        let payload = Payload::new(text);
        let record = row.as_object();
        let decoded = match record {
            Some(record) => self.descriptor.decode_object(record, Shape::List, payload.clone()),
            None => Err(page::protocol("the row is no object")),
        };
        let id = match record.map(|record| reading::record_id(record, self.descriptor.id_key)) {
            Some(Ok(id)) => id,
            _ => format!("unreadable:{}", bytes.as_str().get(..12).unwrap_or_default()),
        };
        let ids_only = decoded.is_ok() && record.is_some_and(self.descriptor.list.ids_only);
        let payload = SourcePayload { shape: Shape::List, observed: Observed::Call(observed), json: payload };
        Listed {
            id: RecordId::new(id),
            version: decoded.as_ref().ok().and_then(|record| record.version),
            hash: decoded.as_ref().ok().filter(|_| !ids_only).map_or(bytes, list_hash),
            payload: (!ids_only).then_some(payload),
        }
    }

    /// The next page, if this was not the last.
    fn next(
        &self,
        cursor: &Cursor,
        since: Option<OffsetDateTime>,
        page: &Page,
        rows: &[Listed],
    ) -> Result<Option<Cursor>> {
        let path = self.descriptor.list.path;
        let ids: Vec<String> = rows.iter().map(|row| row.id.as_str().to_owned()).collect();
        let identity = page::identity(&ids);
        if identity.is_some() && identity == cursor.before {
            return Err(page::protocol(format!(
                "page {} of the list {path} is the page before it",
                cursor.page
            )));
        }
        let mut next = Cursor { page: cursor.page + 1, before: identity, ..cursor.clone() };
        let past_since = match (since, self.descriptor.list.changes) {
            (Some(since), Changes::NewestFirst) => past(&mut next, since, page, rows),
            (Some(since), Changes::Filter) => {
                self.check_filter(since, rows);
                false
            }
            _ => false,
        };
        Ok((page.has_more && !past_since).then_some(next))
    }

    /// A row older than what was asked for proves that Zoho ignores the filter. The rows stay: whoever
    /// compares them finds what changed, as in a list without a filter.
    fn check_filter(&self, since: OffsetDateTime, rows: &[Listed]) {
        let older = |row: &&Listed| row.version.is_some_and(|version| version < since - Duration::minutes(1));
        if rows.iter().any(|row| older(&row)) {
            tracing::warn!(entity = %self.entity(), "Zoho ignores the filter last_modified_time: reading the whole list");
        }
    }
}

/// In a list sorted by change, newest first: true when everything that follows is older than `since`.
///
/// Rows out of order, or without a time, prove that the list is not sorted; then it is read to its end.
fn past(next: &mut Cursor, since: OffsetDateTime, page: &Page, rows: &[Listed]) -> bool {
    next.unsorted |= page.sorted_by.as_deref().is_some_and(|column| column != "last_modified_time");
    for row in rows {
        let in_order = row.version.is_some() && next.last.is_none_or(|last| row.version <= Some(last));
        next.unsorted |= !in_order;
        next.last = row.version.or(next.last);
    }
    !next.unsorted && next.last.is_some_and(|last| last < since)
}

/// The filter's own spelling of a time. Zoho says "modified after" and was seen to include the second
/// itself; one second earlier includes it either way.
fn filter_time(since: OffsetDateTime) -> Result<String> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
    since
        .checked_sub(Duration::SECOND)
        .and_then(|since| since.checked_to_offset(UtcOffset::UTC))
        .and_then(|since| since.format(format).ok())
        .ok_or_else(|| tds_core::Error::invalid(format!("{since} is no time to list changes from")))
}
