//! The record that the address of a webhook names, as in `?invoice_id=460000000567114`.
//!
//! Zoho joins the pairs of an address without separators before it signs them, so characters can be shifted between
//! the pairs. TDS therefore accepts only the exact id keys of modules, and the result is always a read of the record.

use crate::{
    entities::{Descriptor, Modules},
    reading,
};

/// What an address names.
pub(super) enum Named<'a> {
    /// A record of the path's entity type, by its id.
    Own(&'a str),
    /// A record of another module.
    Foreign(&'static str),
}

/// Returns the record that the pairs name; `None` if no pair has the key of a module.
pub(super) fn named<'a>(
    modules: &Modules,
    descriptor: &Descriptor,
    pairs: &'a [(String, String)],
) -> Option<Named<'a>> {
    let is_own = |key: &str| key == descriptor.id_key || descriptor.party_keys().any(|party| party == key);
    let ids = || pairs.iter().filter(|(_, id)| reading::is_record_id(id));
    if let Some((_, id)) = ids().find(|(key, _)| is_own(key)) {
        return Some(Named::Own(id));
    }
    ids().find_map(|(key, _)| modules.of_key(key)).map(Named::Foreign)
}
