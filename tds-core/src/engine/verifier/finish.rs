//! The end of a verification, after the last of its runs: repairs are looked at, and the checks of money are made.

use super::Verifier;
use crate::{
    error::Result,
    guard::SyncState,
    record::{EntityType, Interval, Read, RecordId, RecordKey},
    runs::RunId,
    verify::{DriftClass, EntityReport, Finding},
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
        for entity in &report.entities {
            let repaired = self.repaired(entity).await?;
            if !repaired.is_empty() {
                self.operator.repaired(entity.run, &repaired).await?;
            }
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
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RecordId> = open.iter().map(|finding| finding.id.clone()).collect();
        let Ok(source) = self.source(&report.entity) else { return Ok(Vec::new()) };
        let absent: Vec<Read> = open.iter().map(|finding| absent(&report.entity, finding)).collect();
        // A live record differs from an absent one.
        let live = self.mirror.compare(source.schema(), &absent).await?;
        let states = self.mirror.states(&report.entity, &ids).await?;
        let is_repaired = |finding: &&&Finding| {
            let is_live = live.contains_key(&finding.id);
            match (finding.class, states.get(&finding.id)) {
                (DriftClass::MissingRemote, _) => !is_live,
                (_, Some(state)) => was_read_since(finding, state) && state.deleted != is_live,
                (_, None) => false,
            }
        };
        Ok(open.iter().filter(is_repaired).map(|finding| finding.id.clone()).collect())
    }
}

fn was_read_since(finding: &Finding, state: &SyncState) -> bool {
    state.observed.interval().ended >= finding.looked_at
}

fn absent(entity: &EntityType, finding: &Finding) -> Read {
    let seen = Interval { began: finding.looked_at, ended: finding.looked_at };
    Read::whole(RecordKey::new(entity.clone(), finding.id.clone()), seen, None)
}
