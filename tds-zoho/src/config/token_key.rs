//! The key that the access token is sealed with.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretBox};

/// The length of a key in bytes.
const LENGTH: usize = 32;

/// The key that the access token is sealed with. `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct TokenKey(Arc<SecretBox<[u8; LENGTH]>>);

impl TokenKey {
    /// Reads a key of 32 bytes in Base64. Returns `None` for any other text.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self(Arc::new(SecretBox::new(Box::new(bytes)))))
    }

    /// Returns the bytes of the key.
    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_and_does_not_show_itself() {
        assert!(TokenKey::from_base64("c2hvcnQ=").is_none() && TokenKey::from_base64("no base64!").is_none());
        let key = TokenKey::from_base64(&STANDARD.encode([7_u8; LENGTH])).expect("a key");
        assert_eq!(format!("{key:?}"), "TokenKey([redacted])");
    }
}
