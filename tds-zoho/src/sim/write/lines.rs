//! The lines of documents.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    entry::{Entry, copy},
    given,
    kinds::Kind,
    refusal::{self as refused, Refused},
};
use crate::sim::{
    literal::{Object, decimal, field, object, text},
    module::Module,
    records::Records,
    sample::Line,
};

/// Keys of lines that Zoho computes, and keys that are written in another way.
const COMPUTED: [&str; 6] =
    ["item_total", "discount_amount", "tax_name", "tax_percentage", "bcy_rate", "line_item_id"];

/// Returns the lines of a document: the given ones, which replace the others. A line that names a `line_item_id` of
/// the document keeps the id.
pub(super) fn built(
    records: &Records,
    kind: &Kind,
    party: &Value,
    entry: &Entry<'_>,
    given: &[Value],
) -> Result<Value, Refused> {
    let lines = given.iter().zip(1_u64..).map(|(line, position)| {
        let line = line.as_object().ok_or_else(|| refused::value("line_items"))?;
        one(records, kind, party, entry, line, position)
    });
    lines.collect::<Result<Vec<Value>, Refused>>().map(Value::Array)
}

fn one(
    records: &Records,
    kind: &Kind,
    party: &Value,
    entry: &Entry<'_>,
    line: &Object,
    position: u64,
) -> Result<Value, Refused> {
    let known = match given(line, "line_item_id") {
        None => None,
        Some(id) => Some(of_document(entry, &id).ok_or_else(|| refused::value("line_item_id"))?),
    };
    let item_id = given(line, "item_id").or_else(|| given(known?, "item_id")).unwrap_or_default();
    let item = records.get(Module::ITEMS, &item_id).ok_or_else(|| refused::unknown("Item"))?;
    let item = Value::Object(item.clone());
    let sold = Line::of(&item, number(line, "quantity", Decimal::ONE)?);
    let rate = number(line, "rate", sold.rate)?;
    let sample = (kind.sample)(0, party, &[Line { rate, ..sold }]);
    let mut row = object(sample["line_items"][0].clone());
    if let Some(known) = known {
        row.extend(known.clone());
    }
    row.insert("item_order".to_owned(), json!(position));
    copy(line, &mut row, &COMPUTED);
    if known.is_none() {
        row.insert("line_item_id".to_owned(), json!(""));
    }
    Ok(Value::Object(row))
}

fn of_document<'a>(entry: &Entry<'a>, id: &str) -> Option<&'a Object> {
    let lines = entry.before?.get("line_items")?.as_array()?;
    lines.iter().filter_map(Value::as_object).find(|line| text(line, "line_item_id") == id)
}

/// Returns a number of a line; this one if the line has none.
fn number(line: &Object, key: &str, absent: Decimal) -> Result<Decimal, Refused> {
    match field(line, key) {
        Value::Null => Ok(absent),
        Value::Number(number) => number.to_string().parse().map_err(|_| refused::value(key)),
        Value::String(text) => text.parse().map_err(|_| refused::value(key)),
        _ => Err(refused::value(key)),
    }
}

/// Refuses lines at another location than the document's.
pub(super) fn in_one_place(document: &Object) -> Result<(), Refused> {
    let place = text(document, "location_id");
    let mut lines = document.get("line_items").and_then(Value::as_array).into_iter().flatten();
    let is_elsewhere = |line: &Value| {
        let own = line["location_id"].as_str().unwrap_or_default();
        !own.is_empty() && !place.is_empty() && own != place
    };
    if lines.any(is_elsewhere) { Err(refused::elsewhere()) } else { Ok(()) }
}

/// Returns the discount of an amount: a percentage as text, or an amount.
pub(super) fn discount(amount: Decimal, discount: &Value) -> Decimal {
    let percent =
        discount.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse().ok());
    percent.map_or_else(
        || decimal(discount),
        |percent: Decimal| (amount * percent / Decimal::ONE_HUNDRED).round_dp(2),
    )
}
