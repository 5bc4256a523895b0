//! The second phase: every record of the target is compared with what the source sent of it. This costs no call.
//!
//! A list row shows a part of a record. What only a whole record shows, such as the lines of a document, is compared with
//! the record as it was accepted, which the target keeps. The list has shown that the version is still the newest.

use std::collections::HashMap;

use super::{
    Verifying,
    position::{Phase, Position},
};
use crate::{
    error::Result,
    guard::SyncState,
    mirror::Difference,
    record::{Fields, Read, RecordId, Shape, SourcePayload},
    verify::LocalRecord,
};

/// The number of records that are compared with one statement.
const PAGE: usize = 200;

/// What the comparison of a record with its own text shows.
pub(super) enum LocalLook {
    /// The rows show what the source sent, or the target keeps no text of it.
    Equal,
    /// The text cannot be read.
    Unclear,
    /// The rows show other values.
    Differs(Difference),
}

impl Verifying<'_> {
    /// Compares one page. Returns what is next.
    pub(super) async fn local(&self, after: Option<String>, position: &mut Position) -> Result<Phase> {
        let after = after.map(RecordId::new);
        let run = self.lease.run.id;
        let read = || self.verifier.store.local_records(run, self.source.schema(), after.as_ref(), PAGE);
        let records = self.patience().store("reading records of the target", read).await?;
        position.add_target(records.len());
        let Some(last) = records.last().map(|record| record.id.to_string()) else {
            return Ok(Phase::Whole(0));
        };
        let (listed, others): (Vec<LocalRecord>, Vec<LocalRecord>) =
            records.into_iter().partition(|record| record.listed);
        // A record that appeared while the list was read need not be in it.
        let is_gone = |record: &LocalRecord| self.source.profile().complete_list && !record.seen_since;
        let mut suspects: Vec<RecordId> =
            others.into_iter().filter(is_gone).map(|record| record.id).collect();
        let looks = self.compare_local(&listed).await?;
        let differ = looks.into_iter().filter(|(_, look)| !matches!(look, LocalLook::Equal));
        suspects.extend(differ.map(|(id, _)| id));
        self.suspect(position, &suspects).await?;
        Ok(Phase::Local(Some(last)))
    }

    /// Compares records of the target with what the source sent of them.
    pub(super) async fn compare_local(&self, records: &[LocalRecord]) -> Result<Vec<(RecordId, LocalLook)>> {
        let ids: Vec<RecordId> = records.iter().map(|record| record.id.clone()).collect();
        let states = self.states(&ids).await?;
        let (mut looks, mut reads) = (HashMap::new(), Vec::new());
        for record in records {
            let Some(state) = states.get(&record.id) else { continue };
            match self.accepted(state, record) {
                Some(Ok(read)) => reads.push(read),
                Some(Err(_)) => drop(looks.insert(record.id.clone(), LocalLook::Unclear)),
                None => {}
            }
        }
        let compare = || self.verifier.mirror.compare(self.source.schema(), &reads);
        if !reads.is_empty() {
            let differing = self.patience().store("comparing records with their own text", compare).await?;
            looks.extend(differing.into_iter().map(|(id, found)| (id, LocalLook::Differs(found))));
        }
        let look = |id: RecordId| {
            let look = looks.remove(&id).unwrap_or(LocalLook::Equal);
            (id, look)
        };
        Ok(ids.into_iter().map(look).collect())
    }

    /// Returns the record as it was accepted. The kept text is not up to date in volatile columns and, unless it is that
    /// of the whole record, in columns that the list spells differently from the whole record.
    fn accepted(&self, state: &SyncState, record: &LocalRecord) -> Option<Result<Read>> {
        let json = record.raw.clone()?;
        let payload = SourcePayload { shape: Shape::Detail, observed: state.observed, json };
        Some(self.source.decode(&payload).map(|mut accepted| {
            accepted.volatile = Fields::new();
            if state.detail_hash.is_none() || state.detail_version != state.version {
                accepted.fields.retain(|name, _| !state.spelled.contains(name));
            }
            accepted.id = record.id.clone();
            Read::of(accepted, Shape::Detail, state.observed)
        }))
    }
}
