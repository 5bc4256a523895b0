//! Is a webhook from Zoho?

use axum::{
    extract::Query,
    http::{HeaderMap, Uri, header},
};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tds_zoho::webhook::{SIGNATURE_HEADER, verify};

use crate::{
    config::WebhookConfig,
    problem::{Problem, ProblemKind},
};

/// The parameters of the address, decoded, as they are signed.
pub(super) fn query_pairs(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

/// Lets only authentic deliveries through; nothing else is stored.
pub(super) fn check(
    config: &WebhookConfig,
    headers: &HeaderMap,
    pairs: &[(String, String)],
    body: &[u8],
) -> Result<(), Problem> {
    refuse_encodings(headers)?;
    check_signature(config, headers, pairs, body)?;
    check_key(config, headers)
}

/// A packed body would be checked and stored packed, and may be a bomb.
fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::UnsupportedMediaType, "Send the body without Content-Encoding."))
}

fn check_signature(
    config: &WebhookConfig,
    headers: &HeaderMap,
    pairs: &[(String, String)],
    body: &[u8],
) -> Result<(), Problem> {
    if config.secrets.is_empty() {
        if config.allow_unsigned {
            return Ok(());
        }
        let detail = "Set ZOHO_WEBHOOK_SECRET; until then webhooks cannot be checked and are not taken.";
        return Err(Problem::new(ProblemKind::WebhooksNotConfigured, detail).retry_after(60));
    }
    let mut signatures = headers.get_all(SIGNATURE_HEADER).iter();
    let signature = signatures.next().and_then(|value| value.to_str().ok());
    if signatures.next().is_some() {
        return Err(refused("the webhook has more than one signature"));
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let verified = verify(&config.secrets, pairs, content_type, body, signature)
        .map_err(|error| refused(&error.to_string()))?;
    tracing::debug!(encoding = ?verified.encoding, secret = verified.secret, "the signature is right");
    Ok(())
}

fn check_key(config: &WebhookConfig, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(key) = &config.key else { return Ok(()) };
    let given = headers.get("x-webhook-key").map(header::HeaderValue::as_bytes).unwrap_or_default();
    if bool::from(key.expose_secret().as_bytes().ct_eq(given)) {
        return Ok(());
    }
    Err(refused("the header X-Webhook-Key is missing or wrong"))
}

fn refused(reason: &str) -> Problem {
    tracing::warn!(reason, "a webhook was refused");
    Problem::new(ProblemKind::InvalidSignature, format!("Not taken: {reason}."))
}
