//! The health of the long tasks of this process.

use async_trait::async_trait;

use super::{ComponentHealth, Probe};
use crate::supervise::Supervisor;

/// Checks whether the tasks run.
pub(crate) struct WorkersProbe {
    /// The number of batches that this process processes at the same time (`TDS_WORKERS`).
    pub(crate) concurrency: usize,
    pub(crate) supervisor: Supervisor,
}

#[async_trait]
impl Probe for WorkersProbe {
    fn name(&self) -> &'static str {
        "workers"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        let restarted = self.supervisor.restarted();
        if !restarted.is_empty() {
            let detail = format!("restarted within the last minute: {}", restarted.join(", "));
            return Some(ComponentHealth::degraded(detail));
        }
        Some(match self.concurrency {
            0 => ComponentHealth::healthy("off in this process (TDS_WORKERS=0)"),
            count => ComponentHealth::healthy(format!("up to {count} batches at once")),
        })
    }
}
