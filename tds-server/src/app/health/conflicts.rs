//! The health of two-way sync: whether a person has to decide conflicts.

use std::sync::Arc;

use async_trait::async_trait;
use tds_core::outbound::OutboxOperator;

use super::{ComponentHealth, Probe};

/// Counts the conflicts that wait for a person.
pub(crate) struct ConflictsProbe(pub(crate) Arc<dyn OutboxOperator>);

#[async_trait]
impl Probe for ConflictsProbe {
    fn name(&self) -> &'static str {
        "conflicts"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(match self.0.open_conflicts().await.ok()? {
            0 => ComponentHealth::healthy("none is open"),
            open => {
                let records = if open == 1 { "record was" } else { "records were" };
                ComponentHealth::degraded(format!(
                    "{open} {records} changed on both sides, and their pushes wait for a decision; `tds-server conflicts \
                     list --status open` shows them"
                ))
            }
        })
    }
}
