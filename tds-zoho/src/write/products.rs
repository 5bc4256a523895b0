//! Products.
//!
//! Only Books documents the upsert by a unique custom field, and only Inventory documents the unit and the codes of an
//! item. A product is therefore created in Books, and an update in Inventory adds the rest.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Removes, Status, Transition},
    documents::CUSTOM_FIELDS,
    reasons::{NO_CALL, because},
};
use crate::answer::Api;

pub(super) static PRODUCTS: Contract = Contract {
    entity: &EntityType::from_static("products"),
    noun: "product",
    api: Api::Inventory,
    path: "/items",
    scope: "ZohoInventory.items",
    create_scope: Some("ZohoBooks.settings"),
    fields: &[
        Field::new("name", "name", Form::Text(100)).always(),
        Field::new("rate", "rate", Form::Decimal).always(),
        Field::new("sku", "sku", Form::Text(100)),
        Field::new("description", "description", Form::Text(0)),
        Field::new("purchase_rate", "purchase_rate", Form::Decimal),
        Field::new("tax_zoho_id", "tax_id", Form::Id),
        Field::new("item_type", "item_type", Form::Text(0)).at_creation(),
        Field::new("product_type", "product_type", Form::Text(0)).at_creation(),
        Field::new("reorder_level", "reorder_level", Form::OptionalDecimal),
        Field::new("unit", "unit", Form::Text(100)).after_creation(),
        Field::new("upc", "upc", Form::Text(0)).after_creation(),
        Field::new("ean", "ean", Form::Text(0)).after_creation(),
        CUSTOM_FIELDS,
    ],
    read_only: &[
        because("tax_percentage", "it belongs to the tax: change tax_zoho_id"),
        because("brand", NO_CALL),
        because("manufacturer", NO_CALL),
        because("category_zoho_id", NO_CALL),
        because("category_name", NO_CALL),
        because("image_document_id", IMAGE),
        because("image_name", IMAGE),
        because("group_zoho_id", "an item is grouped in Zoho"),
        because("attribute_values", "the options of an item belong to its group: change them in Zoho"),
    ],
    status: Some(Status {
        column: "status",
        initial: "active",
        in_force: "active",
        stated: None,
        transitions: ACTIVITY,
        derived: &[],
        reason: "",
    }),
    // Zoho deletes no item that a document names.
    removes: Removes::Delete { or: Some("inactive") },
    answer: Answer { keys: &["item"], id_key: "item_id" },
    ..Contract::DOCUMENT
};

const IMAGE: &str = "images are uploaded with a call of their own: change the image in Zoho";

/// The statuses of records that are not documents.
pub(super) const ACTIVITY: &[Transition] = &[
    Transition { from: &["inactive"], to: "active", call: "active" },
    Transition { from: &["active"], to: "inactive", call: "inactive" },
];
