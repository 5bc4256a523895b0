//! Values in Zoho's spelling: amounts with trailing zeros, and times with the organization's offset.

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use time::{
    OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description,
    macros::offset,
};

/// A record as an answer shows it.
pub(crate) type Object = Map<String, Value>;

const STAMP: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory][offset_minute]"
);
/// The offset of Baghdad, which is the same all year round.
const ZONE: UtcOffset = offset!(+3);

/// Returns a JSON number with exactly this text, `12500.00` for example. Text that is not a number becomes null.
#[must_use]
pub fn number(text: &str) -> Value {
    serde_json::from_str::<serde_json::Number>(text).map_or(Value::Null, Value::Number)
}

/// Reads an amount from a JSON number or a numeric text; anything else is zero.
#[must_use]
pub fn decimal(value: &Value) -> Decimal {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Decimal::ZERO,
    };
    text.parse().unwrap_or(Decimal::ZERO)
}

/// Returns a point in time in Zoho's spelling: whole seconds, `+0300`, and no colon in the offset.
#[must_use]
pub fn stamp(at: OffsetDateTime) -> String {
    at.to_offset(ZONE).format(STAMP).unwrap_or_default()
}

/// Reads a time in Zoho's spelling.
pub(crate) fn parse_stamp(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, STAMP).ok()
}

/// Returns the organization's calendar day.
pub(crate) fn day(at: OffsetDateTime) -> String {
    at.to_offset(ZONE).date().to_string()
}

/// Returns the value of the HTTP header `Date`.
pub(crate) fn http_date(at: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    at.to_offset(UtcOffset::UTC).format(FORMAT).unwrap_or_default()
}

/// Returns an amount of money, with two decimals.
pub(crate) fn money(amount: Decimal) -> Value {
    number(&format!("{amount:.2}"))
}

/// Returns a quantity with six decimals, as stock is written.
pub(crate) fn quantity(amount: Decimal) -> Value {
    number(&format!("{amount:.6}"))
}

/// Returns the text of a key; empty if the key is absent or its value is not text.
pub(crate) fn text<'a>(record: &'a Object, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Returns an id, whether it is written as text, as usual, or as a number.
pub(crate) fn id_of(record: &Object, key: &str) -> Option<String> {
    match record.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the value of a key; null if it is absent.
pub(crate) fn field<'a>(record: &'a Object, key: &str) -> &'a Value {
    record.get(key).unwrap_or(&Value::Null)
}

/// Returns the fields of an object; any other value has none.
pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(fields) => fields,
        _ => Object::new(),
    }
}
