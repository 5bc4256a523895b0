//! The form of a written list: rows as they are, or the prices of a price list.

use serde_json::{Map, Value};
use tds_core::outbound::LocalRecord;

use super::findings::Findings;

/// Writes the rows as they are.
pub(super) fn flat(rows: Vec<Map<String, Value>>, _: &LocalRecord, _: &mut Findings) -> Value {
    rows.into_iter().map(Value::Object).collect()
}

/// Writes one entry for each item. In a list with the scheme `volume`, the rows of an item are its brackets.
pub(super) fn prices(rows: Vec<Map<String, Value>>, list: &LocalRecord, found: &mut Findings) -> Value {
    let by_volume = list.value("pricing_scheme").and_then(Value::as_str) == Some("volume");
    let mut entries: Vec<Map<String, Value>> = Vec::new();
    for mut row in rows {
        let Some(item) = row.remove("item_id") else { continue };
        let of_item = |entry: &&mut Map<String, Value>| entry.get("item_id") == Some(&item);
        let known = entries.iter_mut().find(of_item);
        if !by_volume {
            if known.is_some() {
                found.problem(format!("item {item} has two prices, but the scheme is not volume"));
            }
            row.retain(|key, _| !key.ends_with("_quantity"));
            row.insert("item_id".to_owned(), item);
            entries.push(row);
        } else if let Some(Value::Array(brackets)) = known.and_then(|entry| entry.get_mut("price_brackets")) {
            brackets.push(Value::Object(row));
        } else {
            let brackets = Value::Array(vec![Value::Object(row)]);
            entries.push(Map::from_iter([
                ("item_id".to_owned(), item),
                ("price_brackets".to_owned(), brackets),
            ]));
        }
    }
    entries.into_iter().map(Value::Object).collect()
}
