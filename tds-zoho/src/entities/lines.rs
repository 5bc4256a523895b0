//! The lists of a record that fill child tables, and the columns that documents share.

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    record::{Fields, Shape},
};

use crate::reading::{Column, decimal, id, row, text};

/// A list of a record that fills a child table: one row for each object of the list.
pub struct Rows {
    /// The child table.
    pub table: &'static str,
    /// The key of the list.
    pub key: &'static str,
    /// The columns of a row, without `position`.
    pub columns: &'static [&'static [Column]],
}

/// The columns of a line of a document.
pub const LINE: &[Column] = &[
    id("line_zoho_id", &["line_item_id"]),
    id("product_zoho_id", &["item_id"]),
    text("name", &["name"]),
    text("description", &["description"]),
    text("unit", &["unit"]),
    decimal("quantity", &["quantity"]),
    decimal("rate", &["rate"]),
    // The value is text: `5%` or an amount.
    text("discount", &["discount"]),
    decimal("discount_amount", &["discount_amount"]),
    id("tax_zoho_id", &["tax_id"]),
    text("tax_name", &["tax_name"]),
    decimal("tax_percentage", &["tax_percentage"]),
    decimal("total", &["item_total"]),
];

const STATUS: Column = text("status", &["status"]);
const BALANCE: Column = decimal("balance", &["balance"]);

/// The columns of a document that Zoho changes without moving the time of the last change: a sent invoice becomes
/// overdue by itself, and a payment changes the balance of the document that it pays.
pub const AGEING: &[Column] = &[STATUS, BALANCE];

/// The columns of [`AGEING`], and the amount paid, for documents that are paid, such as invoices and bills.
pub const PAYABLE: &[Column] = &[STATUS, BALANCE, decimal("payment_made", &["payment_made"])];

impl Rows {
    /// Returns the rows of the child table.
    pub(super) fn read(&self, list: &Value) -> Result<Vec<Fields>> {
        let key = self.key;
        let items = list.as_array().ok_or_else(|| Error::invalid(format!("{key} is not a list")))?;
        let mut rows = Vec::with_capacity(items.len());
        for ((index, item), position) in items.iter().enumerate().zip(positions(items)) {
            let place = format!("{key}[{index}]");
            let item = object(item, &place)?;
            let mut fields = Fields::from_iter([("position".to_owned(), Value::from(position))]);
            for columns in self.columns {
                fields.extend(row(columns, item, &place)?);
            }
            rows.push(fields);
        }
        Ok(rows)
    }
}

/// Returns a value of a list as an object. `place` names the value in the error.
pub(super) fn object<'a>(item: &'a Value, place: &str) -> Result<&'a Map<String, Value>> {
    item.as_object().ok_or_else(|| Error::invalid(format!("{place} is not an object")))
}

/// Refuses a pushed body in which a list is empty that seldom is. The list may not have been filled in, and an empty list
/// erases the rows of its table, so the record is read.
pub(super) fn filled(record: &Map<String, Value>, key: &str, shape: Shape) -> Result<()> {
    let is_empty = record.get(key).and_then(Value::as_array).is_some_and(Vec::is_empty);
    if shape == Shape::Webhook && is_empty {
        return Err(Error::invalid(format!("{key} is empty in a pushed body")));
    }
    Ok(())
}

/// Returns the position of each line, from 1: by `item_order` if it distinguishes the lines, otherwise in the order
/// of arrival.
fn positions(items: &[Value]) -> Vec<u32> {
    let stated: Vec<u32> = items.iter().filter_map(order).filter(|order| *order > 0).collect();
    let mut distinct = stated.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() == items.len() { stated } else { (1..).take(items.len()).collect() }
}

fn order(item: &Value) -> Option<u32> {
    match item.get("item_order")? {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|order: &u32| i32::try_from(*order).is_ok())
}
