//! The end of a verification, after the last of its runs: repairs are looked at, and the checks of money are made.

use std::collections::HashSet;

use super::Verifier;
use crate::{
    error::Result,
    guard::SyncState,
    record::{EntityType, Interval, Read, RecordId, RecordKey},
    runs::{RunId, RunStatus},
    verify::{DriftClass, EntityReport, Finding, VerifiedRun},
};

impl Verifier {
    /// Completes every verification whose runs have ended. Returns true if a verification is still under way. Several
    /// processes may do this at the same time.
    ///
    /// # Errors
    /// The store or the target cannot be reached. What was done is kept.
    pub(crate) async fn finish_all(&self) -> Result<bool> {
        for id in self.operator.unfinished().await? {
            self.finish(id).await?;
        }
        let newest = self.operator.report(None, 0).await?;
        let under_way = newest.is_some_and(|report| report.completed_at.is_none());
        self.watch.looked(under_way);
        Ok(under_way)
    }

    async fn finish(&self, id: RunId) -> Result<()> {
        let Some(report) = self.operator.report(Some(id), usize::MAX).await? else { return Ok(()) };
        let history = self.operator.history(report.created_at - PAST).await?;
        for entity in &report.entities {
            let repaired = self.repaired(entity).await?;
            if !repaired.is_empty() {
                self.operator.repaired(entity.run, &repaired).await?;
            }
            self.not_found_again(entity, &history).await?;
        }
        let entities: Vec<EntityType> = report.entities.iter().map(|entity| entity.entity.clone()).collect();
        let money = match &self.money {
            Some(money) => money.check_money(&entities).await?,
            None => Vec::new(),
        };
        self.operator.finish(id, &money).await?;
        tracing::info!(verification = %id, "verification completed");
        Ok(())
    }

    /// Returns the findings that are equal again: the whole record was read, and accepted, after the look that found the
    /// difference. What is accepted is compared with the rows of the target, and written if they differ.
    async fn repaired(&self, report: &EntityReport) -> Result<Vec<RecordId>> {
        let open: Vec<&Finding> =
            report.examples.iter().filter(|finding| finding.repaired_at.is_none()).collect();
        if open.is_empty() || !report.repairs {
            return Ok(Vec::new());
        }
        let ids: Vec<RecordId> = open.iter().map(|finding| finding.id.clone()).collect();
        let Ok(source) = self.source(&report.entity) else { return Ok(Vec::new()) };
        let absent: Vec<Read> = open.iter().map(|finding| absent(&report.entity, finding)).collect();
        // A live record differs from an absent one.
        let live = self.mirror.compare(source.schema(), &absent).await?;
        let states = self.mirror.states(&report.entity, &ids).await?;
        // All repairs of a run without errors have worked, so work that is there now has another cause. A repair that
        // failed is a dead letter, which counts as work.
        let in_work = match report.status {
            RunStatus::Completed => HashSet::new(),
            _ => self.store.in_work(&report.entity, &ids).await?,
        };
        let is_repaired = |finding: &&&Finding| {
            let is_live = live.contains_key(&finding.id);
            match (finding.class, states.get(&finding.id)) {
                _ if in_work.contains(&finding.id) => false,
                (DriftClass::MissingRemote, _) => !is_live,
                (_, Some(state)) => was_read_since(finding, state) && state.deleted != is_live,
                (_, None) => false,
            }
        };
        Ok(open.iter().filter(is_repaired).map(|finding| finding.id.clone()).collect())
    }

    /// Marks the findings of earlier runs as repaired that this run compared and did not find again: a sync or a person
    /// has repaired them.
    async fn not_found_again(&self, report: &EntityReport, history: &[VerifiedRun]) -> Result<()> {
        let is_whole = matches!(report.status, RunStatus::Completed | RunStatus::CompletedWithErrors);
        // Nothing is known about a record that was still changing.
        if !is_whole || report.in_flight > 0 {
            return Ok(());
        }
        let found: HashSet<&RecordId> = report.examples.iter().map(|finding| &finding.id).collect();
        for earlier in history {
            let EntityReport { run, entity, drift, .. } = &earlier.report;
            if *entity != report.entity || *run >= report.run || drift.is_empty() {
                continue;
            }
            let open = self.store.differing(*run).await?.into_iter().map(|(id, _)| id);
            let equal: Vec<RecordId> = open.filter(|id| !found.contains(id)).collect();
            if !equal.is_empty() {
                self.operator.repaired(*run, &equal).await?;
            }
        }
        Ok(())
    }
}

/// The clocks of the store, which notes the looks, and of the processes, which note the reads, may differ by this time.
const SKEW: time::Duration = time::Duration::seconds(5);
/// How far back the findings of earlier runs are looked at.
const PAST: time::Duration = time::Duration::days(90);

/// Returns true if the whole record was read after the look, or was found to be gone.
fn was_read_since(finding: &Finding, state: &SyncState) -> bool {
    let read = state.detail_seen.filter(|_| !state.deleted).unwrap_or(state.observed.interval().ended);
    read > finding.looked_at - SKEW
}

fn absent(entity: &EntityType, finding: &Finding) -> Read {
    let seen = Interval { began: finding.looked_at, ended: finding.looked_at };
    Read::whole(RecordKey::new(entity.clone(), finding.id.clone()), seen, None)
}
