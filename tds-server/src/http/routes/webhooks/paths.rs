//! Maps webhook paths to entity types.

use tds_core::record::EntityType;
use tds_zoho::entities::{Catalogue, Descriptor};

/// The address to which Zoho sends webhooks.
pub(crate) const CONTRACT_ADDRESS: &str = "/api/zoho/webhooks/{entity}";

/// The address at which the predecessor accepted webhooks.
pub(crate) const PREDECESSOR_ADDRESS: &str = "/api/tds/webhooks/{entity}";

/// The beginning of the address at which an older predecessor accepted webhooks; the name follows.
pub(crate) const SYNC_ADDRESS: &str = "/api/zoho/sync-";

/// The names in the predecessor's paths that no handler handles. Their events are kept under these names.
pub(crate) const UNHANDLED: [&str; 3] = ["orders", "payments", "users"];

/// Returns the entity type of a path `/api/zoho/webhooks/…` or `/api/zoho/sync-…`.
pub(super) fn of_contract(catalogue: &Catalogue, name: &str) -> Option<EntityType> {
    catalogue.of_webhook_path(name).map(Descriptor::entity).cloned()
}

/// Returns the entity type of a path `/api/tds/webhooks/…` of the predecessor. Names that no handler handles are kept.
pub(super) fn of_predecessor(catalogue: &Catalogue, name: &str) -> Option<EntityType> {
    match catalogue.iter().find(|descriptor| descriptor.webhooks.predecessor == Some(name)) {
        Some(descriptor) => of_contract(catalogue, descriptor.webhooks.path),
        None => UNHANDLED.contains(&name).then(|| name.parse().ok()).flatten(),
    }
}

/// Returns the names in the predecessor's paths.
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
