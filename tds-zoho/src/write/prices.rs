//! Price lists with their prices.
//!
//! Zoho documents neither custom fields nor a reference number for price lists. A list that a lost answer left behind
//! is found by its name. Whether Zoho removes prices that an update omits is unknown, so an update has all prices.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    arrange,
    contract::{Contract, Field, Form, Idempotence, Lines, Removes, Stamp, Status},
    documents::{CURRENCY, PRODUCT_ID},
    products::ACTIVITY,
};

pub(super) static PRICES: Contract = Contract {
    entity: &EntityType::from_static("prices"),
    noun: "price list",
    path: "/pricebooks",
    scope: "ZohoBooks.settings",
    fields: &[
        Field::new("name", "name", Form::Text(0)).always(),
        Field::new("description", "description", Form::Text(0)),
        CURRENCY,
        Field::new("pricebook_type", "pricebook_type", Form::Text(0)).always(),
        Field::new("pricing_scheme", "pricing_scheme", Form::Text(0)),
        Field::new("sales_or_purchase_type", "sales_or_purchase_type", Form::Text(0)).always(),
        Field::new("percentage", "percentage", Form::Decimal),
        Field::new("is_increase", "is_increase", Form::Bool),
        Field::new("rounding_type", "rounding_type", Form::Text(0)),
    ],
    // Zoho documents no custom fields for price lists.
    read_only: &[super::reasons::because("custom_fields", super::reasons::NO_CALL)],
    lists: &[Lines {
        table: "price_list_items",
        key: "pricebook_items",
        noun: "price",
        fields: &[
            Field::new("product_zoho_id", "item_id", PRODUCT_ID).required(),
            Field::new("start_quantity", "start_quantity", Form::Decimal),
            Field::new("end_quantity", "end_quantity", Form::Decimal),
            Field::new("rate", "pricebook_rate", Form::Decimal),
            Field::new("discount", "pricebook_discount", Form::Text(0)),
        ],
        ignored: &["position"],
        formed_by: &["pricing_scheme"],
        arrange: arrange::prices,
        ..Lines::ROWS
    }],
    status: Some(Status {
        column: "status",
        initial: "active",
        in_force: "active",
        stated: None,
        transitions: ACTIVITY,
        derived: &[],
        reason: "",
    }),
    removes: Removes::Delete { or: Some("inactive") },
    idempotence: Idempotence::Search {
        parameter: Some("search_text"),
        row_key: "name",
        list_keys: &["pricebooks"],
        stamp: Stamp::Column("name"),
    },
    answer: Answer { keys: &["pricebook"], id_key: "pricebook_id" },
    ..Contract::DOCUMENT
};
