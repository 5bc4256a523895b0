//! Tests `POST /api/zoho/webhooks/…` and its aliases.

use axum::{body::Body, http::Request};
use secrecy::SecretString;
use tds_core::{
    inbox::{EventFilter, InboxId, InboxOperator, event_id},
    record::EntityType,
};
use tds_server::{Health, config::WebhookConfig};

use super::common::{Server, item, no_zoho, server, server_with, settings, signed};

async fn kept(server: &Server) -> usize {
    server.store.list_events(&EventFilter::default(), 200, None).await.expect("a list").items.len()
}

#[tokio::test]
async fn a_webhook_is_kept_and_answered_with_exactly_these_keys() {
    let server = server();
    let body = item("460000000027009", 0);
    let answer = server.deliver("/api/zoho/webhooks/products", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = event_id(&EntityType::from_static("products"), "updated", body.as_bytes(), None);
    let expected =
        format!(r#"{{"status":"accepted","event_id":"{id}","inbox_event_id":1,"duplicate":false}}"#);
    assert_eq!(answer.text, expected);
    let event = server.store.get_event(InboxId(1)).await.expect("a look").expect("an event");
    assert_eq!(event.raw_payload.as_deref(), Some(body.as_bytes()));
    let headers = event.headers.expect("headers");
    assert!(headers.get("x-zoho-webhook-signature").is_none(), "{headers}");
    assert_eq!(headers["content-type"], "application/json");
}

#[tokio::test]
async fn the_same_delivery_again_is_a_duplicate() {
    let server = server();
    let body = item("1", 0);
    let first = server.deliver("/api/zoho/webhooks/products", &body).await.json();
    let second = server.deliver("/api/zoho/webhooks/products", &body).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.json()["duplicate"], true);
    assert_eq!(second.json()["inbox_event_id"], first["inbox_event_id"]);
    assert_eq!(kept(&server).await, 1);
}

#[tokio::test]
async fn the_event_type_is_part_of_the_identity_and_of_the_signature() {
    let server = server();
    let body = item("1", 0);
    server.deliver("/api/zoho/webhooks/products?event=created", &body).await;
    let deleted = server.deliver("/api/zoho/webhooks/products?event=deleted", &body).await;
    assert_eq!(deleted.json()["duplicate"], false);
    let mut stripped = signed("/api/zoho/webhooks/products?event=created", &body);
    *stripped.uri_mut() = "/api/zoho/webhooks/products".parse().expect("a uri");
    server.send(stripped).await.is_problem(401, "invalid-signature");
}

#[tokio::test]
async fn a_body_without_a_version_is_never_a_duplicate() {
    let server = server();
    for expected in [1, 2] {
        let answer = server.deliver("/api/zoho/webhooks/products", r#"{"item":{"item_id":"7"}}"#).await;
        assert_eq!(answer.json()["duplicate"], false);
        assert_eq!(kept(&server).await, expected);
    }
}

#[tokio::test]
async fn every_path_and_alias_answers() {
    let server = server();
    let names = [
        "products",
        "customers",
        "invoices",
        "bills",
        "credit-notes",
        "stock",
        "prices",
        "sales-orders",
        "customer-payments",
        "purchase-orders",
        "vendor-payments",
        "vendor-credits",
    ];
    let mut paths: Vec<String> = names.iter().map(|name| format!("/api/zoho/webhooks/{name}")).collect();
    paths.extend(names.iter().map(|name| format!("/api/zoho/sync-{name}")));
    let old =
        ["products", "customers", "vendors", "invoices", "orders", "stock", "prices", "payments", "users"];
    paths.extend(old.iter().map(|name| format!("/api/tds/webhooks/{name}")));
    paths.push("/api/zoho/webhooks/credit_notes".to_owned());
    for path in paths {
        let answer = server.deliver(&path, r#"{"test":true}"#).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_and_keeps_nothing() {
    let server = server();
    for path in ["/api/zoho/webhooks/orders", "/api/tds/webhooks/nothing", "/api/zoho/webhooks/Products"] {
        server.deliver(path, &item("1", 0)).await.is_problem(404, "not-found");
    }
    assert_eq!(kept(&server).await, 0);
}

#[tokio::test]
async fn odd_authentic_bodies_are_kept() {
    let server = server();
    for (path, body, status) in [
        ("/api/zoho/webhooks/products", "", "unparsed"),
        ("/api/zoho/webhooks/products", r#"[{"item_id":"7"}]"#, "accepted"),
        ("/api/zoho/webhooks/products", "null", "unparsed"),
        ("/api/zoho/webhooks/products", "{\"item\":", "unparsed"),
        ("/api/zoho/webhooks/products", r#"{"salesorder":{"salesorder_id":"5"}}"#, "ignored"),
        ("/api/zoho/webhooks/products", r#"{"organization_id":"999","item":{"item_id":"5"}}"#, "ignored"),
        ("/api/tds/webhooks/payments", r#"{"payment":{"payment_id":"5"}}"#, "accepted"),
        ("/api/tds/webhooks/users", r#"{"user":{"user_id":"5"}}"#, "ignored"),
    ] {
        let answer = server.deliver(path, body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        assert_eq!(answer.json()["status"], status, "{body}");
    }
    assert_eq!(kept(&server).await, 8);
}

#[tokio::test]
async fn without_a_valid_signature_nothing_is_stored() {
    let server = server();
    let with = |signatures: &[&str]| {
        let mut request = Request::post("/api/zoho/webhooks/products");
        for signature in signatures {
            request = request.header("X-Zoho-Webhook-Signature", *signature);
        }
        request.body(Body::from(item("1", 0))).expect("a request")
    };
    let zeros = "0".repeat(64);
    for signatures in [&[][..], &[""], &["nonsense"], &[zeros.as_str()], &[zeros.as_str(), zeros.as_str()]] {
        server.send(with(signatures)).await.is_problem(401, "invalid-signature");
    }
    let mut twice = signed("/api/zoho/webhooks/products", &item("1", 0));
    let right = twice.headers()["x-zoho-webhook-signature"].clone();
    twice.headers_mut().append("x-zoho-webhook-signature", right);
    server.send(twice).await.is_problem(401, "invalid-signature");
    assert_eq!(kept(&server).await, 0);
}

#[tokio::test]
async fn without_a_secret_webhooks_are_refused_unless_that_is_allowed() {
    let mut closed = settings();
    closed.webhooks = WebhookConfig::default();
    let mut open = settings();
    open.webhooks = WebhookConfig { allow_unsigned: true, ..WebhookConfig::default() };
    let unsigned =
        || Request::post("/api/zoho/webhooks/products").body(Body::from(item("1", 0))).expect("a request");
    let server = server_with(closed, Health::default(), no_zoho());
    server.send(unsigned()).await.is_problem(503, "webhooks-not-configured");
    assert_eq!(kept(&server).await, 0);
    let server = server_with(open, Health::default(), no_zoho());
    assert_eq!(server.send(unsigned()).await.status, 200);
}

#[tokio::test]
async fn the_webhook_key_must_match_too() {
    let mut settings = settings();
    settings.webhooks.keys = ["k1", "k2"].map(SecretString::from).to_vec();
    let server = server_with(settings, Health::default(), no_zoho());
    server.deliver("/api/zoho/webhooks/products", &item("1", 0)).await.is_problem(401, "invalid-signature");
    for (key, status) in [("k0", 401), ("k1", 200), ("k2", 200)] {
        let mut request = signed("/api/zoho/webhooks/products", &item("1", 0));
        request.headers_mut().insert("X-Webhook-Key", key.parse().expect("a value"));
        assert_eq!(server.send(request).await.status, status, "{key}");
    }
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    let server = server();
    for (encoding, status) in [("gzip", 415), ("br", 415), ("identity", 200)] {
        let mut request = signed("/api/zoho/webhooks/products", &item("1", 0));
        request.headers_mut().insert("Content-Encoding", encoding.parse().expect("a value"));
        let answer = server.send(request).await;
        assert_eq!(answer.status, status, "{encoding}");
    }
}
