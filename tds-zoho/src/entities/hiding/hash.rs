//! The keyed hash that stands for a hidden value. Equal values have equal hashes, so that rows can still be joined and
//! compared; without the key, nobody can find the value by trying candidates.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::{config::TokenKey, hex};

/// What a hash begins with. A value that is a hash already is left as it is.
const PREFIX: &str = "hmac-sha256:";
const DIGITS: usize = 64;
/// What the key is derived for: no two purposes share a key.
const PURPOSE: &[u8] = b"tds hidden columns";

/// The key of the hashes. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// Derives the key from the encryption key.
    #[must_use]
    pub fn derived(key: &TokenKey) -> Option<Self> {
        let mut derive = Hmac::<Sha256>::new_from_slice(key.bytes()).ok()?;
        derive.update(PURPOSE);
        Hmac::<Sha256>::new_from_slice(&derive.finalize().into_bytes()).ok().map(Self)
    }

    /// Returns the hash of a text. White space around the text does not count.
    pub(crate) fn hash(&self, text: &str) -> String {
        let text = text.trim();
        if is_hash(text) {
            return text.to_owned();
        }
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        format!("{PREFIX}{}", hex::encode(&mac.finalize().into_bytes()))
    }

    /// Returns the hash of a value. An absent value stays absent.
    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::Null => Value::Null,
            Value::String(text) if text.trim().is_empty() => Value::Null,
            Value::String(text) => self.hash(text).into(),
            other => self.hash(&other.to_string()).into(),
        }
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashKey([redacted])")
    }
}

/// Returns true if a value is, or has anywhere inside, a text that begins as a hash does.
pub(crate) fn has_hash(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim_start().starts_with(PREFIX),
        Value::Array(items) => items.iter().any(has_hash),
        Value::Object(fields) => fields.values().any(has_hash),
        _ => false,
    }
}

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX);
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_equal_hashes_and_a_hash_is_not_hashed_again() {
        let key = |text| HashKey::derived(&TokenKey::from_base64(text).expect("a key")).expect("derived");
        let (one, other) = (
            key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            key("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        );
        let hash = one.hash(" a@shop.example ");
        assert_eq!((hash.len(), &one.hash("a@shop.example")), (PREFIX.len() + DIGITS, &hash));
        assert_eq!((one.hash(&hash), one.value(&json!(7))), (hash.clone(), json!(one.hash("7"))));
        assert_ne!(other.hash("a@shop.example"), hash, "another key gives another hash");
        assert_eq!((one.value(&json!(null)), one.value(&json!(""))), (Value::Null, Value::Null));
        assert_eq!(format!("{one:?}"), "HashKey([redacted])");
    }
}
