//! The form of a body.

use serde_json::{Map, Value};

use crate::mend;

/// How much of Zoho's message goes into an error, in characters.
const MESSAGE_LENGTH: usize = 300;

/// A body in Zoho's form: an object with a `code`.
pub(super) struct Envelope {
    pub(super) code: i64,
    pub(super) body: Map<String, Value>,
}

impl Envelope {
    /// Zoho's `message`, in one line.
    pub(super) fn message(&self) -> String {
        self.body.get("message").and_then(Value::as_str).map(in_one_line).unwrap_or_default()
    }
}

/// Makes a text of the other side fit for an error or a log: one line, no control characters, cut.
pub(crate) fn in_one_line(text: &str) -> String {
    let visible = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    visible.take(MESSAGE_LENGTH).collect::<String>().trim().to_owned()
}

/// Opens a body, or names its form in words that fit behind "answered with".
pub(super) fn open(bytes: &[u8]) -> Result<Envelope, String> {
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err("an empty body".to_owned());
    }
    if trimmed.starts_with(b"<") {
        return Err("HTML or XML instead of JSON".to_owned());
    }
    let body = match serde_json::from_slice(trimmed) {
        Ok(Value::Object(_)) if mend::is_needed(trimmed) => mend::object(trimmed),
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => return Err("JSON that is no object".to_owned()),
        // One value that nobody can read is not to make the others unreadable.
        Err(fault) if !fault.is_eof() && trimmed.starts_with(b"{") => mend::object(trimmed),
        Err(fault) => Err(fault),
    };
    let body = body.map_err(|fault| {
        let form = if fault.is_eof() { "JSON that is cut" } else { "a body that is no JSON" };
        format!("{form} ({} bytes)", bytes.len())
    })?;
    let code = match body.get("code") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let code = code.ok_or_else(|| "JSON without a code".to_owned())?;
    Ok(Envelope { code, body })
}
