//! A list in memory that changes between two calls, with abilities that each test chooses.

use std::collections::{BTreeMap, BTreeSet};

use tds_core::{
    error::Result,
    queue::Lane,
    record::{ContentHash, RecordId},
    source::{Ability, Capability, ListCall, ListOrder, ListRequest, ListWalk, Listed, NextPage, RowOrder},
};
use time::{Duration, OffsetDateTime, macros::datetime};

pub(crate) const START: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
pub(crate) const BOTH: Capability = Capability { filter: Ability::Proven, sort: Ability::Proven };
pub(crate) const SORT: Capability = Capability { filter: Ability::Refuted, sort: Ability::Proven };
pub(crate) const FILTER: Capability = Capability { filter: Ability::Proven, sort: Ability::Refuted };
pub(crate) const NEITHER: Capability = Capability { filter: Ability::Refuted, sort: Ability::Refuted };

pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    START + Duration::seconds(seconds)
}

/// The records by number, in the order of their creation, with the second of their last change. `None` stands for an
/// unreadable time.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) records: BTreeMap<u32, Option<i64>>,
    pub(crate) page_size: usize,
    pub(crate) can: Capability,
    /// True where the filter excludes records that changed exactly at the boundary.
    pub(crate) exclusive: bool,
    pub(crate) calls: Vec<ListCall>,
}

impl List {
    pub(crate) fn new(changes: impl IntoIterator<Item = i64>, page_size: usize, can: Capability) -> Self {
        let records = (0..).zip(changes.into_iter().map(Some)).collect();
        Self { records, page_size, can, exclusive: false, calls: Vec::new() }
    }

    /// Returns every existing record that changed at or after a second, or has an unreadable time.
    pub(crate) fn changed_since(&self, second: i64) -> BTreeSet<u32> {
        let changed = |(_, time): &(&u32, &Option<i64>)| time.is_none_or(|time| time >= second);
        self.records.iter().filter(changed).map(|(id, _)| *id).collect()
    }

    fn answer(&mut self, call: ListCall) -> (Vec<Listed>, bool) {
        self.calls.push(call);
        let filter = call.changed_since.filter(|_| self.can.filter.is_usable());
        // Sources ask for changes from one second earlier.
        let from = filter.map(|since| (since - START).whole_seconds() - 1);
        let inside = |time: &Option<i64>| match (from, time) {
            (Some(from), Some(time)) => *time > from || *time == from && !self.exclusive,
            _ => true,
        };
        let mut rows: Vec<(u32, Option<i64>)> =
            self.records.iter().filter(|(_, time)| inside(time)).map(|(id, time)| (*id, *time)).collect();
        match call.order {
            RowOrder::OldestChange if self.can.sort.is_usable() => rows.sort_by_key(|(_, time)| *time),
            RowOrder::NewestChange if self.can.sort.is_usable() => {
                rows.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
            }
            _ => {}
        }
        let skipped = self.page_size * (call.page as usize - 1);
        let has_more = rows.len() > skipped + self.page_size;
        let page = rows.into_iter().skip(skipped).take(self.page_size);
        (page.map(|(id, time)| row(id, time)).collect(), has_more)
    }
}

fn row(id: u32, time: Option<i64>) -> Listed {
    let id = id.to_string();
    Listed {
        hash: ContentHash::of_bytes(id.as_bytes()),
        id: RecordId::new(id),
        version: time.map(at),
        payload: None,
    }
}

/// The result of reading a list.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) ids: BTreeSet<u32>,
    pub(crate) learned: Option<Capability>,
}

/// Reads a list to its end. `between` changes the list after each call, and receives the number of calls so far.
pub(crate) fn read(
    list: &mut List,
    since: Option<i64>,
    capability: Capability,
    mut between: impl FnMut(&mut List, usize),
) -> Result<Shown> {
    let mut request = ListRequest {
        since: since.map(at),
        dates: None,
        order: ListOrder::MovingFilter,
        capability,
        cursor: None,
        lane: Lane::Incremental,
    };
    let mut shown = Shown::default();
    loop {
        let walk = ListWalk::new(&request)?;
        let (rows, has_more) = list.answer(walk.call());
        shown.ids.extend(rows.iter().map(|row| row.id.as_str().parse::<u32>().expect("a number")));
        let NextPage { next, learned } = walk.after(&rows, has_more, false)?;
        request.capability = learned.unwrap_or(request.capability);
        shown.learned = learned.or(shown.learned);
        request.cursor = next;
        if request.cursor.is_none() {
            return Ok(shown);
        }
        assert!(list.calls.len() < 10_000, "the list has no end");
        between(list, list.calls.len());
    }
}
