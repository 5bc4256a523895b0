//! Tests that the columns are read from keys that Zoho is known to write.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Catalogue;
use crate::reading::Column;

#[derive(Deserialize)]
struct Keys {
    kinds: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// Spellings that are accepted although no source shows that Zoho writes them there: names that sibling records have,
/// and names in organizations that still have warehouses.
const LENIENT: [&str; 17] = [
    "bill.discount",
    "bill_line.discount",
    "bill_line.discount_amount",
    "credit_note.adjustment",
    "credit_note.discount",
    "credit_note.salesperson_name",
    "credit_note.shipping_charge",
    "credit_note_line.discount_amount",
    "credit_note_line.tax_name",
    "credit_note_line.tax_percentage",
    "item.updated_time",
    "item_location.warehouse_actual_available_stock",
    "item_location.warehouse_available_stock",
    "item_location.warehouse_committed_stock",
    "price_list.created_time",
    "price_list.pricebook_name",
    "price_list.updated_time",
];

#[test]
fn columns_are_read_from_keys_that_zoho_is_known_to_write() {
    let keys: Keys =
        serde_json::from_str(include_str!("../../tests/data/zoho-keys.json")).expect("key names");
    let written = |kind: &str, key: &str| keys.kinds[kind].values().any(|names| names.contains(key));
    let mut unknown = BTreeSet::new();
    for (kinds, columns) in Catalogue::default().iter().flat_map(|descriptor| descriptor.columns) {
        let last = kinds.last().expect("a kind");
        let unwritten =
            columns.iter().flat_map(Column::keys).filter(|key| !kinds.iter().any(|kind| written(kind, key)));
        unknown.extend(unwritten.map(|key| format!("{}.{key}", kinds.get(1).unwrap_or(last))));
    }
    assert_eq!(unknown, BTreeSet::from(LENIENT.map(str::to_owned)));
}
