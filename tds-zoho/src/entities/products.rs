//! Products: the items of Zoho Inventory.

use serde_json::{Map, Value};
use tds_core::{error::Result, mirror::MirrorSchema, record::EntityType};

use super::{Descriptor, Detail, Draft, FILTERED_AND_SORTED, List, Module, Role, Webhooks};
use crate::{
    answer::Api,
    reading::{Column, columns, decimal, id, text},
};

pub(super) static PRODUCTS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("products"),
        head: Some("products"),
        children: &[],
    },
    // For its list, Inventory documents the filter by time of change and sorting by it; Books documents neither.
    api: Api::Inventory,
    scope: "ZohoInventory.items.READ",
    // Without the filter by status, the list shows active items only.
    list: List { path: "/items", keys: &["items"], changes: FILTERED_AND_SORTED, ..List::DOCUMENTS },
    detail: Detail::Items,
    id_key: "item_id",
    envelopes: &[("item", "item_id")],
    role: Role::Master,
    shows: Some("item"),
    whole: &[
        &["name", "item_name"],
        &["sku"],
        &["unit"],
        &["status"],
        &["rate"],
        &["purchase_rate"],
        &["description"],
        &["tax_id"],
        // Some bodies have no image keys. Such a body cannot show that an image was removed.
        &["image_name"],
        &["image_document_id"],
        &["custom_fields", "custom_field_hash"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    read,
    webhooks: Some(Webhooks { path: "products", predecessor: Some("products") }),
    matters_most: true,
    simulated: Some(MODULE),
    sample: sample!(item),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "items",
    list_key: "items",
    detail_key: "item",
    id_key: "item_id",
    noun: "Item",
    filtered_by_time: Some(Api::Inventory),
    hides_inactive: true,
    sort_columns: [
        &["name", "rate", "tax_name"],
        &[
            "name",
            "sku",
            "rate",
            "purchase_rate",
            "created_time",
            "last_modified_time",
            "reorder_level",
            "stock_on_hand",
        ],
    ],
    default_sort: ("name", "A"),
    detail_only: &[
        "unit_id",
        "track_inventory",
        "can_be_sold",
        "can_be_purchased",
        "inventory_account_id",
        "vendor_id",
        "pricebook_rate",
        "sales_rate",
        "group_id",
        "group_name",
        "attribute_id1",
        "attribute_name1",
        "attribute_option_id1",
        "attribute_option_name1",
        "attribute_id2",
        "attribute_name2",
        "attribute_option_id2",
        "attribute_option_name2",
        "category_id",
        "category_name",
        "image_id",
        "custom_fields",
        "package_details",
        "preferred_vendors",
        "locations",
        "committed_stock",
        "actual_committed_stock",
        "available_for_sale_stock",
        "actual_available_for_sale_stock",
    ],
    // Lists of Books omit the purchasing and packaging keys as well.
    detail_only_in_books: &[
        "purchase_description",
        "purchase_account_id",
        "purchase_account_name",
        "purchase_rate",
        "part_number",
        "length",
        "width",
        "height",
        "weight",
        "weight_unit",
        "dimension_unit",
        "is_returnable",
    ],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    // Most items of a real organization have no SKU, and several may share one.
    text("sku", &["sku"]),
    text("name", &["name", "item_name"]),
    text("description", &["description"]),
    text("unit", &["unit"]),
    text("status", &["status"]),
    text("item_type", &["item_type"]),
    text("product_type", &["product_type"]),
    decimal("rate", &["rate"]),
    decimal("purchase_rate", &["purchase_rate"]),
    id("tax_zoho_id", &["tax_id"]),
    decimal("tax_percentage", &["tax_percentage"]),
    text("brand", &["brand"]),
    text("manufacturer", &["manufacturer"]),
    id("category_zoho_id", &["category_id"]),
    text("category_name", &["category_name"]),
    text("upc", &["upc"]),
    text("ean", &["ean"]),
    decimal("reorder_level", &["reorder_level"]),
    id("image_document_id", &["image_document_id"]),
    text("image_name", &["image_name"]),
    id("group_zoho_id", &["group_id"]),
];

/// The attributes of an item of an item group: a group has up to three attributes, and each item one option of each.
pub(super) const ATTRIBUTES: [&[Column]; 3] = [
    &[text("name", &["attribute_name1"]), text("option", &["attribute_option_name1"])],
    &[text("name", &["attribute_name2"]), text("option", &["attribute_option_name2"])],
    &[text("name", &["attribute_name3"]), text("option", &["attribute_option_name3"])],
];

/// Reads the options of the item, by the names of the attributes. An item that shows no attribute keys may have
/// attributes nevertheless, unless it says that it is in no group.
fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    let mut options = Map::new();
    let mut are_shown = false;
    for attribute in ATTRIBUTES {
        let mut shown = columns(attribute, record)?;
        are_shown |= !shown.is_empty();
        if let Some(Value::String(name)) = shown.remove("name") {
            options.insert(name, shown.remove("option").unwrap_or_default());
        }
    }
    let is_in_no_group = draft.fields.get("group_zoho_id").is_some_and(Value::is_null);
    if are_shown || is_in_no_group {
        let options = if options.is_empty() { Value::Null } else { Value::Object(options) };
        draft.fields.insert("attribute_values".to_owned(), options);
    }
    Ok(())
}
