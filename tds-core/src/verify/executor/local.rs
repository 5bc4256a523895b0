//! The comparison of the target's records with the list, and with what the source last sent of them.

use std::collections::HashMap;

use super::{Comparing, PAGE, Phase, place::count};
use crate::{
    error::Result,
    guard::SyncState,
    record::{Fields, Observed, Read, RecordId, Shape, SourcePayload},
    verify::LocalRecord,
};

impl Comparing<'_> {
    /// Compares one page of the target's records.
    pub(super) async fn compare_local(&mut self) -> Result<()> {
        let (run, schema) = (&self.lease.run, self.source.schema());
        let after = self.place.cursor.as_deref().map(RecordId::new);
        let read = || self.executor.store.local_records(run.id, schema, after.as_ref(), PAGE);
        let records = self.patience().store("reading records of the target", read).await?;
        let Some(last) = records.last() else {
            self.place.enter(Phase::Whole);
            return self.commit(Vec::new(), Vec::new(), false).await;
        };
        let last = last.id.as_str().to_owned();
        let suspects = self.suspects_among(&records).await?;
        let unlisted = records.iter().filter(|record| !record.listed).count();
        self.place.target_records += count(records.len());
        self.place.compared += count(unlisted);
        self.place.cursor = Some(last);
        self.suspect(&suspects).await?;
        self.commit(Vec::new(), Vec::new(), false).await
    }

    async fn suspects_among(&self, records: &[LocalRecord]) -> Result<Vec<RecordId>> {
        let run = &self.lease.run;
        let ids: Vec<RecordId> = records.iter().map(|record| record.id.clone()).collect();
        let look = || self.executor.mirror.states(&run.entity_type, &ids);
        let states = self.patience().store("reading the states of records", look).await?;
        let is_complete = self.source.profile().complete_list;
        let (mut suspects, mut reads) = (Vec::new(), Vec::new());
        for record in records {
            if is_complete && !record.listed && !record.seen_since {
                suspects.push(record.id.clone());
                continue;
            }
            match self.as_sent(record, states.get(&record.id)) {
                Some(Some(read)) => reads.push(read),
                Some(None) => {}
                None => suspects.push(record.id.clone()),
            }
        }
        let compare = || self.executor.mirror.compare(self.source.schema(), &reads);
        let differing = self.patience().store("comparing records with what was sent", compare).await?;
        suspects.extend(differing.into_keys());
        Ok(suspects)
    }

    /// Returns what the source last sent of a record, without what moves without a version and what the list may have
    /// spelled in its own way. The inner `None`: the target keeps no such text. The outer `None`: the text cannot be read.
    fn as_sent(&self, record: &LocalRecord, state: Option<&SyncState>) -> Option<Option<Read>> {
        let (Some(raw), Some(state)) = (&record.raw, state) else { return Some(None) };
        let observed = Observed::Push(state.observed.interval().ended);
        let payload = SourcePayload { shape: Shape::Detail, observed, json: raw.clone() };
        let mut sent = self.source.decode(&payload).ok()?;
        if sent.id != record.id {
            return None;
        }
        sent.volatile = Fields::new();
        sent.fields.retain(|name, _| !state.spelled.contains(name));
        Some(Some(Read::of(sent, Shape::Detail, state.observed)))
    }
}

/// The states of records by their ids.
pub(super) type States = HashMap<RecordId, SyncState>;
