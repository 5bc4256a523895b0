//! The signature of a webhook: HMAC-SHA256 over the sorted parameters and the raw body.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::form::{Look, look, pairs};
use crate::hex;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(false);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The maximum length of a header that can be a signature. Longer headers are not examined.
const LONGEST: usize = 128;

/// The maximum number of fields in a form. A record of Zoho has a few hundred.
const MOST_PAIRS: usize = 10_000;

/// How the header encodes the signature. Zoho's documents contradict each other about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 64 hex digits.
    Hex,
    /// Base64, standard or URL-safe, with or without padding.
    Base64,
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        })
    }
}

/// A delivery that was verified. [`parse`](fn@super::parse) accepts nothing else.
#[derive(Clone, Copy)]
pub struct Authentic<'a> {
    pub(super) query: &'a [(String, String)],
    pub(super) body: &'a [u8],
    signature: Option<Verified>,
}

impl<'a> Authentic<'a> {
    /// Accepts an unsigned delivery, if the configuration allows unsigned deliveries.
    #[must_use]
    pub fn unsigned(query_pairs: &'a [(String, String)], body: &'a [u8]) -> Self {
        Self { query: query_pairs, body, signature: None }
    }

    /// Accepts the body of a delivery in the inbox, which was authentic when it was stored.
    #[must_use]
    pub fn kept(body: &'a [u8]) -> Self {
        Self { query: &[], body, signature: None }
    }

    /// Returns the signature that was verified.
    #[must_use]
    pub fn signature(&self) -> Option<Verified> {
        self.signature
    }
}

impl std::fmt::Debug for Authentic<'_> {
    // Bodies carry people's names and addresses.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { body, signature, .. } = self;
        formatter.debug_struct("Authentic").field("bytes", &body.len()).field("signature", signature).finish()
    }
}

/// The signature of an authentic delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How the signature was encoded.
    pub encoding: Encoding,
    /// The index of the secret that the signature was made with, from 0.
    pub secret: usize,
}

/// Why a delivery is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("the webhook has no signature; set the secret in Zoho's webhook")]
    Missing,
    /// The header cannot be a signature.
    #[error("the webhook's signature is neither 64 hex digits nor Base64 of 32 bytes")]
    Malformed,
    /// The form has more pairs than any form of Zoho. Sorting them is work that an unverified sender must not cause.
    #[error("the webhook's form has more than {MOST_PAIRS} fields")]
    TooManyFields,
    /// The signature covers another message, or was made with another secret.
    #[error("the webhook's signature does not match")]
    Wrong,
}

/// Checks the signature of a delivery.
///
/// `query_pairs` are all parameters of the request's address, decoded. `header` is the value of
/// [`super::SIGNATURE_HEADER`]. The comparison takes the same time wherever the bytes differ.
///
/// # Errors
/// The delivery is not authentic. The error gives the reason, which reveals nothing about the secret.
pub fn verify<'a>(
    secrets: &[SecretString],
    query_pairs: &'a [(String, String)],
    content_type: Option<&str>,
    body: &'a [u8],
    header: Option<&str>,
) -> Result<Authentic<'a>, SignatureError> {
    let header = header.map(str::trim).filter(|header| !header.is_empty()).ok_or(SignatureError::Missing)?;
    let (encoding, given) = decode(header).ok_or(SignatureError::Malformed)?;
    if look(content_type, body) == Look::Form && body.split(|byte| *byte == b'&').nth(MOST_PAIRS).is_some() {
        return Err(SignatureError::TooManyFields);
    }
    let message = message(query_pairs, content_type, body);
    let mut verified = None;
    for (index, secret) in secrets.iter().enumerate() {
        let Some(mac) = mac(secret.expose_secret().as_bytes(), &message) else { continue };
        if mac.verify_slice(&given).is_ok() && verified.is_none() {
            verified = Some(Verified { encoding, secret: index });
        }
    }
    let signature = verified.ok_or(SignatureError::Wrong)?;
    Ok(Authentic { query: query_pairs, body, signature: Some(signature) })
}

/// Signs a body as Zoho does. The result is 64 lower-case hex digits. It is for tools and tests that act as Zoho.
#[must_use]
pub fn sign(secret: &SecretString, query_pairs: &[(String, String)], body: &[u8]) -> String {
    let mac = mac(secret.expose_secret().as_bytes(), &message(query_pairs, None, body));
    mac.map(|mac| hex::encode(&mac.finalize().into_bytes())).unwrap_or_default()
}

/// Returns the message that is signed: the pairs sorted by the bytes of their keys and joined without separators, then
/// the body as it arrived. The pairs of a form are sorted together with the other pairs, in place of the body.
fn message(query_pairs: &[(String, String)], content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let is_form = look(content_type, body) == Look::Form;
    let form = if is_form { pairs(body) } else { Vec::new() };
    let mut message = sorted(query_pairs.iter().cloned().chain(form).collect());
    if !is_form {
        message.extend_from_slice(body);
    }
    message
}

/// Returns pairs as they are signed: sorted by the bytes of their keys, and joined without separators.
pub(super) fn sorted(mut pairs: Vec<(String, String)>) -> Vec<u8> {
    pairs.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    joined(pairs)
}

/// Returns pairs joined without separators, in their own order.
pub(super) fn joined(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    pairs.into_iter().flat_map(|(name, value)| [name, value]).collect::<String>().into_bytes()
}

pub(super) fn mac(key: &[u8], message: &[u8]) -> Option<Hmac<Sha256>> {
    // With a secret that is empty by mistake, everybody could sign.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok().filter(|_| !key.is_empty())?;
    mac.update(message);
    Some(mac)
}

pub(super) fn decode(header: &str) -> Option<(Encoding, [u8; 32])> {
    if header.len() > LONGEST {
        return None;
    }
    let (encoding, bytes) = match hex::decode(header).filter(|_| header.len() == 64) {
        Some(bytes) => (Encoding::Hex, bytes),
        None => (Encoding::Base64, STANDARD.decode(header).or_else(|_| URL_SAFE.decode(header)).ok()?),
    };
    Some((encoding, bytes.try_into().ok()?))
}
