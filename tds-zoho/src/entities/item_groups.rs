//! Item groups: items that differ only in attributes, such as size and colour. Only Inventory has them, and no rule of
//! Zoho watches them.

use serde_json::{Map, Value, json};
use tds_core::{
    error::Result,
    mirror::MirrorSchema,
    record::{EntityType, Shape},
};

use super::{Descriptor, Detail, Draft, List, Module, Polling, Role, WHOLE, lines::object};
use crate::{
    answer::Api,
    reading::{Column, id, row, text},
};

pub(super) static ITEM_GROUPS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("item_groups"),
        head: Some("item_groups"),
        children: &[],
    },
    api: Api::Inventory,
    scope: "ZohoInventory.items.READ",
    // Zoho documents neither a filter nor an order.
    list: List {
        path: "/itemgroups",
        query: &[],
        keys: &["itemgroups", "item_groups"],
        by_creation: false,
        changes: WHOLE,
        ..List::DOCUMENTS
    },
    // Zoho documents the record without a key around it.
    detail: Detail::Single { path: "/itemgroups", keys: &["item_group", "itemgroup"] },
    id_key: "group_id",
    role: Role::Reference,
    columns: COLUMNS,
    read,
    polling: Polling::Prices,
    simulated: Some(MODULE),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "itemgroups",
    list_key: "itemgroups",
    detail_key: "",
    id_key: "group_id",
    noun: "Item Group",
    in_books: false,
    filtered_by_time: None,
    default_sort: ("", "A"),
    detail_only: &["attributes"],
    list_only: &["created_time", "last_modified_time", "product_type"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("name", &["group_name"]),
    text("unit", &["unit"]),
    text("description", &["description"]),
    text("brand", &["brand"]),
    text("manufacturer", &["manufacturer"]),
    text("status", &["status"]),
    id("tax_zoho_id", &["tax_id"]),
];

/// The columns from which an attribute, or an option of an attribute, is read.
pub(super) const NAME: &[Column] = &[text("name", &["name"])];

/// Reads the attributes with their options. A list row shows only the names of the attributes.
fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    if draft.shape == Shape::List {
        return Ok(());
    }
    let Some(attributes) = record.get("attributes") else { return Ok(()) };
    let mut read = Vec::new();
    for (index, attribute) in each(attributes).enumerate() {
        let place = format!("attributes[{index}]");
        let attribute = object(attribute, &place)?;
        let mut options = Vec::new();
        for (number, option) in attribute.get("options").into_iter().flat_map(each).enumerate() {
            let place = format!("{place}.options[{number}]");
            options.push(name(object(option, &place)?, &place)?);
        }
        read.push(json!({"name": name(attribute, &place)?, "options": options}));
    }
    draft.fields.insert("attributes".to_owned(), Value::Array(read));
    Ok(())
}

fn name(object: &Map<String, Value>, place: &str) -> Result<Value> {
    Ok(row(NAME, object, place)?.remove("name").unwrap_or_default())
}

/// Iterates over the elements of a list. Zoho's own files describe these lists as single objects.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (one, many) = match value {
        Value::Array(many) => (None, many.as_slice()),
        Value::Object(_) => (Some(value), [].as_slice()),
        _ => (None, [].as_slice()),
    };
    one.into_iter().chain(many)
}
