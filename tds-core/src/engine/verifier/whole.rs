//! The third phase, if the rows of the list are not whole records: whole records are read and compared. If one call reads
//! many records, all of them are compared; otherwise a random sample of them.

use super::{
    Verifying,
    position::{Phase, Position},
};
use crate::{
    error::Result,
    mirror::Difference,
    record::{Content, Read, RecordId},
};

impl Verifying<'_> {
    /// Reads and compares one batch. Returns what is next.
    pub(super) async fn whole(&self, done: usize, position: &mut Position) -> Result<Phase> {
        let profile = self.source.profile();
        let size = match (profile.reads_records(), profile.records_per_call) {
            // The rows of the list were whole records.
            (false, _) => 0,
            (true, 1) => self.verifier.settings.sample,
            (true, _) => position.listed(),
        };
        let run = self.lease.run.id;
        let choose = || self.verifier.store.sample(run, size);
        // The sample of a run is always the same, so the position in it says what is left.
        let sample = self.patience().store("choosing a sample", choose).await?;
        let batch: Vec<RecordId> =
            sample.into_iter().skip(done).take(profile.fetch_batch.max(profile.records_per_call)).collect();
        if batch.is_empty() {
            return Ok(Phase::Look);
        }
        let found = self.read_and_compare(&batch).await?;
        let differ = found.iter().filter(|(_, found)| !matches!(found, Ok((_, None))));
        let suspects: Vec<RecordId> = differ.map(|(id, _)| id.clone()).collect();
        self.suspect(position, &suspects).await?;
        let count = u64::try_from(batch.len()).unwrap_or(0);
        position.sampled += count;
        if profile.lists_ids {
            position.compared += count;
        }
        Ok(Phase::Whole(done + batch.len()))
    }

    /// Reads whole records, and compares each of them with the target. A record that cannot be read has its own error.
    pub(super) async fn read_and_compare(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Result<(Read, Option<Difference>)>)>> {
        let lane = self.lease.run.run_type.lane();
        let ask = |open: Vec<usize>| async move {
            let wanted: Vec<RecordId> = open.into_iter().map(|place| ids[place].clone()).collect();
            self.source.fetch(&wanted, lane).await
        };
        let answers = self.patience().records("reading whole records", ids.len(), ask).await;
        let reads: Vec<Result<Read>> =
            answers.into_iter().map(|answer| answer.map(|read| self.own(read))).collect();
        let good: Vec<Read> = reads.iter().flatten().cloned().collect();
        let compare = || self.verifier.mirror.compare(self.source.schema(), &good);
        let mut differing = self.patience().store("comparing whole records with the target", compare).await?;
        let result = |(id, read): (&RecordId, Result<Read>)| {
            (id.clone(), read.map(|read| (read, differing.remove(id))))
        };
        Ok(ids.iter().zip(reads).map(result).collect())
    }

    /// Returns the read of a record of this entity type. A record that belongs to the sibling is absent from this one.
    fn own(&self, mut read: Read) -> Read {
        let entity = &self.lease.run.entity_type;
        if matches!(&read.content, Content::Present(record) if record.entity != *entity) {
            read.content = Content::Absent;
        }
        read.key.entity.clone_from(entity);
        read
    }
}
