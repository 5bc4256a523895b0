//! The first phase: every row of the list is compared with the target.

use std::collections::HashMap;

use super::{
    Verifying,
    position::{Phase, Position},
};
use crate::{
    engine::lister::{is_far_shorter, last_of_each, refuse_standstill},
    error::{Error, ErrorKind, Result, Retry},
    guard::SyncState,
    handler::comparable,
    hint::Hint,
    mirror::FieldDifference,
    record::{Read, Record, RecordId, Shape},
    runs::Checkpoint,
    source::{ListOrder, ListPage, ListRequest, Listed},
};

/// What the comparison of a list row shows.
pub(super) enum RowLook {
    /// The target has the version of the row, and shows what the row shows.
    Equal,
    /// The row shows its id only, so nothing was compared.
    IdOnly,
    /// The target does not have the record, or has it as a tombstone.
    Missing,
    /// The target has an older version.
    Older,
    /// The target has a newer version, or the row cannot be read.
    Unclear,
    /// The target has the version with other values.
    Differs(Vec<FieldDifference>),
}

impl Verifying<'_> {
    /// Compares one page, and commits the position after it.
    pub(super) async fn list(
        &self,
        cursor: Option<String>,
        position: &mut Position,
        checkpoint: &mut Checkpoint,
    ) -> Result<()> {
        let page = self.page(cursor).await?;
        let rows = last_of_each(page.rows);
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id.clone()).collect();
        let looks = self.compare_rows(&rows).await?;
        let suspects: Vec<RecordId> = ids
            .iter()
            .zip(&looks)
            .filter(|(_, look)| !matches!(look, RowLook::Equal | RowLook::IdOnly))
            .map(|(id, _)| id.clone())
            .collect();
        let compared = looks.iter().filter(|look| !matches!(look, RowLook::IdOnly)).count();
        self.suspect(position, &suspects).await?;
        position.compared += u64::try_from(compared).unwrap_or(0);
        position.list_pages += 1;
        if page.next.is_none() {
            self.refuse_short_list(position.listed() + ids.len(), checkpoint)?;
        }
        position.phase = page.next.map_or(Phase::Local(None), |next| Phase::List(Some(next)));
        let listed = self.keep(position, checkpoint, ids).await?;
        position.set_listed(listed);
        Ok(())
    }

    /// Reads one page of the list.
    pub(super) async fn page(&self, cursor: Option<String>) -> Result<ListPage> {
        let lane = self.lease.run.run_type.lane();
        let capability = self.source.profile().documented;
        let request = ListRequest { order: ListOrder::Whole, capability, cursor, ..ListRequest::first(lane) };
        let page = self.patience().source("reading a page", || self.source.list(&request)).await?;
        refuse_standstill(&page, request.cursor.as_deref())?;
        Ok(page)
    }

    /// Refuses a list that ends far too early: most of the target would look as if the source did not have it.
    fn refuse_short_list(&self, listed: usize, checkpoint: &Checkpoint) -> Result<()> {
        let Some(last) = self.lease.history.last_full_count.filter(|_| !checkpoint.resumed) else {
            return Ok(());
        };
        if !is_far_shorter(i64::try_from(listed).unwrap_or(i64::MAX), last) {
            return Ok(());
        }
        let message = format!(
            "the list of {} ended after {listed} records, but the last full list had {last}. Nothing is reported",
            self.lease.run.entity_type
        );
        let error = Error::new(ErrorKind::Protocol, Retry::Permanent, message);
        Err(error.with_hint(Hint::AcceptShortList(self.lease.run.id)))
    }

    /// Compares rows of the list with the target.
    pub(super) async fn compare_rows(&self, rows: &[Listed]) -> Result<Vec<RowLook>> {
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id.clone()).collect();
        let states = self.states(&ids).await?;
        let mut looks: Vec<RowLook> = Vec::with_capacity(rows.len());
        let mut reads: Vec<Read> = Vec::new();
        for row in rows {
            let state = states.get(&row.id).filter(|state| !state.deleted);
            looks.push(match (state, self.decoded(row)) {
                // A record that belongs to the sibling must not be live here.
                (state, Some(Ok(record))) if record.entity != self.lease.run.entity_type => {
                    state.map_or(RowLook::IdOnly, |_| RowLook::Unclear)
                }
                (None, _) => RowLook::Missing,
                (_, None) => RowLook::IdOnly,
                (_, Some(Err(_))) => RowLook::Unclear,
                (Some(state), Some(Ok(record))) => self.compare_versions(state, record, &mut reads),
            });
        }
        if reads.is_empty() {
            return Ok(looks);
        }
        let compare = || self.verifier.mirror.compare(self.source.schema(), &reads);
        let mut differing = self.patience().store("comparing a page with the target", compare).await?;
        for (row, look) in rows.iter().zip(&mut looks) {
            if let (RowLook::Equal, Some(difference)) = (&*look, differing.remove(&row.id)) {
                *look = RowLook::Differs(difference.fields);
            }
        }
        Ok(looks)
    }

    pub(super) async fn states(&self, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        let look = || self.verifier.mirror.states(&self.lease.run.entity_type, ids);
        self.patience().store("reading the states of records", look).await
    }

    fn decoded(&self, row: &Listed) -> Option<Result<Record>> {
        row.payload.as_ref().map(|payload| self.source.decode(payload))
    }

    /// Compares the versions of a row and of the target. A row of the target's version is compared value by value.
    fn compare_versions(&self, state: &SyncState, record: Record, reads: &mut Vec<Read>) -> RowLook {
        let (listed, known) = (record.version, state.version);
        let read = if self.source.profile().needs_detail {
            comparable(state, &record)
        } else {
            // The row is the whole record.
            (listed == known).then(|| Read::of(record, Shape::Detail, state.observed))
        };
        match read {
            Some(read) => {
                reads.push(read);
                RowLook::Equal
            }
            None if listed > known => RowLook::Older,
            None => RowLook::Unclear,
        }
    }
}
