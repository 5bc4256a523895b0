//! The comparison of the list with the target.

use std::collections::HashMap;

use super::{Comparing, Phase, place::count};
use crate::{
    engine::{is_far_shorter, last_of_each},
    error::{Error, ErrorKind, Result, Retry},
    guard::SyncState,
    handler::comparable,
    hint::Hint,
    record::{Read, RecordId, Shape},
    runs::RunType,
    source::{ListOrder, ListRequest, Listed},
};

impl Comparing<'_> {
    /// Compares one page of the list.
    pub(super) async fn compare_list(&mut self) -> Result<()> {
        let request = ListRequest {
            capability: self.source.profile().documented,
            cursor: self.place.cursor.clone(),
            ..ListRequest::first(RunType::Verify.lane())
        };
        debug_assert_eq!(request.order, ListOrder::Whole);
        let page = self.patience().source("reading a page", || self.source.list(&request)).await?;
        if page.next.is_some() && page.next == self.place.cursor {
            let message = "the list of the source does not advance: the next position is the one that was requested";
            return Err(Error::new(ErrorKind::Protocol, Retry::Permanent, message));
        }
        let rows = last_of_each(page.rows);
        let suspects = self.suspects_of(&rows).await?;
        self.place.source_records += count(rows.len());
        self.place.compared += count(rows.len());
        if page.next.is_none() {
            self.refuse_short_list()?;
            self.place.enter(Phase::Local);
        } else {
            self.place.cursor = page.next;
        }
        self.suspect(&suspects).await?;
        self.commit(rows.into_iter().map(|row| row.id).collect(), Vec::new(), false).await
    }

    /// Refuses a list that ends far too early: it says nothing about the records that it lacks.
    fn refuse_short_list(&self) -> Result<()> {
        let Some(last) = self.lease.history.last_full_count.filter(|_| !self.checkpoint.resumed) else {
            return Ok(());
        };
        let listed = i64::try_from(self.place.source_records).unwrap_or(i64::MAX);
        if !is_far_shorter(listed, last) {
            return Ok(());
        }
        let message = format!(
            "the list of {} ended after {listed} records, but the last full list had {last}. Nothing was compared with \
             it, and the next comparison reads the list again",
            self.lease.run.entity_type
        );
        let error = Error::new(ErrorKind::Protocol, Retry::Permanent, message);
        Err(error.with_hint(Hint::AcceptShortList(self.lease.run.id)))
    }

    /// Returns the records of a page that the target does not show as the list does. Rows that are ids only are compared
    /// when their records are read.
    async fn suspects_of(&self, rows: &[Listed]) -> Result<Vec<RecordId>> {
        let run = &self.lease.run;
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id.clone()).collect();
        let look = || self.executor.mirror.states(&run.entity_type, &ids);
        let states = self.patience().store("reading the states of the records of a page", look).await?;
        let (mut suspects, mut reads) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| row.payload.is_some()) {
            match self.read_of(row, &states) {
                Some(read) => reads.push(read),
                None => suspects.push(row.id.clone()),
            }
        }
        let compare = || self.executor.mirror.compare(self.source.schema(), &reads);
        let differing = self.patience().store("comparing a page with the target", compare).await?;
        suspects.extend(differing.into_keys());
        Ok(suspects)
    }

    /// Returns what a row shows of its record, or `None` if the row cannot be read or the target has no record of this
    /// version.
    fn read_of(&self, row: &Listed, states: &HashMap<RecordId, SyncState>) -> Option<Read> {
        let state = states.get(&row.id).filter(|state| !state.deleted)?;
        let record = self.source.decode(row.payload.as_ref()?).ok()?;
        if self.source.profile().needs_detail {
            return comparable(state, &record);
        }
        // The row is the whole record.
        (record.version == state.version).then(|| Read::of(record, Shape::Detail, state.observed))
    }
}
