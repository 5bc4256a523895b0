//! The schedules in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::{MemoryStore, later};
use crate::{
    engine::{Schedule, ScheduleSpec},
    error::Result,
    queue::WorkerId,
};

#[async_trait]
impl Schedule for MemoryStore {
    async fn lead(&self, worker: &WorkerId, lease: Duration) -> Result<bool> {
        let mut state = self.state();
        let now = state.now.0;
        let other_leads =
            state.leader.as_ref().is_some_and(|(leader, until)| leader != worker && *until > now);
        if !other_leads {
            state.leader = Some((worker.clone(), later(now, lease)));
        }
        Ok(!other_leads)
    }

    async fn resign(&self, worker: &WorkerId) -> Result<()> {
        let mut state = self.state();
        if state.leader.as_ref().is_some_and(|(leader, _)| leader == worker) {
            state.leader = None;
        }
        Ok(())
    }

    async fn due(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ScheduleSpec>> {
        let mut state = self.state();
        let now = state.now.0;
        let mut due = Vec::new();
        for spec in schedules {
            let next = later(now, spec.every);
            let at = state.schedules.entry((spec.entity.clone(), spec.run_type)).or_insert(next);
            if *at <= now {
                due.push(spec.clone());
                *at = next;
            }
            // A period that was shortened takes effect at once.
            *at = (*at).min(next);
        }
        Ok(due)
    }
}
