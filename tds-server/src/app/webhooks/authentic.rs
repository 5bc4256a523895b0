//! Checks whether a webhook comes from Zoho.

use axum::http::{HeaderMap, header};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tds_zoho::webhook::{Authentic, SIGNATURE_HEADER, SignatureError, verify};

use crate::{
    config::WebhookConfig,
    http::problem::{Problem, ProblemKind},
};

/// The refusal of a delivery.
pub(super) struct Refusal {
    pub(super) problem: Problem,
    /// The reason for the log, or `None` if nothing is logged.
    pub(super) reason: Option<String>,
    /// `true` if a signature is present and matches no secret. The cause may be worth a diagnosis.
    pub(super) mismatch: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, reason: None, mismatch: false }
    }
}

/// Returns the delivery as authentic, or a refusal. Only authentic deliveries are stored.
pub(super) fn check<'a>(
    config: &WebhookConfig,
    headers: &HeaderMap,
    pairs: &'a [(String, String)],
    body: &'a [u8],
) -> Result<Authentic<'a>, Refusal> {
    refuse_encodings(headers)?;
    let authentic = check_signature(config, headers, pairs, body)?;
    check_key(config, headers)?;
    Ok(authentic)
}

/// Refuses a body with a content encoding. Such a body would be verified and stored compressed, and may be a
/// decompression bomb.
fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::UnsupportedMediaType, "Send the body without Content-Encoding."))
}

fn check_signature<'a>(
    config: &WebhookConfig,
    headers: &HeaderMap,
    pairs: &'a [(String, String)],
    body: &'a [u8],
) -> Result<Authentic<'a>, Refusal> {
    if config.secrets.is_empty() {
        if config.allow_unsigned {
            return Ok(Authentic::unsigned(pairs, body));
        }
        let detail = "Set ZOHO_WEBHOOK_SECRET; until then, webhooks cannot be verified and are not accepted.";
        return Err(Problem::new(ProblemKind::WebhooksNotConfigured, detail).retry_after(60).into());
    }
    if headers.get_all(SIGNATURE_HEADER).iter().count() > 1 {
        return Err(refused("the webhook has more than one signature"));
    }
    let authentic =
        verify(&config.secrets, pairs, text(headers, "content-type"), body, text(headers, SIGNATURE_HEADER))
            .map_err(|error| {
                let mismatch = matches!(error, SignatureError::Wrong | SignatureError::Malformed);
                Refusal { mismatch, ..refused(&error.to_string()) }
            })?;
    if let Some(signature) = authentic.signature() {
        tracing::debug!(encoding = %signature.encoding, secret = signature.secret, "the signature is right");
    }
    Ok(authentic)
}

fn check_key(config: &WebhookConfig, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(key) = &config.key else { return Ok(()) };
    let given = headers.get("x-webhook-key").map(header::HeaderValue::as_bytes).unwrap_or_default();
    if bool::from(key.expose_secret().as_bytes().ct_eq(given)) {
        return Ok(());
    }
    Err(refused("the header X-Webhook-Key is missing or wrong"))
}

fn refused(reason: &str) -> Refusal {
    let problem =
        Problem::new(ProblemKind::InvalidSignature, format!("The webhook was not accepted: {reason}."));
    Refusal { problem, reason: Some(reason.to_owned()), mismatch: false }
}

/// Returns the value of a header, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
