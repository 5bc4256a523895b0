//! The other looks at records that differed once. Only what still differs then is reported.

use std::{
    collections::HashMap,
    time::Duration,
};

use time::OffsetDateTime;

use super::{Comparing, Phase, local::States};
use crate::{
    error::Result,
    mirror::{Difference, Presence},
    record::{Content, Read, RecordId},
    verify::{DriftClass, Look, Suspect},
};

/// The maximum number of looks.
const LOOKS: u16 = 3;

impl Comparing<'_> {
    /// Looks at all suspects until each is decided.
    pub(super) async fn look_again(&mut self) -> Result<()> {
        let batch = self.source.profile().fetch_batch.clamp(1, 100);
        let mut round = 0;
        loop {
            let next = || self.executor.store.suspects(self.lease.run.id, batch);
            let mut suspects = self.patience().store("reading records to look at again", next).await?;
            let Some(looks) = suspects.first().map(|first| first.looks) else { break };
            suspects.retain(|suspect| suspect.looks == looks);
            if looks > round {
                tokio::time::sleep(self.executor.settings.quiet).await;
                round = looks;
            }
            let looks = self.looks_at(&suspects).await?;
            let store = || self.executor.store.looked(self.lease.run.id, &looks);
            self.patience().store("storing what a look showed", store).await?;
        }
        self.place.enter(Phase::Repair);
        self.commit(Vec::new(), Vec::new(), false).await
    }

    async fn looks_at(&self, suspects: &[Suspect]) -> Result<Vec<(RecordId, Look)>> {
        let entity = &self.lease.run.entity_type;
        let ids: Vec<RecordId> = suspects.iter().map(|suspect| suspect.id.clone()).collect();
        let working = || self.executor.store.in_work(entity, &ids);
        let in_work = self.patience().store("looking for work on records", working).await?;
        let known = || self.executor.mirror.states(entity, &ids);
        let states = self.patience().store("reading the states of records", known).await?;
        let quiet: Vec<RecordId> =
            ids.iter().filter(|id| !in_work.contains(*id) && !self.was_seen(states.get(*id))).cloned().collect();
        let reads = if quiet.is_empty() { Vec::new() } else { self.fetch(&quiet).await? };
        let compare = || self.executor.mirror.compare(self.source.schema(), &reads);
        let differing = self.patience().store("comparing whole records", compare).await?;
        let mut shown: HashMap<RecordId, Look> =
            reads.iter().map(|read| (read.key.id.clone(), self.look(read, &states, &differing))).collect();
        let decided = suspects.iter().map(|suspect| {
            let look = shown.remove(&suspect.id).unwrap_or(Look::Again);
            let is_last = look == Look::Again && suspect.looks + 1 >= LOOKS;
            (suspect.id.clone(), if is_last { Look::InFlight } else { look })
        });
        Ok(decided.collect())
    }

    fn was_seen(&self, state: Option<&crate::guard::SyncState>) -> bool {
        state.is_some_and(|state| {
            self.is_recent(Some(state.observed.interval().ended)) || self.is_recent(state.version)
        })
    }

    /// Returns true for a time within the last minute. A time of a clock that is far ahead says nothing.
    fn is_recent(&self, at: Option<OffsetDateTime>) -> bool {
        let (now, quiet) = (self.executor.clock.now(), self.executor.settings.quiet);
        at.is_some_and(|at| at > now - quiet && at < now + Duration::from_secs(600))
    }

    fn look(&self, read: &Read, states: &States, differing: &HashMap<RecordId, Difference>) -> Look {
        let difference = differing.get(&read.key.id);
        let Content::Present(record) = &read.content else {
            return difference
                .map_or(Look::Clean, |_| Look::Drift { class: DriftClass::MissingRemote, fields: Vec::new() });
        };
        if self.is_recent(record.version) {
            return Look::Again;
        }
        let Some(difference) = difference else { return Look::Clean };
        if difference.presence != Presence::Live {
            return Look::Drift { class: DriftClass::MissingLocal, fields: Vec::new() };
        }
        let known = states.get(&read.key.id).and_then(|state| state.version);
        let class = if record.version > known { DriftClass::Stale } else { DriftClass::FieldDiff };
        Look::Drift { class, fields: difference.fields.clone() }
    }
}

