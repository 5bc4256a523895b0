//! Decides whether an answer is a page. Every other answer is an error: in one incident, an unknown envelope was read
//! as "0 rows, success".

use serde_json::{Map, Value};
use tds_core::error::{Error, ErrorKind, Result, Retry};

use crate::entities::{List, PER_PAGE};

/// The rows of a page, and whether more pages follow.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Value>,
    pub(crate) has_more: bool,
    /// The column that Zoho states it sorted by, if Zoho states one.
    pub(crate) sorted_by: Option<String>,
}

/// Returns the error for an answer that Zoho's protocol does not allow.
pub(crate) fn protocol(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, Retry::Transient { retry_after: None }, message)
}

/// Takes page `number` of a list from an answer.
pub(crate) fn open(body: Map<String, Value>, list: &List, number: u32) -> Result<Page> {
    take(body, list.path, list.keys, list.paged, number)
}

/// Takes page `number` of the list `path` from an answer. The rows are under one of `keys`. If the list is not
/// `paged`, an answer may omit `page_context`.
pub(crate) fn take(
    mut body: Map<String, Value>,
    path: &str,
    keys: &[&str],
    paged: bool,
    number: u32,
) -> Result<Page> {
    let rows = match keys.iter().find_map(|key| body.remove(*key)) {
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(protocol(format!("the list {path} came without a list of rows"))),
        None => {
            return Err(protocol(format!(
                "the list {path} came without {}: {}",
                keys.join(" or "),
                shown(&body)
            )));
        }
    };
    // Zoho's own files describe an array with one object; recorded answers have the object itself.
    let context = match body.get("page_context") {
        Some(Value::Object(context)) => Some(context),
        Some(Value::Array(contexts)) => contexts.first().and_then(Value::as_object),
        _ => None,
    };
    let Some(context) = context else {
        // A full page may be a part of the list only.
        if paged || rows.len() >= PER_PAGE {
            return Err(protocol(format!("the list {path} came without page_context")));
        }
        return Ok(Page { rows, has_more: false, sorted_by: None });
    };
    let has_more = match context.get("has_more_page") {
        Some(Value::Bool(more)) => *more,
        Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
        _ => return Err(protocol(format!("the list {path} does not say whether more pages follow"))),
    };
    if let Some(Value::Number(page)) = context.get("page")
        && page.as_u64() != Some(u64::from(number))
    {
        return Err(protocol(format!(
            "the list {path} answered with page {page} where page {number} was requested"
        )));
    }
    let sorted_by = context.get("sort_column").and_then(Value::as_str).map(str::to_owned);
    Ok(Page { rows, has_more, sorted_by })
}

/// Returns the keys of a body, for an operator who looks for the right one.
fn shown(body: &Map<String, Value>) -> String {
    let keys: Vec<&str> = body.keys().map(String::as_str).take(10).collect();
    format!("it has {}", keys.join(", "))
}
