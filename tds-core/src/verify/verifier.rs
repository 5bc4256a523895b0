//! The end of verifications: what was repaired is compared once more, and the checks of money are made.

use std::{collections::HashMap, sync::Arc};

use super::{DriftClass, EntityReport, Finding, MoneyCheck, MoneyDifference, VerifyOperator};
use crate::{
    engine::Registry,
    error::{Error, Result},
    guard::SyncState,
    mirror::Mirror,
    record::{Content, EntityType, Read, RecordId, RecordKey, Shape},
    runs::{Run, RunId, SyncRunOperator},
};

/// The number of findings of a run that are read at once.
const ALL: usize = 1_000_000;

/// Completes verifications.
pub struct Verifier {
    pub(crate) operator: Arc<dyn VerifyOperator>,
    pub(crate) runs: Arc<dyn SyncRunOperator>,
    pub(crate) mirror: Arc<dyn Mirror>,
    pub(crate) registry: Registry,
    pub(crate) money: Option<Arc<dyn MoneyCheck>>,
}

impl Verifier {
    /// Completes every verification whose runs have ended. No call is made. Several processes may do this at the same
    /// time.
    ///
    /// # Errors
    /// A store cannot be reached.
    pub async fn finish(&self) -> Result<()> {
        for id in self.operator.unfinished().await? {
            let Some(report) = self.operator.report(Some(id), ALL).await? else { continue };
            for entity in &report.entities {
                self.check_repairs(entity).await?;
            }
            let entities: Vec<EntityType> =
                report.entities.iter().map(|entity| entity.entity.clone()).collect();
            self.operator.finish(id, &self.check_money(&entities).await?).await?;
        }
        Ok(())
    }

    /// Returns the findings of one class of a run.
    pub(super) async fn of_class(&self, run: &Run, class: DriftClass) -> Result<Vec<RecordId>> {
        let id = run.verify.and_then(|part| part.verification).unwrap_or(run.id);
        let report = self.operator.report(Some(id), ALL).await?;
        let own = report.into_iter().flat_map(|report| report.entities).find(|entity| entity.run == run.id);
        let findings = own.into_iter().flat_map(|entity| entity.examples);
        Ok(findings.filter(|finding| finding.class == class).map(|finding| finding.id).collect())
    }

    async fn check_money(&self, entities: &[EntityType]) -> Result<Vec<MoneyDifference>> {
        match &self.money {
            Some(money) => money.check_money(entities).await,
            None => Ok(Vec::new()),
        }
    }

    /// Marks the findings of a run as repaired whose records were read after the look, and that the target now shows.
    async fn check_repairs(&self, entity: &EntityReport) -> Result<()> {
        if !self.repairs(entity.run).await? {
            return Ok(());
        }
        let open: Vec<&Finding> =
            entity.examples.iter().filter(|finding| finding.repaired_at.is_none()).collect();
        let Some(source) = self.registry.source(&entity.entity) else { return Ok(()) };
        for findings in open.chunks(200) {
            let ids: Vec<RecordId> = findings.iter().map(|finding| finding.id.clone()).collect();
            let states = self.mirror.states(&entity.entity, &ids).await?;
            let gone: Vec<Read> = findings.iter().map(|finding| absent(&entity.entity, finding)).collect();
            let live = self.mirror.compare(source.schema(), &gone).await?;
            let is_repaired = |finding: &&&Finding| {
                let is_live = live.contains_key(&finding.id);
                match finding.class {
                    DriftClass::MissingRemote => !is_live,
                    _ => was_read_since(finding, &states).is_some_and(|state| state.deleted != is_live),
                }
            };
            let repaired: Vec<RecordId> =
                findings.iter().filter(is_repaired).map(|finding| finding.id.clone()).collect();
            self.operator.repaired(entity.run, &repaired).await?;
        }
        Ok(())
    }

    async fn repairs(&self, id: RunId) -> Result<bool> {
        let run = self.runs.get_run(id).await?;
        let run = run.ok_or_else(|| Error::not_found(format!("run {id} no longer exists")))?;
        Ok(run.verify.is_some_and(|part| part.repair))
    }
}

/// Returns the state of a record that was read whole after the look. The read was written as a check of the target, so
/// the target shows it.
fn was_read_since<'a>(finding: &Finding, states: &'a HashMap<RecordId, SyncState>) -> Option<&'a SyncState> {
    states.get(&finding.id).filter(|state| state.observed.interval().ended > finding.looked_at)
}

/// Returns a read of an absent record. A live record differs from it.
fn absent(entity: &EntityType, finding: &Finding) -> Read {
    let seen = crate::record::Interval { began: finding.looked_at, ended: finding.looked_at };
    let read = Read::whole(RecordKey::new(entity.clone(), finding.id.clone()), seen, None);
    debug_assert!(matches!((&read.content, read.shape), (Content::Absent, Shape::Detail)));
    read
}
