//! Checks whether a webhook comes from Zoho.

use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tds_zoho::webhook::{Authentic, SIGNATURE_HEADER, SignatureError, verify};

use super::{Cause, Delivery, NotKept};
use crate::config::WebhookConfig;

/// Returns the delivery as authentic, or a refusal. Only authentic deliveries are stored.
pub(super) fn check<'a>(
    config: &WebhookConfig,
    delivery: &'a Delivery,
    pairs: &'a [(String, String)],
) -> Result<Authentic<'a>, NotKept> {
    let Delivery { headers, body, .. } = delivery;
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(NotKept::Encoded);
    }
    let authentic = if !config.secrets.is_empty() {
        if headers.get_all(SIGNATURE_HEADER).iter().count() > 1 {
            return Err(refused("the webhook has more than one signature", Cause::Surplus));
        }
        let (content_type, signature) = (text(headers, "content-type"), text(headers, SIGNATURE_HEADER));
        verify(&config.secrets, pairs, content_type, body, signature).map_err(|error| {
            let cause = match error {
                SignatureError::Missing => Cause::Unsigned,
                SignatureError::Wrong | SignatureError::Malformed => Cause::Signature,
                SignatureError::TooManyFields => Cause::Surplus,
            };
            let reason = match error {
                SignatureError::Wrong => {
                    format!("{error}; compare ZOHO_WEBHOOK_SECRET with the secret in Zoho")
                }
                _ => error.to_string(),
            };
            NotKept::NotAuthentic { reason, cause }
        })?
    } else if config.allow_unsigned {
        Authentic::unsigned(pairs, body)
    } else {
        return Err(NotKept::NotConfigured);
    };
    if let Some(signature) = authentic.signature() {
        tracing::debug!(encoding = %signature.encoding, secret = signature.secret, "the signature is right");
    }
    if !config.keys.is_empty() {
        let given = headers.get("x-webhook-key").map(HeaderValue::as_bytes).unwrap_or_default();
        let is_right = |key: &SecretString| bool::from(key.expose_secret().as_bytes().ct_eq(given));
        if !config.keys.iter().any(is_right) {
            return Err(refused("the header X-Webhook-Key is missing or wrong", Cause::Key));
        }
    }
    Ok(authentic)
}

fn refused(reason: &str, cause: Cause) -> NotKept {
    NotKept::NotAuthentic { reason: reason.to_owned(), cause }
}

/// Returns the value of a header, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
