//! A router over the store in memory, and short functions to send requests to it.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use secrecy::SecretString;
use serde_json::Value;
use tds_core::{
    clock::{Clock, SystemClock},
    engine::{Engine, Stores},
    error::Result,
    handler::{BatchHandler, Handled},
    memory::MemoryStore,
    queue::{Claimed, Outcome},
    record::EntityType,
};
use tds_server::{
    AppState, Health, Ports, RouteSettings, Services,
    config::{Access, ApiToken, AuthConfig, WebhookConfig},
    router,
};
use tds_zoho::{DataCenter, ZohoClient, ZohoConfig, entities::Catalogue, sources, webhook::sign};
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "operator-token";
pub(crate) const SECRET: &str = "TdsSecret0123456";
pub(crate) const ORGANIZATION: &str = "10234695";

/// A router with its store.
pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) state: AppState,
    pub(crate) store: MemoryStore,
}

/// The answer to a request.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Asserts that the answer is a problem of this status and type, with the id of the request.
    pub(crate) fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let document = self.json();
        assert_eq!(document["type"], format!("/problems/{kind}"), "{document}");
        assert_eq!(document["status"], status);
        assert_eq!(document["request_id"], self.headers["x-request-id"].to_str().expect("text"));
        for key in ["title", "detail"] {
            assert!(document[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {document}");
        }
    }
}

/// A handler that reports every item as applied.
struct Anything(EntityType);

#[async_trait]
impl BatchHandler for Anything {
    fn entity(&self) -> &EntityType {
        &self.0
    }

    async fn handle_batch(&self, batch: &[Claimed]) -> Vec<Result<Handled>> {
        batch.iter().map(|_| Ok(Handled::Done(Outcome::Applied))).collect()
    }
}

pub(crate) fn settings() -> RouteSettings {
    let secret = |text: &str| SecretString::from(text.to_owned());
    RouteSettings {
        auth: AuthConfig {
            tokens: vec![ApiToken { name: "ann".to_owned(), token: secret(TOKEN), access: Access::Admin }],
        },
        webhooks: WebhookConfig { secrets: vec![secret(SECRET)], ..WebhookConfig::default() },
        ..RouteSettings::default()
    }
}

/// Returns the configuration of a client whose Zoho cannot be reached.
pub(crate) fn no_zoho() -> ZohoConfig {
    let mut config = ZohoConfig::new("1000.ID", "secret", "refresh", ORGANIZATION, DataCenter::Us);
    config.accounts_url = "http://127.0.0.1:9".to_owned();
    config.api_url = Some("http://127.0.0.1:9".to_owned());
    config
}

pub(crate) fn server() -> Server {
    server_with(settings(), Health::default(), no_zoho())
}

pub(crate) fn server_with(settings: RouteSettings, health: Health, zoho: ZohoConfig) -> Server {
    server_of(settings, health, zoho, |_| {})
}

/// Creates a server of which a test changes some parts.
pub(crate) fn server_changed(change: impl FnOnce(&mut Services)) -> Server {
    server_of(settings(), Health::default(), no_zoho(), change)
}

fn server_of(
    settings: RouteSettings,
    health: Health,
    zoho: ZohoConfig,
    change: impl FnOnce(&mut Services),
) -> Server {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = MemoryStore::new(Arc::clone(&clock));
    let zoho = ZohoClient::new(zoho, Arc::clone(&clock)).expect("a valid configuration");
    let builder =
        Engine::builder(Stores::new(&store, store.clone()).verifying(&store)).clock(Arc::clone(&clock));
    let engine = sources(&zoho).into_iter().fold(builder, |builder, source| {
        let handler = Anything(source.schema().entity.clone());
        builder.source(source).handler(Arc::new(handler))
    });
    let mut services = Services {
        ports: Ports::new(&store).pushing(&store),
        catalogue: Catalogue::default(),
        engine: engine.build(),
        zoho,
        clock,
    };
    change(&mut services);
    let state = AppState::new(services, settings, health);
    Server { router: router(state.clone()), state, store }
}

impl Server {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends a GET request as an operator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(operator("GET", path).body(Body::empty()).expect("a request")).await
    }

    /// Sends a POST request as an operator.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(operator("POST", path).body(body).expect("a request")).await
    }

    /// Sends a signed webhook as Zoho.
    pub(crate) async fn deliver(&self, path: &str, body: &str) -> Answer {
        self.send(signed(path, body)).await
    }
}

pub(crate) fn operator(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header(header::CONTENT_TYPE, "application/json")
}

pub(crate) fn signed(path: &str, body: &str) -> Request<Body> {
    signed_by("POST", path, body)
}

/// Returns a signed webhook request with this method.
pub(crate) fn signed_by(method: &str, path: &str, body: &str) -> Request<Body> {
    let pairs: Vec<(String, String)> = path.split_once('?').map_or_else(Vec::new, |(_, query)| {
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        query.split('&').filter_map(pair).collect()
    });
    let signature = sign(&SecretString::from(SECRET.to_owned()), &pairs, body.as_bytes());
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("X-Zoho-Webhook-Signature", signature)
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

/// Returns the webhook body of an item that states its version.
pub(crate) fn item(id: &str, second: u8) -> String {
    format!(
        r#"{{"item":{{"item_id":"{id}","name":"Cable","rate":12.50,"last_modified_time":"2026-11-20T12:00:{second:02}+0300"}}}}"#
    )
}
