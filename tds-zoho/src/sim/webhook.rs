//! What Zoho pushes: bodies, the signature, and the delivery.

use std::{sync::OnceLock, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

pub use super::delivery::Delivery;
use super::{
    literal::Object,
    module::Module,
    organization::{ORGANIZATION_ID, Organization, SharedOrganization},
    projection::detail,
    records::Records,
};
use crate::entities::Api;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-Zoho-Webhook-Signature";

/// The format of a webhook's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The default payload: JSON.
    Json,
    /// A form whose field `JSONString` holds the JSON.
    JsonString,
    /// A form with the record's plain values as fields.
    Plain,
}

/// The number of webhooks that are kept for a sender.
const MAX_WEBHOOKS: usize = 10_000;

/// The receiver's answer.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Returns the 32 bytes of the signature over parameters, form fields and raw JSON: the pairs sorted by key and
/// written without separators, then the JSON unchanged.
#[must_use]
pub fn signature(secret: &str, pairs: &[(&str, &str)], json: &str) -> [u8; 32] {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let mut signed: String = sorted.iter().flat_map(|(key, value)| [*key, *value]).collect();
    signed.push_str(json);
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return [0; 32] };
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Returns the signature as lower-case hex digits.
#[must_use]
pub fn signature_hex(secret: &str, pairs: &[(&str, &str)], json: &str) -> String {
    signature(secret, pairs, json).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the signature in Base64, the other spelling that has been reported.
#[must_use]
pub fn signature_base64(secret: &str, pairs: &[(&str, &str)], json: &str) -> String {
    STANDARD.encode(signature(secret, pairs, json))
}

impl SharedOrganization {
    /// Returns the default payload of a record, or of its last state after it was deleted: the detail under the
    /// module's singular name. For a record that never existed, the payload has only its id.
    #[must_use]
    pub fn webhook_body(&self, module: Module, id: &str) -> String {
        self.read(|records| body(records, module, id, &[]))
    }

    /// Returns the payload in the form that was observed for invoices: without `line_items`.
    #[must_use]
    pub fn webhook_body_without_lines(&self, module: Module, id: &str) -> String {
        self.read(|records| body(records, module, id, &["line_items"]))
    }

    /// Takes the webhooks of the calls that wrote since the last time, in their order: the echoes that Zoho would send.
    #[must_use]
    pub fn take_webhooks(&self) -> Vec<Delivery> {
        self.lock().webhooks.drain(..).collect()
    }
}

impl Organization {
    /// Keeps the webhook that Zoho would send for a change of a record. Nothing is kept for modules that no rule of
    /// Zoho can watch.
    pub(crate) fn push(&mut self, module: Module, event: &str, id: &str) {
        let Some((_, path)) = self.paths.iter().find(|(known, _)| *known == module) else { return };
        let body = body(&self.records, module, id, &[]);
        if self.webhooks.len() == MAX_WEBHOOKS {
            self.webhooks.pop_front();
        }
        self.webhooks.push_back(Delivery { entity_path: (*path).to_owned(), event: event.to_owned(), body });
    }
}

/// Returns the payload of a record without these keys.
fn body(records: &Records, module: Module, id: &str, hidden: &[&str]) -> String {
    let known = records.get(module, id).or_else(|| records.deleted(module, id));
    let mut record = known.map_or_else(
        || Object::from_iter([(module.id_key.to_owned(), json!(id))]),
        |record| detail(module, Api::Books, record),
    );
    record.retain(|key, _| !hidden.contains(&key.as_str()));
    json!({"organization_id": ORGANIZATION_ID, module.detail_key: record}).to_string()
}

/// Signs a webhook (hex) in one of the forms and sends it once to `{base_url}/api/zoho/webhooks/{entity_path}`, as
/// Zoho does: it waits ten seconds, and any answer counts.
///
/// # Errors
/// The receiver cannot be reached or does not answer in time.
pub async fn deliver(
    delivery: &Delivery,
    base_url: &str,
    secret: &str,
    form: Form,
) -> Result<Receipt, reqwest::Error> {
    let url = format!("{}/api/zoho/webhooks/{}", base_url.trim_end_matches('/'), delivery.entity_path);
    let mut request = client()?.post(url);
    let mut signed: Vec<(&str, &str)> = Vec::new();
    if !delivery.event.is_empty() {
        signed.push(("event", &delivery.event));
        request = request.query(&[("event", &delivery.event)]);
    }
    let fields = fields(&delivery.body, form);
    signed.extend(fields.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let raw = if form == Form::Json { delivery.body.as_str() } else { "" };
    if !secret.is_empty() {
        request = request.header(SIGNATURE_HEADER, signature_hex(secret, &signed, raw));
    }
    let request = match form {
        Form::Json => request.header("content-type", "application/json").body(delivery.body.clone()),
        Form::JsonString | Form::Plain => request.form(&fields),
    };
    let response = request.send().await?;
    Ok(Receipt { status: response.status().as_u16(), body: response.text().await? })
}

/// Returns the fields of a form body.
fn fields(body: &str, form: Form) -> Vec<(String, String)> {
    match form {
        Form::Json => Vec::new(),
        Form::JsonString => vec![("JSONString".to_owned(), body.to_owned())],
        Form::Plain => {
            let payload: Object = serde_json::from_str(body).unwrap_or_default();
            let record = payload.values().find_map(Value::as_object).unwrap_or(&payload);
            record.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
        }
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the client for all deliveries. There is one, since building it loads the certificates. It keeps no
/// connections, because they would end with the runtime of the test that opened them.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client.clone());
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(10))
        .build()?;
    Ok(CLIENT.get_or_init(|| client).clone())
}
