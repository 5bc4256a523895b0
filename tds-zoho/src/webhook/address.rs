//! The record that the address of a webhook names, as in `?invoice_id=460000000567114`.
//!
//! The pairs of an address are glued before they are signed, so that characters can be shifted between them: only the
//! exact id keys of modules are looked at, and all that follows is a read.

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

/// The record that the pairs name; `None` where no pair has the key of a module.
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
