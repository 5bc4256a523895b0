//! Prices: price lists with their items and quantity brackets.
//!
//! The detail of a price list is undocumented, but works. It has no time of change; the list row has one. Whether that
//! time moves with every change of an item is unknown, so details are read again by age.

use std::time::Duration;

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    mirror::{Child, MirrorSchema},
    record::{EntityType, Fields, Shape},
};

use super::{Descriptor, Detail, Draft, List, Module, Polling, Role, WHOLE, Webhooks, lines::object};
use crate::reading::{self, Column, decimal, id, row, text};

const ITEMS: &str = "price_list_items";

pub(super) static PRICES: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("prices"),
        head: Some("price_lists"),
        // In one incident, an empty set that had been fetched replaced a good price table.
        children: &[Child { table: ITEMS, owner: "price_list_zoho_id", confirm_shrink: true }],
    },
    scope: "ZohoBooks.settings.READ",
    list: List {
        path: "/pricebooks",
        query: &[],
        keys: &["pricebooks"],
        by_creation: false,
        changes: WHOLE,
        ..List::DOCUMENTS
    },
    // Through the base URL of Inventory, the detail may come without items.
    detail: Detail::Single { path: "/pricebooks", keys: &["pricebook"] },
    id_key: "pricebook_id",
    envelopes: &[
        ("pricebook", "pricebook_id"),
        ("price_list", "pricebook_id"),
        ("pricelist", "pricebook_id"),
    ],
    role: Role::Reference,
    detail_max_age: Some(Duration::from_secs(24 * 60 * 60)),
    columns: COLUMNS,
    read,
    webhooks: Some(Webhooks { path: "prices", predecessor: Some("prices") }),
    polling: Polling::Prices,
    matters_most: true,
    simulated: Some(MODULE),
    sample: sample!(any_price_list),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "pricebooks",
    list_key: "pricebooks",
    detail_key: "pricebook",
    id_key: "pricebook_id",
    noun: "Price List",
    filtered_by_time: None,
    default_sort: ("", "A"),
    page_in_books: 200,
    detail_only: &["created_time", "is_default", "products", "pricebook_items"],
    list_only: &["created_time", "last_modified_time"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("name", &["name", "pricebook_name"]),
    text("description", &["description"]),
    // In one incident, prices without their currency were shown wrong by a factor of 1,500.
    text("currency_code", &["currency_code"]),
    text("pricebook_type", &["pricebook_type"]),
    text("pricing_scheme", &["pricing_scheme"]),
    text("sales_or_purchase_type", &["sales_or_purchase_type"]),
    decimal("percentage", &["percentage"]),
    reading::bool("is_increase", &["is_increase"]),
    // The value is stored as text: the product has more kinds than the documentation lists, and misspells one of them.
    text("rounding_type", &["rounding_type"]),
    text("status", &["status"]),
];

/// The columns of a price. `rate` is only the price in the list itself; the base rate of the item is not a price of
/// the list.
pub(super) const PRICE: &[Column] = &[
    decimal("start_quantity", &["start_quantity"]),
    decimal("end_quantity", &["end_quantity"]),
    decimal("rate", &["pricebook_rate"]),
    text("discount", &["pricebook_discount"]),
];

pub(super) const PRODUCT: &[Column] = &[id("product_zoho_id", &["item_id"])];

fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    if draft.shape == Shape::List {
        return Ok(());
    }
    let fixed = record.get("pricebook_type").and_then(Value::as_str) == Some("fixed_percentage");
    let rows = match record.get("pricebook_items") {
        Some(Value::Array(items)) => prices(items)?,
        _ if fixed => Vec::new(),
        _ => {
            return Err(Error::new(
                ErrorKind::Protocol,
                Retry::Transient { retry_after: None },
                "the price list came without pricebook_items",
            ));
        }
    };
    draft.children.insert(ITEMS.to_owned(), rows);
    Ok(())
}

fn prices(items: &[Value]) -> Result<Vec<Fields>> {
    let mut rows = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = format!("pricebook_items[{index}]");
        let item = object(item, &place)?;
        let product = row(PRODUCT, item, &place)?;
        if product.values().any(Value::is_null) {
            return Err(Error::invalid(format!("{place} has no item_id")));
        }
        match item.get("price_brackets") {
            Some(Value::Array(brackets)) if !brackets.is_empty() => {
                for (number, bracket) in brackets.iter().enumerate() {
                    let place = format!("{place}.price_brackets[{number}]");
                    rows.push(price(&product, object(bracket, &place)?, &place)?);
                }
            }
            _ => rows.push(price(&product, item, &place)?),
        }
    }
    Ok(rows)
}

fn price(product: &Fields, source: &Map<String, Value>, place: &str) -> Result<Fields> {
    let mut price = row(PRICE, source, place)?;
    price.extend(product.clone());
    Ok(price)
}
