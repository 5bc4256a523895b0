//! Items.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    entry::{Entry, copy, require, unique},
    given,
    refusal::{self as refused, Refused},
};
use crate::sim::{
    literal::{Object, field, object, text},
    module::Module,
    records::Records,
    sample,
};

/// Keys that Zoho computes, and keys that are written in another way.
const COMPUTED: [&str; 12] = [
    "item_id",
    "item_name",
    "status",
    "stock_on_hand",
    "available_stock",
    "actual_available_stock",
    "committed_stock",
    "available_for_sale_stock",
    "tax_name",
    "tax_percentage",
    "created_time",
    "last_modified_time",
];

pub(super) fn built(records: &Records, entry: &Entry<'_>) -> Result<Object, Refused> {
    require(entry, &["name", "rate"])?;
    let body = entry.body;
    if !matches!(field(body, "rate"), Value::Number(_) | Value::Null) {
        return Err(refused::value("rate"));
    }
    for key in ["name", "sku"] {
        let Some(value) = given(body, key) else { continue };
        unique(records, Module::ITEMS, entry, |other| text(other, key) == value)
            .map_err(|()| refused::exists(if key == "sku" { "item with the SKU" } else { "item" }, &value))?;
    }
    let mut item = match entry.before {
        Some(before) => before.clone(),
        None => new(text(body, "item_type") == "inventory"),
    };
    copy(body, &mut item, &COMPUTED);
    for (key, from) in [("item_name", "name"), ("sales_rate", "rate")] {
        item.insert(key.to_owned(), field(&item, from).clone());
    }
    let tax = records.get(Module::TAXES, text(&item, "tax_id"));
    let percentage = tax.map_or_else(|| json!(0), |tax| field(tax, "tax_percentage").clone());
    item.insert("tax_percentage".to_owned(), percentage);
    Ok(item)
}

/// Returns an item without a name. Only an item of the inventory has stock.
fn new(is_stocked: bool) -> Object {
    let mut item = if is_stocked { sample::item(0) } else { sample::service(0) };
    if is_stocked {
        sample::set_stock(&mut item, &[], Decimal::ZERO);
    }
    let mut item = object(item);
    for key in ["sku", "description", "brand", "category_id", "category_name", "unit"] {
        item.insert(key.to_owned(), json!(""));
    }
    item.insert("custom_fields".to_owned(), json!([]));
    item
}
