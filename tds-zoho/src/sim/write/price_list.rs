//! Price lists.

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
    sample::{self, IQD},
};

pub(super) fn built(records: &Records, entry: &Entry<'_>) -> Result<Object, Refused> {
    require(entry, &["name", "pricebook_type", "sales_or_purchase_type"])?;
    let body = entry.body;
    if let Some(name) = given(body, "name") {
        let is_same = |other: &Object| text(other, "name") == name;
        unique(records, Module::PRICE_LISTS, entry, is_same)
            .map_err(|()| refused::exists("price list", &name))?;
    }
    let mut list = match entry.before {
        Some(before) => before.clone(),
        None => {
            let currency = if text(body, "currency_id") == IQD { "IQD" } else { "USD" };
            object(sample::price_list_unit_of(0, "", currency, &[]))
        }
    };
    copy(body, &mut list, &["pricebook_id", "status", "created_time", "last_modified_time"]);
    if let Some(Value::Array(given)) = body.get("pricebook_items") {
        let rows = given.iter().map(|row| price(records, row));
        list.insert("pricebook_items".to_owned(), Value::Array(rows.collect::<Result<_, _>>()?));
    }
    Ok(list)
}

/// Returns the price of an item, or its brackets.
fn price(records: &Records, given_row: &Value) -> Result<Value, Refused> {
    let row = given_row.as_object().ok_or_else(|| refused::value("pricebook_items"))?;
    let item = given(row, "item_id").and_then(|id| records.get(Module::ITEMS, &id));
    let item = item.ok_or_else(|| refused::unknown("Item"))?;
    let mut price = json!({
        "item_id": field(item, "item_id"),
        "name": field(item, "name"),
        "can_be_sold": true,
        "can_be_purchased": true,
    });
    let shown = |from: &Object, into: &mut Value| {
        into["pricebook_item_id"] = json!("");
        for key in ["pricebook_rate", "pricebook_discount"] {
            into[key] = from.get(key).cloned().unwrap_or_else(|| json!(""));
        }
    };
    match row.get("price_brackets").and_then(Value::as_array) {
        None => shown(row, &mut price),
        Some(brackets) => {
            let rows = brackets.iter().filter_map(Value::as_object).map(|bracket| {
                let mut row = json!({});
                shown(bracket, &mut row);
                for key in ["start_quantity", "end_quantity"] {
                    row[key] = bracket.get(key).cloned().unwrap_or_else(|| json!(""));
                }
                row
            });
            price["price_brackets"] = rows.collect();
        }
    }
    Ok(price)
}
