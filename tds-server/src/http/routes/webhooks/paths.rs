//! Which entity type a webhook path stands for.

use tds_core::record::EntityType;
use tds_zoho::entities::{Catalogue, Descriptor};

/// Where Zoho sends webhooks to.
pub(crate) const CONTRACT_ADDRESS: &str = "/api/zoho/webhooks/{entity}";

/// Where the predecessor took them.
pub(crate) const PREDECESSOR_ADDRESS: &str = "/api/tds/webhooks/{entity}";

/// Where an older predecessor took them, up to the name.
pub(crate) const SYNC_ADDRESS: &str = "/api/zoho/sync-";

/// What the predecessor's paths bring and nothing handles: it is kept under names of its own.
pub(crate) const UNHANDLED: [&str; 3] = ["orders", "payments", "users"];

/// `/api/zoho/webhooks/…` and `/api/zoho/sync-…`.
pub(super) fn of_contract(catalogue: &Catalogue, name: &str) -> Option<EntityType> {
    catalogue.of_webhook_path(name).map(Descriptor::entity).cloned()
}

/// `/api/tds/webhooks/…` of the predecessor. What nothing handles keeps its own name.
pub(super) fn of_predecessor(catalogue: &Catalogue, name: &str) -> Option<EntityType> {
    match catalogue.iter().find(|descriptor| descriptor.webhooks.predecessor == Some(name)) {
        Some(descriptor) => of_contract(catalogue, descriptor.webhooks.path),
        None => UNHANDLED.contains(&name).then(|| name.parse().ok()).flatten(),
    }
}

/// The names of the predecessor's paths.
pub(crate) fn predecessor_names(catalogue: &Catalogue) -> Vec<&'static str> {
    let mut names: Vec<&'static str> =
        catalogue.iter().filter_map(|descriptor| descriptor.webhooks.predecessor).collect();
    for name in UNHANDLED {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
