//! What invoices, bills and credit notes share: their lines, and the columns that change as documents age.

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    record::{Fields, Shape},
};

use super::{Draft, TIMES};
use crate::reading::{Column, columns, decimal, id, row, text};

pub(super) const LINE: &[Column] = &[
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

/// Columns that Zoho changes without moving the time of the last change: a sent invoice becomes overdue by itself, and
/// a payment changes the balance of the document that it pays.
pub(super) const AGEING: [Column; 2] = [text("status", &["status"]), decimal("balance", &["balance"])];

/// The additional volatile column of documents that are paid.
pub(super) const PAID: [Column; 1] = [decimal("payment_made", &["payment_made"])];

/// Reads a document that is paid, such as an invoice or a bill: reads the same as [`read_document`], and the amount
/// paid.
///
/// # Errors
/// A value cannot be read.
pub fn read_payable(
    table: &[Column],
    lines: &str,
    record: &Map<String, Value>,
    draft: &mut Draft,
) -> Result<()> {
    read_document(table, lines, record, draft)?;
    draft.volatile.extend(columns(&PAID, record)?);
    Ok(())
}

/// Reads a document: the head with the columns of `table`, the times, the status and the balance, the custom fields,
/// and the `line_items` into the child table `lines`.
///
/// # Errors
/// A value cannot be read.
pub fn read_document(
    table: &[Column],
    lines: &str,
    record: &Map<String, Value>,
    draft: &mut Draft,
) -> Result<()> {
    draft.fields = columns(table, record)?;
    draft.fields.extend(columns(TIMES, record)?);
    draft.volatile = columns(&AGEING, record)?;
    draft.custom_fields(record)?;
    // List rows have no lines. A missing table keeps its rows, while an empty set would erase them.
    if draft.shape != Shape::List
        && let Some(value) = record.get("line_items")
    {
        draft.children.insert(lines.to_owned(), read_lines(value)?);
    }
    Ok(())
}

fn read_lines(value: &Value) -> Result<Vec<Fields>> {
    let items = value.as_array().ok_or_else(|| Error::invalid("line_items is not a list"))?;
    let mut rows = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = format!("line_items[{index}]");
        let item = item.as_object().ok_or_else(|| Error::invalid(format!("{place} is not an object")))?;
        rows.push(row(LINE, item, &place)?);
    }
    for (position, row) in positions(items).into_iter().zip(&mut rows) {
        row.insert("position".to_owned(), Value::from(position));
    }
    Ok(rows)
}

/// Returns the position of each line, from 1: by `item_order` where it distinguishes the lines, otherwise in the order
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
