//! Zoho Inventory, beside Zoho Books.

use async_trait::async_trait;
use tds_zoho::ZohoClient;

use crate::app::health::{ComponentHealth, Probe};

/// Does Inventory let the organization in?
pub struct InventoryProbe(ZohoClient);

impl InventoryProbe {
    /// Asks this client.
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
            None => ComponentHealth::healthy("no refusal was heard"),
            // It is no fault of an organization that it never had Inventory.
            Some((line, false)) => ComponentHealth::healthy(line),
            Some((line, true)) => ComponentHealth::degraded(line),
        }
    }
}
