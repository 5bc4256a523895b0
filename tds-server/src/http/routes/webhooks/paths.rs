//! Which entity type a webhook path stands for.

use tds_core::record::EntityType;

/// The names of the contract's paths.
const CONTRACT: [&str; 7] = ["products", "customers", "invoices", "bills", "credit-notes", "stock", "prices"];

/// Where Zoho sends webhooks to.
pub(crate) const CONTRACT_ADDRESS: &str = "/api/zoho/webhooks/{entity}";

/// Where the predecessor took them.
pub(crate) const PREDECESSOR_ADDRESS: &str = "/api/tds/webhooks/{entity}";

/// Where an older predecessor took them, up to the name.
pub(crate) const SYNC_ADDRESS: &str = "/api/zoho/sync-";

/// Names of `/api/zoho/sync-…`, which the predecessor answered to.
pub(crate) const SYNC_ALIASES: [&str; 7] = CONTRACT;

/// What the predecessor's paths bring and nothing handles: it is kept under names of its own.
pub(crate) const UNHANDLED: [&str; 3] = ["orders", "payments", "users"];

/// `/api/zoho/webhooks/…` and `/api/zoho/sync-…`.
pub(super) fn of_contract(name: &str) -> Option<EntityType> {
    let known = CONTRACT.contains(&name) || name == "credit_notes";
    if known { name.parse().ok() } else { None }
}

/// `/api/tds/webhooks/…` of the predecessor. Vendors are contacts, and all contacts come to one path; what
/// nothing handles keeps its own name.
pub(super) fn of_predecessor(name: &str) -> Option<EntityType> {
    match name {
        "vendors" => Some(EntityType::from_static("customers")),
        "products" | "customers" | "invoices" | "stock" | "prices" => name.parse().ok(),
        _ if UNHANDLED.contains(&name) => name.parse().ok(),
        _ => None,
    }
}
