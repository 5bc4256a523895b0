//! The health of Zoho, from what the client observed. The probe sends no request.

use async_trait::async_trait;
use tds_core::{
    clock::readable,
    limits::budget::{BudgetStatus, Throttle},
};
use tds_zoho::{ZohoClient, ZohoState};

use super::{ComponentHealth, Probe};
use crate::hint::command;

/// Checks whether data can be read from Zoho, and whether the budget allows calls.
pub(crate) struct ZohoProbe(pub(crate) ZohoClient);

impl ZohoProbe {
    /// Returns the health of Zoho at this status of the limits. Nothing is sent, neither to Zoho nor to the store.
    pub(crate) fn health(&self, status: &BudgetStatus) -> ComponentHealth {
        match self.0.health_with(status).state {
            ZohoState::Ok | ZohoState::Unknown if status.throttle() >= Throttle::JournalOnly => {
                ComponentHealth::degraded(
                    "the budget of calls for today is spent; webhooks are stored meanwhile",
                )
            }
            ZohoState::Ok if status.throttle() == Throttle::Frugal => ComponentHealth::healthy(
                "answers; few calls are left today, so reads for webhooks wait a little",
            ),
            ZohoState::Ok => match self.0.ignored_api_domain() {
                None => ComponentHealth::healthy("answers"),
                Some(host) => ComponentHealth::healthy(format!(
                    "answers; the token answer names the API host {host}, which is not followed"
                )),
            },
            ZohoState::Unknown => ComponentHealth::healthy("no call was made yet"),
            ZohoState::Throttled { until, reason } => ComponentHealth::degraded(format!(
                "{reason}; calls continue by themselves at {}",
                readable(until)
            )),
            ZohoState::AuthPaused { reason, what_to_do, hint } => {
                let see = hint.map(|hint| format!("; {}", command(&hint))).unwrap_or_default();
                ComponentHealth::degraded(format!("{reason}: {what_to_do}{see}"))
            }
            ZohoState::Unreachable { reason } => {
                ComponentHealth::degraded(format!("the last call failed: {reason}"))
            }
        }
    }
}

#[async_trait]
impl Probe for ZohoProbe {
    fn name(&self) -> &'static str {
        "zoho"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        // If the store does not answer, the database has its own entry.
        Some(self.health(&self.0.status().await.unwrap_or_default()))
    }
}

/// Checks whether Zoho Inventory accepts calls for the organization.
pub(crate) struct InventoryProbe(pub(crate) ZohoClient);

#[async_trait]
impl Probe for InventoryProbe {
    fn name(&self) -> &'static str {
        "inventory"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(match self.0.missing_inventory() {
            None => ComponentHealth::healthy("Zoho Inventory has refused no call"),
            // An organization that never had Inventory has no fault, so this is not reported as trouble.
            Some((line, false)) => ComponentHealth::healthy(line),
            Some((line, true)) => ComponentHealth::degraded(line),
        })
    }
}
