//! What the stores know about the lists of the sources.

use std::sync::Arc;

use super::{Registry, ScheduleSpec};
use crate::{
    error::Result,
    limits::shared_state::SharedState,
    mirror::Mirror,
    runs::{ListLoad, Period, SyncRunOperator},
    source::ListFacts,
};

/// Reads what is known about lists.
#[derive(Clone)]
pub(super) struct Lists {
    pub(super) runs: Arc<dyn SyncRunOperator>,
    pub(super) mirror: Arc<dyn Mirror>,
    pub(super) shared: Arc<dyn SharedState>,
}

impl Lists {
    /// Returns what is known about each list. The pushed events, and what follows
    /// a change, are not known here.
    pub(super) async fn loads(
        &self,
        registry: &Registry,
        schedules: &[ScheduleSpec],
    ) -> Result<Vec<ListLoad>> {
        let mut loads = Vec::new();
        for entity in registry.polled() {
            let Some(source) = registry.source(entity) else { continue };
            let facts = ListFacts::load(self.shared.as_ref(), entity).await?;
            let profile = source.profile().clone();
            let own = schedules.iter().filter(|spec| spec.entity == *entity);
            loads.push(ListLoad {
                entity: entity.clone(),
                capability: facts.capability.unwrap_or(profile.documented),
                profile,
                history: self.runs.history(entity).await?,
                live: self.mirror.count(source.schema(), None).await?.map(|count| count.live),
                schedules: own.map(|spec| Period { run_type: spec.run_type, every: spec.every }).collect(),
                events: None,
                followers: Vec::new(),
            });
        }
        Ok(loads)
    }
}
