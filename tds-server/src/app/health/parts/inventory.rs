//! The health of Zoho Inventory, beside Zoho Books.

use async_trait::async_trait;
use tds_zoho::ZohoClient;

use crate::app::health::{ComponentHealth, Probe};

/// Checks whether Zoho Inventory accepts calls for the organization.
pub struct InventoryProbe(ZohoClient);

impl InventoryProbe {
    /// Creates a probe that asks this client.
    #[must_use]
    pub fn new(client: ZohoClient) -> Self {
        Self(client)
    }
}

#[async_trait]
impl Probe for InventoryProbe {
    fn name(&self) -> &'static str {
        "inventory"
    }

    async fn check(&self) -> ComponentHealth {
        match self.0.missing_inventory() {
            None => ComponentHealth::healthy("Zoho Inventory has refused no call"),
            // An organization that never had Inventory has no fault, so this is not reported as trouble.
            Some((line, false)) => ComponentHealth::healthy(line),
            Some((line, true)) => ComponentHealth::degraded(line),
        }
    }
}
