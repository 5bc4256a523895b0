//! The third phase, if the rows of the list are not whole records: whole records are read and compared. If one call reads
//! many records, all of them are compared; otherwise a random sample of them.

use super::{
    Verifying,
    position::{Phase, Position},
};
use crate::{
    error::{Error, Result, Retry},
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
        let mut reads: Vec<Option<Result<Read>>> = ids.iter().map(|_| None).collect();
        loop {
            let open: Vec<usize> = (0..ids.len()).filter(|index| reads[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let wanted: Vec<RecordId> = open.iter().map(|index| ids[*index].clone()).collect();
            // A verdict on one record is an answer; anything else makes the whole call wait.
            let ask = || async {
                let answers = self.source.fetch(&wanted, lane).await;
                let waits =
                    |answer: &Result<Read>| answer.as_ref().err().filter(|error| !is_verdict(error)).cloned();
                match answers.iter().all(|answer| waits(answer).is_some()) {
                    true => Err(answers.iter().find_map(waits).unwrap_or_else(unanswered)),
                    false => Ok(answers),
                }
            };
            let answers = self.patience().source("reading whole records", ask).await?;
            for (index, answer) in open.into_iter().zip(answers) {
                let answer = answer.map(|read| self.own(read));
                reads[index] = Some(answer).filter(|answer| answer.as_ref().err().is_none_or(is_verdict));
            }
        }
        let good: Vec<Read> = reads.iter().flatten().flatten().cloned().collect();
        let compare = || self.verifier.mirror.compare(self.source.schema(), &good);
        let mut differing = self.patience().store("comparing whole records with the target", compare).await?;
        let result = |(id, read): (&RecordId, Option<Result<Read>>)| {
            let read = read.unwrap_or_else(|| Err(unanswered()));
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

fn is_verdict(error: &Error) -> bool {
    matches!(error.retry(), Retry::Permanent)
}

fn unanswered() -> Error {
    Error::internal("the source gave no answer for a record")
}
