//! Maps webhook paths to entity types.

use tds_core::record::EntityType;
use tds_zoho::entities::{Catalogue, Descriptor};

/// The address to which Zoho sends webhooks.
pub(crate) const CONTRACT_ADDRESS: &str = "/api/zoho/webhooks/{entity}";

/// The address at which the predecessor accepted webhooks.
pub(crate) const PREDECESSOR_ADDRESS: &str = "/api/tds/webhooks/{entity}";

/// The beginning of the address at which an older predecessor accepted webhooks; the name follows.
pub(crate) const SYNC_ADDRESS: &str = "/api/zoho/sync-";

/// Returns the entity type of an address: that of the name in the path, or of the aliases `/api/zoho/sync-…`, whose
/// routes contain the name.
pub(super) fn entity(catalogue: &Catalogue, route: &str, name: Option<&str>) -> Option<EntityType> {
    let route = route.strip_suffix('/').unwrap_or(route);
    let path = match name {
        // Names that no handler handles are kept.
        Some(name) if route == PREDECESSOR_ADDRESS => match catalogue.of_predecessor(name) {
            Some(webhooks) => webhooks.path,
            None => return Catalogue::UNHANDLED.contains(&name).then(|| name.parse().ok()).flatten(),
        },
        Some(name) => name,
        None => route.strip_prefix(SYNC_ADDRESS)?,
    };
    catalogue.of_webhook_path(path).map(Descriptor::entity).cloned()
}

/// Returns the names in the predecessor's paths.
pub(crate) fn predecessor_names(catalogue: &Catalogue) -> Vec<&'static str> {
    let mut names: Vec<&'static str> =
        catalogue.iter().filter_map(|descriptor| descriptor.webhooks.as_ref()?.predecessor).collect();
    for name in Catalogue::UNHANDLED {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
