//! The comparison of whole records: of all records if one call reads many, and otherwise of a random sample.

use std::collections::HashSet;

use super::{Comparing, Phase, place::count};
use crate::{
    error::{Result, Retry},
    record::{Content, Read, RecordId},
    runs::RunType,
};

impl Comparing<'_> {
    /// Reads and compares the records, a batch after the other.
    pub(super) async fn compare_whole(&mut self) -> Result<()> {
        let profile = self.source.profile();
        let reads_all = profile.records_per_call > 1;
        let size = match (profile.reads_records(), reads_all) {
            (false, _) => 0,
            (true, true) => usize::MAX,
            (true, false) => self.executor.settings.sample,
        };
        let choose = || self.executor.store.sample(self.lease.run.id, size);
        let chosen = self.patience().store("choosing records to read", choose).await?;
        let batch = profile.fetch_batch.max(1);
        while self.place.done < chosen.len() {
            let ids = &chosen[self.place.done..chosen.len().min(self.place.done + batch)];
            let suspects = self.suspects_whole(ids).await?;
            self.place.done += ids.len();
            self.place.sampled += if reads_all { 0 } else { count(ids.len()) };
            self.suspect(&suspects).await?;
            self.commit(Vec::new(), Vec::new(), false).await?;
        }
        self.store_counts().await?;
        self.place.enter(Phase::Looks);
        self.commit(Vec::new(), Vec::new(), false).await
    }

    async fn suspects_whole(&self, ids: &[RecordId]) -> Result<Vec<RecordId>> {
        let reads = self.fetch(ids).await?;
        let compare = || self.executor.mirror.compare(self.source.schema(), &reads);
        let differing = self.patience().store("comparing whole records", compare).await?;
        let present: HashSet<&RecordId> = reads
            .iter()
            .filter(|read| matches!(read.content, Content::Present(_)))
            .map(|read| &read.key.id)
            .collect();
        Ok(ids.iter().filter(|id| differing.contains_key(*id) || !present.contains(*id)).cloned().collect())
    }

    /// Reads whole records. A record that cannot be read has no read; a source that is away is waited for.
    pub(super) async fn fetch(&self, ids: &[RecordId]) -> Result<Vec<Read>> {
        let fetch = || async {
            let mut reads = Vec::with_capacity(ids.len());
            for answer in self.source.fetch(ids, RunType::Verify.lane()).await {
                match answer {
                    Ok(read) => reads.push(read),
                    Err(error) if error.retry() == Retry::Permanent => {
                        tracing::warn!(run = %self.lease.run.id, error = %error.chain(), "a record cannot be read");
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(reads)
        };
        self.patience().source("reading records", fetch).await
    }
}
