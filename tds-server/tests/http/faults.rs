//! Tests faults that occur while a request is answered.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::Body;
use futures_util::stream;
use serde_json::json;
use tds_core::{
    error::{Error, ErrorKind, Retry},
    inbox::{Accepted, Inbox, NewEvent},
};
use tds_server::{Health, RequestLimits};

use super::common::{item, no_zoho, operator, server_changed, server_with, settings};

/// An inbox that returns what the test specifies.
struct Broken(fn() -> tds_core::error::Result<Accepted>);

#[async_trait]
impl Inbox for Broken {
    async fn accept(&self, _event: NewEvent) -> tds_core::error::Result<Accepted> {
        (self.0)()
    }
}

/// An inbox that never answers.
struct Hanging;

#[async_trait]
impl Inbox for Hanging {
    async fn accept(&self, _event: NewEvent) -> tds_core::error::Result<Accepted> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused() {
    let limits = RequestLimits { body_time: Duration::from_millis(50), ..RequestLimits::default() };
    let server =
        server_with(tds_server::RouteSettings { limits, ..settings() }, Health::default(), no_zoho());
    let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = operator("POST", "/api/zoho/bulk-sync").body(never).expect("a request");
    let answer = server.send(request).await;
    answer.is_problem(408, "request-timeout");
    assert_eq!(answer.headers["connection"], "close");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_may_be_repeated() {
    let limits = RequestLimits { request_time: Duration::from_millis(50), ..RequestLimits::default() };
    let mut server = server_changed(|services| services.ports.inbox = Arc::new(Hanging));
    let changed = tds_server::RouteSettings { limits, ..settings() };
    let services = server.state.services().clone();
    server.router = tds_server::router(tds_server::AppState::new(services, changed, Health::default()));
    let answer = server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    answer.is_problem(503, "timeout");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_panic_is_an_answer_of_its_own_request_alone() {
    let server =
        server_changed(|services| services.ports.inbox = Arc::new(Broken(|| panic!("a fault of ours"))));
    let answer = server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    answer.is_problem(500, "internal");
    assert!(!answer.text.contains("a fault of ours"), "{}", answer.text);
    assert_eq!(server.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_kept_is_answered_503_whatever_the_reason() {
    let reasons: [fn() -> tds_core::error::Result<Accepted>; 3] = [
        || Err(Error::unavailable("the database is away")),
        || Err(Error::internal("a fault of ours")),
        || Err(Error::new(ErrorKind::Config, Retry::Permanent, "the password is wrong")),
    ];
    for reason in reasons {
        let server = server_changed(|services| services.ports.inbox = Arc::new(Broken(reason)));
        let answer = server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
        answer.is_problem(503, "unavailable");
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(!answer.text.contains("password"), "{}", answer.text);
        let metrics = server.get("/metrics").await.text;
        let line = r#"tds_webhook_requests_total{source="zoho",result="unavailable"} 1"#;
        assert!(metrics.contains(line), "{metrics}");
    }
    let server = server_changed(|_| {});
    assert_eq!(server.get("/api/zoho/webhooks/inbox").await.json()["items"], json!([]));
}
