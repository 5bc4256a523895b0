//! Records that belong to one of two sibling entity types. A contact is a customer or a vendor, and may become the
//! other.

use std::collections::{HashMap, HashSet};

use super::{BatchHandler as _, Handled, MirrorHandler, mirror::Batch};
use crate::{
    error::{Error, Result},
    guard::SyncState,
    mirror::Applied,
    queue::Work,
    record::{Content, Observed, Read, Record, RecordId, Shape, SourcePayload},
};

impl MirrorHandler {
    /// Removes the reads that belong to another entity type. Returns the reads that belong to this one.
    pub(super) async fn redirect(
        &self,
        batch: &mut Batch<'_>,
        reads: Vec<(usize, Read)>,
    ) -> Result<Vec<(usize, Read)>> {
        let gone: Vec<RecordId> = reads
            .iter()
            .filter(|(_, read)| read.content == Content::Absent)
            .map(|(_, read)| read.key.id.clone())
            .collect();
        let moved = self.at_the_sibling(&gone).await?;
        let mut own = Vec::with_capacity(reads.len());
        for (index, read) in reads {
            match &read.content {
                Content::Present(record) if record.entity != *self.entity() => {
                    let recheck = batch.items[index].work.recheck;
                    batch.results[index] = Some(self.hand_over(&read, record, recheck).await);
                }
                // An item whose payload could not be decoded and whose record is not found keeps its error. The record
                // may never have had an id.
                Content::Absent if batch.results[index].is_some() => {}
                Content::Absent if moved.contains(&read.key.id) => {
                    batch.results[index] = Some(self.look_at_the_sibling(&read).await);
                }
                Content::Absent | Content::Present(_) => own.push((index, read)),
            }
        }
        Ok(own)
    }

    /// Returns the records that are live in the sibling entity type and not in this one.
    pub(super) async fn at_the_sibling(&self, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        let Some(sibling) = self.source.profile().sibling.as_ref().filter(|_| !ids.is_empty()) else {
            return Ok(HashSet::new());
        };
        let live = |states: HashMap<RecordId, SyncState>| -> HashSet<RecordId> {
            states.into_iter().filter(|(_, state)| !state.deleted).map(|(id, _)| id).collect()
        };
        let theirs = live(self.mirror.states(sibling, ids).await?);
        if theirs.is_empty() {
            return Ok(theirs);
        }
        let ours = live(self.mirror.states(self.entity(), ids).await?);
        Ok(theirs.difference(&ours).cloned().collect())
    }

    /// Hands over a record that turned out to be of another entity type to that type. The record becomes a tombstone
    /// in this type.
    async fn hand_over(&self, read: &Read, record: &Record, recheck: bool) -> Result<Handled> {
        let payload = SourcePayload { shape: read.shape, observed: read.observed, json: record.raw.clone() };
        let work = Work { version: record.version, payload: Some(payload), recheck };
        let gone = match read.observed {
            // The tombstone is also written if the record was never live here, because a worker that lost its claim
            // may still hold an earlier read of the record.
            Observed::Call(_) => self.tombstone(read).await?,
            // Only the arrival time of a pushed body is known. Only a read shows whether the record still has that
            // type.
            Observed::Push(_) => {
                let ours = self.mirror.states(self.entity(), std::slice::from_ref(&read.key.id)).await?;
                ours.values().all(|state| state.deleted)
            }
        };
        if gone { Ok(Handled::Reroute { entity: record.entity.clone(), work }) } else { Ok(Handled::Reread) }
    }

    /// Makes the sibling entity type read a record that is gone here and live there.
    async fn look_at_the_sibling(&self, read: &Read) -> Result<Handled> {
        // This entity type also gets its tombstone: a late push of the record's earlier state must not restore it
        // here.
        let tombstoned = self.tombstone(read).await?;
        match &self.source.profile().sibling {
            Some(sibling) if tombstoned => {
                Ok(Handled::Reroute { entity: sibling.clone(), work: Work::fetch() })
            }
            _ => Ok(Handled::Reread),
        }
    }

    /// Marks the record of a read as gone in this entity type. Returns false if the record has to be read once
    /// more.
    async fn tombstone(&self, read: &Read) -> Result<bool> {
        let gone = Read { shape: Shape::Detail, content: Content::Absent, listed: None, ..read.clone() };
        match self.mirror.apply(self.source.schema(), vec![gone]).await.pop() {
            Some(applied) => Ok(matches!(applied?, Applied::Done(_))),
            None => Err(Error::internal("the mirror gave no answer")),
        }
    }
}
