//! Values of columns as Zoho's requests write them.

use serde_json::{Map, Number, Value};
use time::{Date, format_description::BorrowedFormatItem, macros::format_description};

use super::contract::Form;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Returns a value that is present in the form of its field. The error says what is wrong with it.
pub(super) fn written(form: Form, value: &Value) -> Result<Value, String> {
    match form {
        Form::Text(limit) => text(value, limit),
        Form::Decimal | Form::OptionalDecimal => number(value).map(Value::Number),
        Form::Discount => discount(value),
        Form::Integer => integer(value),
        Form::Date => date(value),
        Form::Bool => value.as_bool().map(Value::Bool).ok_or_else(|| "is not true or false".to_owned()),
        Form::Id | Form::Reference { .. } => id(value),
        Form::Object(keys) => match value.as_object() {
            Some(fields) => Ok(Value::Object(only(fields, keys))),
            None => Err("is not a JSON object".to_owned()),
        },
        Form::Objects(keys) => objects(value, keys),
        Form::CustomFields => custom_fields(value),
    }
}

/// Returns what empties a field, or `None` if Zoho has no such value.
pub(super) fn emptied(form: Form) -> Option<Value> {
    match form {
        Form::Text(_) | Form::Date | Form::Id | Form::Reference { .. } | Form::OptionalDecimal => {
            Some(Value::String(String::new()))
        }
        Form::Discount => Some(Value::from(0)),
        Form::Objects(_) | Form::CustomFields => Some(Value::Array(Vec::new())),
        Form::Decimal | Form::Integer | Form::Bool | Form::Object(_) => None,
    }
}

fn text(value: &Value, limit: u16) -> Result<Value, String> {
    let text = value.as_str().ok_or_else(|| "is not text".to_owned())?;
    let length = text.chars().count();
    if limit > 0 && length > usize::from(limit) {
        return Err(format!("has {length} characters, and Zoho takes {limit}: shorten it"));
    }
    Ok(Value::from(text))
}

/// Returns the number that a column has, digit by digit.
pub(super) fn number(value: &Value) -> Result<Number, String> {
    let literal = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err("is not a number".to_owned()),
    };
    let unsigned = literal.strip_prefix('-').unwrap_or(&literal);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // The JSON parser refuses what remains: zeros at the beginning.
    let parsed = (is_digits(whole) && is_digits(fraction)).then(|| serde_json::from_str(&literal).ok());
    parsed.flatten().ok_or_else(|| format!("{literal} is not a plain number such as 12500.00"))
}

/// Returns an amount as a number. A percentage stays text.
fn discount(value: &Value) -> Result<Value, String> {
    if let Some(percent) = value.as_str().and_then(|text| text.strip_suffix('%')) {
        number(&Value::from(percent.trim())).map_err(|_| format!("{percent}% is not a percentage"))?;
        return Ok(value.clone());
    }
    number(value).map(Value::Number)
}

fn integer(value: &Value) -> Result<Value, String> {
    let number = number(value)?;
    if number.to_string().contains('.') {
        return Err(format!("{number} is not a whole number"));
    }
    Ok(Value::Number(number))
}

fn date(value: &Value) -> Result<Value, String> {
    let day = value.as_str().filter(|text| Date::parse(text, DAY).is_ok());
    day.map(Value::from).ok_or_else(|| format!("{value} is not a date such as 2026-11-28"))
}

fn id(value: &Value) -> Result<Value, String> {
    let id = value.as_str().filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    id.map(Value::from).ok_or_else(|| format!("{value} is not an id of Zoho, which has digits only"))
}

/// Returns the plain values of an object under these keys. Rows that were read from lists spell `zip` as `zipcode`.
pub(super) fn only(fields: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    let spelled = |key: &str| if key == "zip" { fields.get("zipcode") } else { None };
    let plain = |key: &&str| {
        let value = fields.get(*key).or_else(|| spelled(key))?;
        let is_plain = !value.is_null() && !value.is_object() && !value.is_array();
        is_plain.then(|| ((*key).to_owned(), value.clone()))
    };
    keys.iter().filter_map(plain).collect()
}

fn objects(value: &Value, keys: &[&str]) -> Result<Value, String> {
    let list = value.as_array().ok_or_else(|| "is not a JSON list".to_owned())?;
    let object = |item: &Value| item.as_object().map(|fields| Value::Object(only(fields, keys)));
    let items: Option<Vec<Value>> = list.iter().map(object).collect();
    items.map(Value::Array).ok_or_else(|| "has an entry that is not a JSON object".to_owned())
}

/// Returns the list of custom fields, each with its API name. Zoho takes one value per field.
fn custom_fields(value: &Value) -> Result<Value, String> {
    let fields = value.as_object().ok_or_else(|| "is not a JSON object from API name to value".to_owned())?;
    let entries = fields.iter().map(|(name, value)| {
        if value.is_object() {
            return Err(format!("{name} is an object, and Zoho takes a plain value or a list"));
        }
        let value = if value.is_null() { Value::String(String::new()) } else { value.clone() };
        Ok(custom_field(name, value))
    });
    entries.collect::<Result<_, _>>().map(Value::Array)
}

/// Returns one custom field of a body.
pub(super) fn custom_field(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([("api_name".to_owned(), Value::from(name)), ("value".to_owned(), value)]))
}
