//! Receives the webhooks of Zoho: checks that a delivery is authentic, and stores it in the inbox.
//!
//! A delivery passes six functions, and must never pass more than seven: the route (`http::routes::webhooks::receive`),
//! [`Webhooks::receive`], `authentic::check`, `tds_zoho::webhook::verify`, `tds_zoho::webhook::parse` and
//! [`Inbox::accept`](tds_core::inbox::Inbox::accept).

mod authentic;
mod refusals;
mod refused;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value};
use tds_core::{
    error::ErrorKind,
    inbox::{Disposition, InboxId, NewEvent},
    record::EntityType,
    shutdown::Shutdown,
};
use tds_postgres::PgStore;
use tds_zoho::webhook::{Event, Received, event_type, kept_body, kept_of_unparsed, parse, query_pairs};

use self::{refusals::Refusals, refused::Counted};
use super::{events::Reception, services::Services};
use crate::{config::WebhookConfig, hint::command};

/// Headers that are never stored, because they carry secrets.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "x-zoho-webhook-signature", "x-webhook-key"];

/// A webhook as it was received. Nothing is known of its sender.
pub(crate) struct Delivery {
    /// The entity type that the address names.
    pub(crate) entity: EntityType,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An authentic delivery that the inbox holds.
pub(crate) struct Kept {
    pub(crate) reception: Reception,
    /// The identity of the delivery.
    pub(crate) event_id: String,
    /// The row of the event in the inbox.
    pub(crate) id: InboxId,
    /// The inbox held the same delivery before.
    pub(crate) duplicate: bool,
}

/// The reason why a delivery was not kept. Nothing was stored.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// The body has a content encoding. Such a body would be verified and stored compressed, and may be a
    /// decompression bomb.
    Encoded,
    /// No secret is configured, so no delivery can be verified.
    NotConfigured,
    /// The delivery is not authentic.
    NotAuthentic { reason: String, cause: Cause },
    /// The store failed. The sender has to send the delivery again.
    NotStored,
}

/// What of a delivery is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There is no signature.
    Unsigned,
    /// The signature matches no secret. What it covers may be worth a diagnosis.
    Signature,
    /// There are too many signatures, or too many fields that a signature would cover.
    Surplus,
    /// The signature is right, and the header `X-Webhook-Key` is missing or wrong.
    Key,
}

/// The receiver of webhooks.
pub(crate) struct Webhooks {
    services: Services,
    config: WebhookConfig,
    refusals: Refusals,
    refused: Counted,
}

impl Webhooks {
    pub(crate) fn new(services: Services, config: WebhookConfig) -> Self {
        Self { services, config, refusals: Refusals::default(), refused: Counted::default() }
    }

    /// Stores an authentic delivery and the work that follows from it, whatever the body says.
    pub(crate) async fn receive(&self, delivery: Delivery) -> Result<Kept, NotKept> {
        let Services { ports, catalogue, zoho, clock, .. } = &self.services;
        let pairs = query_pairs(delivery.uri.query());
        let authentic = authentic::check(&self.config, &delivery, &pairs)
            .inspect_err(|refused| self.refused(refused, &delivery))?;
        let stated = pairs.iter().find(|(name, _)| name == "event").map(|(_, value)| value.as_str());
        let event_type = if delivery.method == Method::DELETE { "deleted" } else { event_type(stated) };
        let received = Received {
            entity: &delivery.entity,
            event_type,
            organization_id: zoho.organization_id(),
            at: clock.now(),
            receipt: || uuid::Uuid::new_v4().to_string(),
        };
        let Event { identity: event_id, entity_id, disposition, .. } =
            parse(catalogue, &authentic, &received);
        // The identity of the delivery is that of the whole body.
        let kept = match disposition {
            Disposition::Work(_) => kept_body(catalogue, &delivery.entity, &delivery.body, true),
            Disposition::Ignored(_) => kept_body(catalogue, &delivery.entity, &delivery.body, false),
            Disposition::Unparsed(_) => kept_of_unparsed(catalogue, &delivery.body),
        };
        let (reception, bytes) = (Reception::of(&disposition), delivery.body.len());
        let event = NewEvent {
            event_id: event_id.clone(),
            source_type: "zoho".to_owned(),
            entity_type: delivery.entity.clone(),
            entity_id,
            event_type: event_type.to_owned(),
            raw_payload: kept.unwrap_or_else(|| delivery.body.into()),
            headers: stored_headers(&delivery.headers),
            disposition,
        };
        let accepted = ports.inbox.accept(event).await.map_err(not_stored)?;
        tracing::info!(
            inbox_event = accepted.id.0, event_id, entity = %delivery.entity, status = reception.as_str(),
            duplicate = accepted.duplicate, bytes,
            "webhook kept"
        );
        Ok(Kept { reception, event_id, id: accepted.id, duplicate: accepted.duplicate })
    }
}

impl Webhooks {
    /// Logs and counts a refused delivery.
    fn refused(&self, refused: &NotKept, delivery: &Delivery) {
        self.refusals.log(refused, &self.config, delivery);
        if let NotKept::NotAuthentic { cause, .. } = refused {
            self.refused.add(delivery.entity.as_str(), *cause, self.services.clock.now());
        }
    }

    /// Stores once a minute which deliveries were refused, until the shutdown signal. `tds-server webhooks status` shows
    /// them.
    pub(crate) async fn store_refused(&self, store: PgStore, shutdown: Shutdown) {
        self.refused.run(store, shutdown).await;
    }
}

fn not_stored(error: tds_core::error::Error) -> NotKept {
    match error.kind() {
        ErrorKind::Unavailable => {
            tracing::warn!(error = %error.explain(command), "a webhook could not be stored")
        }
        _ => tracing::error!(error = %error.explain(command), "a webhook could not be stored"),
    }
    NotKept::NotStored
}

fn stored_headers(headers: &HeaderMap) -> Value {
    let mut stored = Map::new();
    for name in headers.keys().filter(|name| !SECRET_HEADERS.contains(&name.as_str())) {
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        stored.insert(name.as_str().to_owned(), Value::String(values.join(", ")));
    }
    Value::Object(stored)
}
