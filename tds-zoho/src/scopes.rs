//! The OAuth scopes that a refresh token needs.

use crate::entities::Catalogue;

/// Further scopes for reading: where Inventory serves what an entity type of Books is also looked up by.
const BESIDE: [&str; 7] = [
    "ZohoBooks.settings.READ",
    "ZohoInventory.settings.READ",
    "ZohoInventory.contacts.READ",
    "ZohoInventory.invoices.READ",
    "ZohoInventory.bills.READ",
    "ZohoInventory.creditnotes.READ",
    "ZohoInventory.inventoryadjustments.READ",
];

/// The scopes for registering webhooks and rules.
const SETTINGS: [&str; 6] = [
    "ZohoBooks.settings.CREATE",
    "ZohoBooks.settings.UPDATE",
    "ZohoBooks.settings.DELETE",
    "ZohoInventory.settings.CREATE",
    "ZohoInventory.settings.UPDATE",
    "ZohoInventory.settings.DELETE",
];

/// Returns the scopes for reading everything that is synced, in alphabetical order, and with `settings` those for
/// registering webhooks and rules after them.
#[must_use]
pub fn scopes(catalogue: &Catalogue, settings: bool) -> Vec<&'static str> {
    let mut scopes: Vec<&'static str> = catalogue.synced().map(|one| one.scope).chain(BESIDE).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.extend(SETTINGS.into_iter().filter(|_| settings));
    scopes
}

/// Returns those of `needed` that `granted` does not include.
#[must_use]
pub fn missing_scopes(needed: &[&'static str], granted: &[String]) -> Vec<&'static str> {
    let includes = |granted: &str, needed: &str| {
        let (granted, needed) = (granted.to_ascii_lowercase(), needed.to_ascii_lowercase());
        let parts: Vec<&str> = needed.split('.').collect();
        let [service, group, _] = parts[..] else { return granted == needed };
        granted == needed
            || granted == format!("{service}.{group}.all")
            || granted == format!("{service}.fullaccess.all")
    };
    needed.iter().copied().filter(|needed| !granted.iter().any(|granted| includes(granted, needed))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scopes_for_reading_only_read_and_those_for_settings_follow() {
        let catalogue = Catalogue::default();
        let (reading, all) = (scopes(&catalogue, false), scopes(&catalogue, true));
        assert!(reading.iter().all(|scope| scope.ends_with(".READ")), "{reading:?}");
        assert!(all.starts_with(&reading) && all.len() == reading.len() + 6);
        let few = catalogue.syncing(["taxes".parse().expect("a name")]);
        assert!(!scopes(&few, false).contains(&"ZohoBooks.invoices.READ"));
    }

    #[test]
    fn a_wider_scope_includes_a_narrower_one() {
        let needed = ["ZohoBooks.settings.READ", "ZohoInventory.items.READ"];
        let missing = |granted: &[&str]| {
            missing_scopes(&needed, &granted.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
        };
        assert!(missing(&["ZohoBooks.settings.ALL", "ZohoInventory.FullAccess.all"]).is_empty());
        assert_eq!(missing(&["ZohoBooks.settings.READ"]), ["ZohoInventory.items.READ"]);
        assert_eq!(missing(&[]), needed);
    }
}
