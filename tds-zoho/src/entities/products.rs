//! Products: the items of Zoho Inventory.

use tds_core::{mirror::MirrorSchema, record::EntityType};

use super::{Descriptor, Detail, FILTERED_AND_SORTED, List, Module, Role, Webhooks};
use crate::{
    answer::Api,
    reading::{Column, decimal, id, text},
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
    webhooks: Webhooks { path: "products", predecessor: Some("products") },
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
