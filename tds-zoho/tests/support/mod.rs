//! What the tests of sources and entities share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use tds_core::{
    clock::SystemClock,
    error::Result,
    record::{EntityType, Interval, Observed, Payload, Record, RecordId, Shape, SourcePayload},
    source::Source,
};
use tds_zoho::{DataCenter, ZohoClient, ZohoConfig, testkit::FakeZoho};
use time::macros::datetime;

/// Returns a client that never makes a call.
pub(crate) fn offline() -> ZohoClient {
    static CLIENT: OnceLock<ZohoClient> = OnceLock::new();
    let client = || {
        let config = ZohoConfig::new("client", "secret", "token", "60001", DataCenter::Us);
        ZohoClient::new(config, Arc::new(SystemClock)).expect("a valid configuration")
    };
    CLIENT.get_or_init(client).clone()
}

/// Returns a client of a fake organization, with limits so high that no test reaches them.
pub(crate) fn online(zoho: &FakeZoho) -> ZohoClient {
    let credentials = zoho.credentials();
    let mut config = ZohoConfig::new(
        credentials.client_id,
        credentials.client_secret,
        credentials.refresh_token,
        credentials.organization_id,
        DataCenter::Us,
    );
    config.accounts_url = zoho.accounts_url();
    config.api_url = Some(zoho.api_url());
    config.requests_per_minute = 10_000;
    ZohoClient::new(config, Arc::new(SystemClock)).expect("a valid configuration")
}

/// Returns the source of an entity type.
pub(crate) fn source(client: &ZohoClient, entity: &str) -> Arc<dyn Source> {
    let sources = tds_zoho::sources(client);
    sources.into_iter().find(|source| source.schema().entity.as_str() == entity).expect("a known entity type")
}

/// Decodes JSON text as this entity type.
pub(crate) fn decode(entity: &str, shape: Shape, json: &str) -> Result<Record> {
    let at = datetime!(2026-11-20 12:00 UTC);
    let observed = Observed::Call(Interval { began: at, ended: at });
    source(&offline(), entity).decode(&SourcePayload { shape, observed, json: Payload::new(json) })
}

/// Decodes JSON text that must be readable.
pub(crate) fn decoded(entity: &str, shape: Shape, json: &str) -> Record {
    decode(entity, shape, json).unwrap_or_else(|error| panic!("{entity}: {error}"))
}

/// Returns a recorded or documented answer of Zoho.
pub(crate) fn sample(name: &str) -> Value {
    let path = format!("{}/tests/data/zoho-samples/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the fields as literal JSON text, which tests compare: `1.50` is not `1.5`.
pub(crate) fn literal(fields: &Map<String, Value>) -> String {
    Value::Object(fields.clone()).to_string()
}

pub(crate) fn entity(name: &str) -> EntityType {
    name.parse().expect("a name")
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::new(text)
}
