//! Stock: the quantities of the items of Zoho Inventory, in total and per location.
//!
//! Stock changes without moving the item's time of change. TDS therefore always reads it from the item itself and
//! never takes it from a pushed body, and stock has no version.

use std::time::Duration;

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    mirror::{Child, MirrorSchema},
    record::{EntityType, Fields, Shape},
};

use super::{Descriptor, Detail, Draft, List, Polling, Role, WHOLE, Webhooks, lines::object, products};
use crate::{
    answer::Api,
    reading::{Column, decimal, id, row, text},
};

const LEVELS: &str = "stock_levels";

pub(super) static STOCK: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("stock"),
        head: None,
        // In one incident, an answer without stock keys emptied a whole shop. TDS therefore reads a set that vanishes
        // once more.
        children: &[Child { table: LEVELS, owner: "product_zoho_id", confirm_shrink: true }],
    },
    api: Api::Inventory,
    scope: "ZohoInventory.items.READ",
    list: List { path: "/items", keys: &["items"], changes: WHOLE, ids_only: has_stock, ..List::DOCUMENTS },
    detail: Detail::Items,
    id_key: "item_id",
    envelopes: &[("item", "item_id")],
    role: Role::Master,
    shows: Some("item"),
    versioned: false,
    needs_detail: false,
    // Nothing says whether Zoho posts stock together with the document that moves it.
    derives_late: Some(Duration::from_secs(60)),
    read,
    webhooks: Some(Webhooks { path: "stock", predecessor: Some("stock") }),
    polling: Polling::Stock,
    matters_most: true,
    simulated: Some(products::MODULE),
    sample: sample!(item),
    ..Descriptor::DOCUMENT
};

/// The columns of the row for the whole organization.
pub(super) const TOTAL: &[Column] = &[
    decimal("stock_on_hand", &["stock_on_hand"]),
    decimal("available_stock", &["available_stock"]),
    decimal("actual_available_stock", &["actual_available_stock"]),
    decimal("committed_stock", &["committed_stock"]),
];

/// The columns of the row for a location. Organizations that were not migrated still have warehouses.
pub(super) const PLACE: &[Column] = &[
    id("location_zoho_id", &["location_id", "warehouse_id"]),
    text("location_name", &["location_name", "warehouse_name"]),
    decimal("stock_on_hand", &["location_stock_on_hand", "warehouse_stock_on_hand"]),
    decimal("available_stock", &["location_available_stock", "warehouse_available_stock"]),
    decimal(
        "actual_available_stock",
        &["location_actual_available_stock", "warehouse_actual_available_stock"],
    ),
    decimal("committed_stock", &["location_committed_stock", "warehouse_committed_stock"]),
];

const NUMBERS: [&str; 4] = ["stock_on_hand", "available_stock", "actual_available_stock", "committed_stock"];

/// Returns true for an item that is kept in stock, according to the keys that it shows.
fn has_stock(record: &Map<String, Value>) -> bool {
    let shown = |fields: &Map<String, Value>, prefix: &str| {
        NUMBERS.iter().any(|name| fields.get(&format!("{prefix}{name}")).is_some_and(is_shown))
    };
    let in_places = places(record)
        .iter()
        .filter_map(Value::as_object)
        .any(|place| shown(place, "location_") || shown(place, "warehouse_"));
    shown(record, "") || in_places
}

fn is_shown(value: &Value) -> bool {
    !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty())
}

fn places(record: &Map<String, Value>) -> &[Value] {
    let list = |key: &str| record.get(key).and_then(Value::as_array).filter(|places| !places.is_empty());
    list("locations").or_else(|| list("warehouses")).map_or(&[], Vec::as_slice)
}

fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    let stocked = has_stock(record);
    if draft.shape == Shape::List && stocked {
        // A list shows no locations, so it says nothing about the rows.
        return Ok(());
    }
    let rows = if stocked { levels(record)? } else { Vec::new() };
    draft.children.insert(LEVELS.to_owned(), rows);
    Ok(())
}

fn levels(record: &Map<String, Value>) -> Result<Vec<Fields>> {
    let mut total = row(TOTAL, record, "item")?;
    total.insert("location_zoho_id".to_owned(), Value::String(String::new()));
    total.insert("location_name".to_owned(), Value::Null);
    let mut rows = vec![total];
    for (index, place) in places(record).iter().enumerate() {
        let name = format!("locations[{index}]");
        let level = row(PLACE, object(place, &name)?, &name)?;
        if level.get("location_zoho_id").is_none_or(Value::is_null) {
            return Err(Error::invalid(format!("{name} has no location_id")));
        }
        rows.push(level);
    }
    // The rows are compared in their order, so they are sorted independently of the order in the answer.
    rows.sort_by(|one, other| key(one).cmp(key(other)));
    Ok(rows)
}

fn key(row: &Fields) -> &str {
    row.get("location_zoho_id").and_then(Value::as_str).unwrap_or_default()
}
