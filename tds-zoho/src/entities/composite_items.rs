//! Composite items: items that are made of other items. Only Inventory has them. Each composite item is an item as well.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{Descriptor, Detail, FILTERED_AND_SORTED, List, Module, Role, Rows, Webhooks};
use crate::{
    answer::Api,
    reading::{Column, decimal, id, text},
};

const COMPONENTS: &str = "composite_item_components";

pub(super) static COMPOSITE_ITEMS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("composite_items"),
        head: Some("composite_items"),
        children: &[Child { table: COMPONENTS, owner: "composite_zoho_id", confirm_shrink: false }],
    },
    api: Api::Inventory,
    scope: "ZohoInventory.compositeitems.READ",
    list: List {
        path: "/compositeitems",
        keys: &["composite_items", "compositeitems"],
        changes: FILTERED_AND_SORTED,
        ..List::DOCUMENTS
    },
    // Zoho documents the record without a key around it; recorded answers have the key.
    detail: Detail::Single { path: "/compositeitems", keys: &["composite_item", "compositeitem"] },
    id_key: "composite_item_id",
    envelopes: &[("composite_item", "composite_item_id"), ("compositeitem", "composite_item_id")],
    role: Role::Master,
    shows: Some("item"),
    whole: &[
        &["name"],
        &["sku"],
        &["unit"],
        &["status"],
        &["rate"],
        &["purchase_rate"],
        &["item_type"],
        &["mapped_items"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    rows: &[Rows { table: COMPONENTS, key: "mapped_items", columns: &[COMPONENT] }],
    webhooks: Some(Webhooks { path: "composite-items", predecessor: None }),
    simulated: Some(MODULE),
    sample: sample!(any_composite_item),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "compositeitems",
    list_key: "composite_items",
    detail_key: "composite_item",
    id_key: "composite_item_id",
    noun: "Composite Item",
    in_books: false,
    filtered_by_time: Some(Api::Inventory),
    hides_inactive: true,
    sort_columns: [
        &[],
        &[
            "name",
            "sku",
            "rate",
            "tax_name",
            "purchase_rate",
            "created_time",
            "last_modified_time",
            "reorder_level",
        ],
    ],
    default_sort: ("name", "A"),
    detail_only: &[
        "mapped_items",
        "inventory_account_id",
        "inventory_account_name",
        "vendor_id",
        "vendor_name",
    ],
    list_only: &["product_type", "combo_type"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("sku", &["sku"]),
    text("name", &["name"]),
    text("unit", &["unit"]),
    text("status", &["status"]),
    decimal("rate", &["rate"]),
    decimal("purchase_rate", &["purchase_rate"]),
    text("item_type", &["item_type"]),
];

const COMPONENT: &[Column] =
    &[id("product_zoho_id", &["item_id"]), text("name", &["name"]), decimal("quantity", &["quantity"])];
