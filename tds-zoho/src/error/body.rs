//! The form of a body.

use serde_json::{Map, Value};

use crate::mend;

/// The maximum number of characters of Zoho's message in an error.
const MESSAGE_LENGTH: usize = 300;

/// A body in Zoho's form: an object with a `code`.
pub(super) struct Envelope {
    pub(super) code: i64,
    pub(super) body: Map<String, Value>,
}

impl Envelope {
    /// Returns Zoho's `message`, in one line.
    pub(super) fn message(&self) -> String {
        let text = |key: &str| self.body.get(key).and_then(Value::as_str);
        text("message").or_else(|| text("error")).map(in_one_line).unwrap_or_default()
    }
}

/// A body in another form.
pub(super) struct Closed {
    /// The form, in words that can follow "it was".
    pub(super) form: String,
    /// What the body says in spite of its form: the `message` of an object without a code, or a plain text. The
    /// text of an HTML page is not kept.
    pub(super) message: String,
}

impl Closed {
    fn of(form: impl Into<String>) -> Self {
        Self { form: form.into(), message: String::new() }
    }
}

/// Makes a text from outside suitable for an error or a log: one line, without control characters, of limited
/// length.
pub(crate) fn in_one_line(text: &str) -> String {
    let visible = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    visible.take(MESSAGE_LENGTH).collect::<String>().trim().to_owned()
}

/// Opens a body, or returns its form.
pub(super) fn open(bytes: &[u8]) -> Result<Envelope, Closed> {
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err(Closed::of("an empty body"));
    }
    if trimmed.starts_with(b"<") {
        return Err(Closed::of("HTML or XML instead of JSON"));
    }
    let body = match serde_json::from_slice(trimmed) {
        Ok(Value::Object(_)) if mend::is_needed(trimmed) => mend::object(trimmed),
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => return Err(Closed::of("JSON that is not an object")),
        // One unreadable value must not make the other values unreadable.
        Err(fault) if !fault.is_eof() && trimmed.starts_with(b"{") => mend::object(trimmed),
        Err(fault) => Err(fault),
    };
    let body = body.map_err(|fault| {
        let form = if fault.is_eof() { "truncated JSON" } else { "a body that is not JSON" };
        let text = std::str::from_utf8(trimmed).ok().filter(|text| !text.starts_with(['{', '[', '"']));
        let message = text.map(in_one_line).unwrap_or_default();
        Closed { form: format!("{form} ({} bytes)", bytes.len()), message }
    })?;
    let code = match body.get("code") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let envelope = Envelope { code: code.unwrap_or_default(), body };
    match code {
        Some(_) => Ok(envelope),
        None => Err(Closed { form: "JSON without a code".to_owned(), message: envelope.message() }),
    }
}
