//! Stock, by inventory adjustments.
//!
//! Nobody can set stock in Zoho; an adjustment adds a difference. The record of this contract is such an adjustment: its
//! head has `date`, `reason`, `description` and `location_zoho_id`, and each row of `stock_levels` has a product and
//! `quantity_adjusted`. [`differences`] computes the rows from the levels before and after.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;
use tds_core::{
    error::{Error, Result},
    record::{EntityType, Fields},
};

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Idempotence, Lines, Removes, Stamp},
    documents::{DATE, LOCATION, PRODUCT_ID},
    reasons::because,
    value,
};
use crate::answer::Api;

const LEVELS: &str = "stock_levels";
/// The column of a row with the difference.
pub const DIFFERENCE: &str = "quantity_adjusted";

pub(super) static STOCK: Contract = Contract {
    entity: &EntityType::from_static("stock"),
    noun: "stock adjustment",
    create_api: Api::Inventory,
    api: Api::Inventory,
    path: "/inventoryadjustments",
    scope: "ZohoInventory.inventoryadjustments",
    constants: &[("adjustment_type", "quantity")],
    fields: &[
        DATE.required().at_creation(),
        Field::new("reason", "reason", Form::Text(0)).required().at_creation(),
        Field::new("description", "description", Form::Text(0)).at_creation(),
        LOCATION.at_creation(),
    ],
    read_only: &[
        because("stock_on_hand", ADJUST),
        because("available_stock", ADJUST),
        because("actual_available_stock", ADJUST),
        because("committed_stock", "it follows from sales orders"),
    ],
    lists: &[Lines {
        table: LEVELS,
        key: "line_items",
        noun: "item",
        fields: &[
            Field::new("product_zoho_id", "item_id", PRODUCT_ID).required(),
            Field::new(DIFFERENCE, "quantity_adjusted", Form::Decimal).required(),
            LOCATION,
        ],
        ignored: &[
            "location_name",
            "stock_on_hand",
            "available_stock",
            "actual_available_stock",
            "committed_stock",
        ],
        required: true,
        ..Lines::ROWS
    }],
    removes: Removes::Never("an adjustment is a fact: enter the opposite difference"),
    // Zoho documents no parameter for the list, so its rows are compared.
    idempotence: Idempotence::Search {
        parameter: None,
        row_key: "reference_number",
        list_keys: &["inventory_adjustments"],
        stamp: Stamp::Key,
    },
    answer: Answer { keys: &["inventory_adjustment"], id_key: "inventory_adjustment_id" },
    finish: |adjustment, _, _, found| {
        // Zoho answers code 27520 to an adjustment whose lines are elsewhere than its head.
        let rows = || adjustment.children.get(LEVELS).into_iter().flatten();
        let place = adjustment.value("location_zoho_id").or_else(|| rows().next()?.get("location_zoho_id"));
        let is_elsewhere = |row: &Fields| row.get("location_zoho_id").is_some_and(|own| Some(own) != place);
        if rows().any(is_elsewhere) {
            found.problem("it has items of several locations: enter one adjustment for each location");
        }
    },
    ..Contract::DOCUMENT
};

const ADJUST: &str = "stock cannot be set: enter an adjustment";

/// Returns the rows of the adjustments that lead from the levels before to the levels after, by location: one
/// adjustment for each location. The row of the whole organization (`location_zoho_id` is empty) counts only for items
/// without rows of locations. Levels that are equal give no row.
///
/// # Errors
/// `Invalid`: a level is not a number.
pub fn differences(before: &[Fields], after: &[Fields]) -> Result<BTreeMap<String, Vec<Fields>>> {
    let old = by_place(before)?;
    let new = by_place(after)?;
    let mut rows: BTreeMap<String, Vec<Fields>> = BTreeMap::new();
    let places: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for key in places {
        let (product, place) = key;
        let is_total =
            place.is_empty() && new.keys().any(|(other, place)| other == product && !place.is_empty());
        let level = |levels: &BTreeMap<_, Decimal>| levels.get(key).copied().unwrap_or_default();
        let difference = level(&new) - level(&old);
        if is_total || difference.is_zero() {
            continue;
        }
        let mut row = Fields::from_iter([
            ("product_zoho_id".to_owned(), Value::from(product.as_str())),
            (DIFFERENCE.to_owned(), Value::from(difference.to_string())),
        ]);
        if !place.is_empty() {
            row.insert("location_zoho_id".to_owned(), Value::from(place.as_str()));
        }
        rows.entry(place.clone()).or_default().push(row);
    }
    Ok(rows)
}

fn by_place(levels: &[Fields]) -> Result<BTreeMap<(String, String), Decimal>> {
    let text =
        |row: &Fields, column: &str| row.get(column).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut known = BTreeMap::new();
    for row in levels {
        let level = row.get("stock_on_hand").unwrap_or(&Value::Null);
        if level.is_null() {
            continue;
        }
        let level = value::number(level).ok().and_then(|number| number.to_string().parse().ok());
        let level = level.ok_or_else(|| Error::invalid("stock_on_hand is not a number"))?;
        known.insert((text(row, "product_zoho_id"), text(row, "location_zoho_id")), level);
    }
    Ok(known)
}
