//! Seals the access token before it is stored for other processes, with AES-256-GCM. A sealed token is bound to its
//! owner.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tds_core::error::{Error, Result};

use crate::{config::TokenKey, hex};

/// The form of a sealed token, which is its first part.
const FORM: &str = "1";

/// Seals and opens tokens for one owner.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    key_id: String,
    owner: String,
}

impl Seal {
    /// Creates a seal. A token that is sealed for one `owner` cannot be opened for another.
    pub(super) fn new(key: &TokenKey, owner: &str) -> Result<Self> {
        let unusable = |_| Error::config("token_key cannot be used");
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.bytes()).map_err(unusable)?;
        let key_id = id_of(key);
        Ok(Self { key: cipher, owner: format!("{FORM} {key_id} {owner}"), key_id })
    }

    /// Returns the sealed secret as text. `None` means that the machine provides no random numbers.
    pub(super) fn seal(&self, secret: &SecretString) -> Option<String> {
        let mut bytes = secret.expose_secret().as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.owner.as_bytes()), &mut bytes).ok()?;
        let whole = [&nonce.as_ref()[..], &bytes].concat();
        Some(format!("{FORM}.{}.{}", self.key_id, STANDARD.encode(whole)))
    }

    /// Returns the opened secret. `None` means that it was sealed with another key or for another owner, or that it
    /// was changed.
    pub(super) fn open(&self, sealed: &str) -> Option<SecretString> {
        let mut parts = sealed.split('.');
        let (form, key_id, text) = (parts.next()?, parts.next()?, parts.next()?);
        if form != FORM || key_id != self.key_id {
            return None;
        }
        let bytes = STANDARD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(self.owner.as_bytes()), &mut sealed).ok()?;
        std::str::from_utf8(opened).ok().map(SecretString::from)
    }
}

/// Returns an id that distinguishes keys and reveals nothing about them.
fn id_of(key: &TokenKey) -> String {
    let digest = Sha256::new().chain_update(b"tds token key\0").chain_update(key.bytes()).finalize();
    hex::encode(&digest[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: u8, owner: &str) -> Seal {
        let key = TokenKey::from_base64(&STANDARD.encode([key; 32])).expect("a key");
        Seal::new(&key, owner).expect("a seal")
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_key_for_the_same_owner_only() {
        let secret = SecretString::from("canary-token");
        let sealed = seal(1, "shop").seal(&secret).expect("sealed");
        assert!(!sealed.contains("canary"));
        let opened = seal(1, "shop").open(&sealed).expect("opened");
        assert_eq!(opened.expose_secret(), "canary-token");
        assert!(seal(2, "shop").open(&sealed).is_none(), "another key");
        assert!(seal(1, "other").open(&sealed).is_none(), "another owner");
        assert_ne!(sealed, seal(1, "shop").seal(&secret).expect("sealed"), "no two seals are the same");
    }

    #[test]
    fn a_text_that_was_changed_or_never_sealed_is_not_opened() {
        let sealed = seal(1, "shop").seal(&SecretString::from("token")).expect("sealed");
        let changed = sealed.replace(char::is_lowercase, "A");
        for text in [changed.as_str(), "", "1", "1.x.y", "2.aa.bb", &sealed[..sealed.len() - 8]] {
            assert!(seal(1, "shop").open(text).is_none(), "{text}");
        }
    }
}
