//! Inventory adjustments.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    entry::{Entry, copy, require},
    given, lines,
    refusal::{self as refused, Refused},
};
use crate::sim::{
    literal::{Object, decimal, field, object},
    module::Module,
    records::Records,
    sample::{self, PLACES},
};

pub(super) fn built(records: &Records, entry: &Entry<'_>) -> Result<Object, Refused> {
    require(entry, &["date", "reason", "adjustment_type", "line_items"])?;
    let body = entry.body;
    let mut adjustment = match entry.before {
        Some(before) => before.clone(),
        None => {
            let mut new = object(sample::adjustment(0, &Value::Null, Decimal::ZERO));
            new.insert("reference_number".to_owned(), json!(""));
            new
        }
    };
    copy(body, &mut adjustment, &["inventory_adjustment_id", "total", "created_time", "last_modified_time"]);
    let place = given(body, "location_id").unwrap_or_else(|| PLACES[0].0.to_owned());
    let known = PLACES.iter().find(|(id, _)| *id == place).ok_or_else(|| refused::unknown("Location"))?;
    adjustment.insert("location_name".to_owned(), json!(known.1));
    if let Some(Value::Array(given)) = body.get("line_items") {
        let rows = given.iter().map(|row| line(records, row, &place));
        adjustment.insert("line_items".to_owned(), Value::Array(rows.collect::<Result<_, _>>()?));
    }
    lines::in_one_place(&adjustment)?;
    Ok(adjustment)
}

fn line(records: &Records, row: &Value, place: &str) -> Result<Value, Refused> {
    let row = row.as_object().ok_or_else(|| refused::value("line_items"))?;
    let item = given(row, "item_id").and_then(|id| records.get(Module::ITEMS, &id));
    let item = item.ok_or_else(|| refused::unknown("Item"))?;
    // Only items of the inventory have stock.
    if !item.contains_key("locations") || !field(row, "quantity_adjusted").is_number() {
        return Err(refused::value("quantity_adjusted"));
    }
    let difference = decimal(field(row, "quantity_adjusted"));
    let sample = sample::adjustment(0, &Value::Object(item.clone()), difference);
    let mut line = sample["line_items"][0].clone();
    line["line_item_id"] = json!("");
    line["location_id"] = json!(given(row, "location_id").unwrap_or_else(|| place.to_owned()));
    Ok(line)
}
