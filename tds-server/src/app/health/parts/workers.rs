//! The health of the long tasks of this process.

use async_trait::async_trait;

use crate::{
    app::health::{ComponentHealth, Probe},
    supervise::Supervisor,
};

/// Checks whether the tasks run.
pub struct WorkersProbe {
    concurrency: usize,
    supervisor: Supervisor,
}

impl WorkersProbe {
    /// `concurrency`: the number of batches that this process processes at the same time (`TDS_WORKERS`).
    #[must_use]
    pub fn new(concurrency: usize, supervisor: Supervisor) -> Self {
        Self { concurrency, supervisor }
    }
}

#[async_trait]
impl Probe for WorkersProbe {
    fn name(&self) -> &'static str {
        "workers"
    }

    async fn check(&self) -> ComponentHealth {
        let restarted = self.supervisor.restarted();
        if !restarted.is_empty() {
            let detail = format!("restarted within the last minute: {}", restarted.join(", "));
            return ComponentHealth::degraded(detail);
        }
        match self.concurrency {
            0 => ComponentHealth::healthy("off in this process (TDS_WORKERS=0)"),
            count => ComponentHealth::healthy(format!("up to {count} batches at once")),
        }
    }
}
