//! What documents move: the records whose values Zoho derives from them, without moving the time of change of these
//! records.

use serde_json::{Map, Value};
use tds_core::record::{EntityType, Moves, RecordId};

use crate::reading;

/// The places in a document that name records of one entity type whose values Zoho derives from the document.
pub struct Moved {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The places of their ids. The keys of a place are separated by dots, and a key of a list means each of its
    /// values: `line_items.item_id`. Each place counts where the document has it.
    pub places: &'static [&'static str],
    /// The records also follow the derived values of the document: an order is paid when its invoice is.
    pub through: bool,
}

/// The stock of the items in the lines. Zoho also counts drafts and orders, so every document with lines moves stock.
pub const LINE_STOCK: Moved = Moved::of("stock", &["line_items.item_id"]);
/// The customer, whose balance follows the documents.
pub const CUSTOMER: Moved = Moved::of("customers", &["customer_id"]);
/// The vendor, whose balance follows the documents.
pub const VENDOR: Moved = Moved::of("vendors", &["vendor_id"]);

impl Moved {
    /// Returns the declaration of records that follow a change of the document itself.
    #[must_use]
    pub const fn of(entity: &'static str, places: &'static [&'static str]) -> Self {
        Self { entity: EntityType::from_static(entity), places, through: false }
    }

    /// Returns the declaration of records that also follow the derived values of the document.
    #[must_use]
    pub const fn through(entity: &'static str, places: &'static [&'static str]) -> Self {
        Self { entity: EntityType::from_static(entity), places, through: true }
    }
}

/// Returns what a document moves; `None` if the entity type moves nothing. An id that cannot be one of Zoho's is
/// left out: it must not make the document unreadable.
pub(crate) fn of(moved: &[Moved], document: &Map<String, Value>) -> Option<Moves> {
    if moved.is_empty() {
        return None;
    }
    let mut moves = Moves::default();
    for Moved { entity, places, through } in moved {
        for place in *places {
            let mut keys = place.split('.');
            let found = keys.next().and_then(|key| document.get(key));
            let mut ids = Vec::new();
            found.into_iter().for_each(|value| collect(value, keys.clone(), &mut ids));
            for id in ids {
                let add = if *through { Moves::add_through } else { Moves::add };
                add(&mut moves, entity.clone(), RecordId::new(id));
            }
        }
    }
    Some(moves)
}

fn collect<'k>(value: &Value, keys: impl Iterator<Item = &'k str> + Clone, ids: &mut Vec<String>) {
    if let Value::Array(values) = value {
        values.iter().for_each(|value| collect(value, keys.clone(), ids));
        return;
    }
    let mut rest = keys;
    match rest.next() {
        None => ids.extend(reading::as_record_id(value, "id").ok()),
        Some(key) => {
            if let Some(inner) = value.get(key) {
                collect(inner, rest, ids);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moved(moved: &[Moved], document: &Value) -> Option<Vec<String>> {
        let moves = of(moved, document.as_object().expect("an object"))?;
        Some(moves.all().map(|key| key.to_string()).collect())
    }

    #[test]
    fn ids_are_found_in_lists_of_objects_in_lists_of_ids_and_beside_them() {
        const BILL: [Moved; 3] = [
            LINE_STOCK,
            VENDOR,
            Moved::through("purchase_orders", &["purchaseorder_ids", "purchaseorders.purchaseorder_id"]),
        ];
        let bill = json!({
            "vendor_id": 77,
            "line_items": [{"item_id": "2"}, {"item_id": "1"}, {"item_id": ""}, {"name": "by hand"}, {"item_id": "1"}],
            "purchaseorder_ids": ["8"],
            "purchaseorders": [{"purchaseorder_id": "9"}],
        });
        let expected = ["stock 1", "stock 2", "vendors 77", "purchase_orders 8", "purchase_orders 9"];
        assert_eq!(moved(&BILL, &bill), Some(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_is_not_an_id_is_left_out_and_other_types_move_nothing() {
        let odd = json!({"customer_id": {"id": 1}, "line_items": [{"item_id": "a/b"}, 7, null]});
        assert_eq!(moved(&[LINE_STOCK, CUSTOMER], &odd), Some(Vec::new()));
        assert_eq!(moved(&[], &odd), None);
    }
}
