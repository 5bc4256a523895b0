//! The window of a run, and what is known about the list that is read through the window.

use std::{collections::HashMap, time::Duration};

use time::OffsetDateTime;

use super::Listing;
use crate::{
    error::Result,
    guard::{SyncState, is_ahead, report_ahead},
    record::RecordId,
    runs::{
        Run, RunLease, RunPlan, RunType,
        plan::{History, Question, choose, probe_pays},
    },
    source::{Ability, Capability, ListFacts, Listed},
};

/// What is known about the list of one run.
pub(super) struct ListWindow {
    facts: ListFacts,
    documented: Capability,
    /// The time up to which changes were read before this run.
    cursor: Option<OffsetDateTime>,
}

impl Listing<'_> {
    /// Looks up what is known about the list. A cursor that is later than now does not say up to when changes were
    /// read, so the run lists everything and compares it.
    pub(super) async fn window(&self) -> Result<ListWindow> {
        let load = || ListFacts::load(self.lister.shared.as_ref(), &self.lease.run.entity_type);
        let facts = self.patience().store("reading the facts about its list", load).await?;
        let (now, stored) = (self.lister.clock.now(), self.lease.history.cursor);
        let cursor = stored.filter(|cursor| !is_ahead(*cursor, now));
        report_ahead(usize::from(cursor != stored));
        Ok(ListWindow { facts, documented: self.source.profile().documented, cursor })
    }

    /// Chooses how the run reads. Where it is not known what the list can do, or where that was not probed lately, the
    /// list is probed first, if the probe is worth its calls.
    pub(super) async fn plan(&self, window: &mut ListWindow, from: Option<OffsetDateTime>) -> RunPlan {
        let RunLease { run, history, .. } = self.lease;
        let mut question = Question {
            run_type: run.run_type,
            from,
            now: self.lister.clock.now(),
            profile: self.source.profile(),
            capability: window.capability(),
            records: history.last_full_count.and_then(|records| u64::try_from(records).ok()),
            history: History::of(&history.completed),
            probed: false,
        };
        let hopeless = Capability { filter: Ability::Refuted, sort: Ability::Refuted };
        let due = |every: &Duration| {
            window.documented != hopeless
                && !window.facts.is_fresh(question.now, *every)
                && probe_pays(&question, *every)
        };
        if self.lister.settings.probe_every.as_ref().is_some_and(due) {
            self.probe(window).await;
            (question.probed, question.capability) = (true, window.capability());
        }
        choose(&question)
    }

    /// Probes the list. A probe that fails costs nothing but its calls: the documentation of the list counts then, and
    /// answers that contradict it.
    async fn probe(&self, window: &mut ListWindow) {
        let entity = &self.lease.run.entity_type;
        match self.patience().source("probing its list", || self.source.probe(self.lane())).await {
            Ok(capability) => {
                tracing::info!(%entity, %capability, "list probed");
                let probed_at = Some(self.lister.clock.now());
                let facts = ListFacts { capability: Some(capability), probed_at, ..ListFacts::default() };
                self.note(window, facts).await;
            }
            Err(error) => tracing::warn!(%entity, error = %error.chain(), "the list could not be probed"),
        }
    }

    /// Notes what a page showed about the list.
    pub(super) async fn learn(&self, window: &mut ListWindow, learned: Option<Capability>, lag: Duration) {
        let mut facts = window.facts;
        if let Some(learned) = learned {
            let entity = &self.lease.run.entity_type;
            tracing::warn!(%entity, %learned, "the list does not behave as expected; it is read in another way");
            facts.capability = Some(learned);
        }
        facts.lag_seconds = facts.lag_seconds.max(u32::try_from(lag.as_secs()).unwrap_or(u32::MAX));
        if facts != window.facts {
            self.note(window, facts).await;
        }
    }

    /// Notes what is known about the list, and stores it. Facts that cannot be stored are learned again.
    async fn note(&self, window: &mut ListWindow, facts: ListFacts) {
        window.facts = facts;
        let entity = &self.lease.run.entity_type;
        let store = || facts.store(self.lister.shared.as_ref(), entity);
        if let Err(error) = self.patience().store("storing the facts about its list", store).await {
            tracing::warn!(%entity, error = %error.chain(), "the facts about the list could not be stored");
        }
    }
}

impl ListWindow {
    pub(super) fn capability(&self) -> Capability {
        self.facts.capability.unwrap_or(self.documented)
    }

    /// Returns the beginning of the window of an incremental run: the requested time, or the cursor minus an overlap. A
    /// run with a selection has no window.
    pub(super) fn from(&self, run: &Run, least_overlap: Duration) -> Option<OffsetDateTime> {
        if !run.is_whole() || run.run_type == RunType::Full {
            return run.since;
        }
        let overlap = time::Duration::try_from(self.facts.overlap(least_overlap));
        self.cursor.map(|cursor| cursor - overlap.unwrap_or(time::Duration::HOUR))
    }

    /// Returns the longest lag of these rows. A row has a lag where its change happened before the end of the previous
    /// window and is nevertheless new.
    pub(super) fn lag(
        &self,
        from: Option<OffsetDateTime>,
        rows: &[Listed],
        states: &HashMap<RecordId, SyncState>,
    ) -> Duration {
        let (Some(from), Some(read_to)) = (from, self.cursor) else { return Duration::ZERO };
        let lags = rows.iter().filter_map(|row| {
            let version = row.version.filter(|version| (from..read_to).contains(version))?;
            let known = states.get(&row.id).and_then(|state| state.version);
            (known < Some(version)).then_some(read_to - version)
        });
        lags.max().and_then(|lag| Duration::try_from(lag).ok()).unwrap_or_default()
    }
}
