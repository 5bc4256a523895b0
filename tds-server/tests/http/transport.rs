//! Tests the rules that hold for every address.

use axum::{body::Body, http::Request};
use futures_util::stream;
use serde_json::json;

use super::common::{operator, server};

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let server = server();
    for path in ["/", "/health", "/nothing", "/api/zoho/sync/stats", "/openapi.json", "/metrics"] {
        let answer = server.get(path).await;
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    for (sent, kept) in [("abc-123.x", true), ("with blank", false), ("", false)] {
        let request =
            Request::get("/livez").header("x-request-id", sent).body(Body::empty()).expect("a request");
        assert_eq!(server.send(request).await.headers["x-request-id"] == sent, kept, "{sent}");
    }
}

#[tokio::test]
async fn errors_of_the_router_are_problems() {
    let server = server();
    server.get("/nothing").await.is_problem(404, "not-found");
    server.get("/api/zoho/sync/queue/1/nothing").await.is_problem(404, "not-found");
    server.post("/livez", json!({})).await.is_problem(405, "method-not-allowed");
    let answer = server.get("/api/zoho/bulk-sync").await;
    answer.is_problem(405, "method-not-allowed");
    assert_eq!(answer.headers["allow"], "POST");
    server.get("/api/zoho/webhooks/products").await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn every_problem_type_leads_to_an_explanation() {
    let server = server();
    for kind in tds_server::ProblemKind::ALL {
        let answer = server.get(&kind.type_uri()).await;
        assert_eq!(answer.status, 200, "{kind:?}");
        assert!(answer.text.starts_with(kind.title()), "{}", answer.text);
    }
    server.get("/problems/none").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn bodies_that_are_no_json_or_have_wrong_fields_are_distinguished() {
    let server = server();
    for path in ["/api/zoho/sync/pause", "/api/zoho/sync/queue/retry", "/api/zoho/bulk-sync"] {
        for body in ["", "{", "\u{0}", "entity_type=products"] {
            let request = operator("POST", path).body(Body::from(body)).expect("a request");
            server.send(request).await.is_problem(400, "bad-request");
        }
        server.post(path, json!({"nothing": 1})).await.is_problem(422, "invalid-value");
    }
}

#[tokio::test]
async fn a_body_without_length_is_counted_while_it_arrives() {
    let server = server();
    let chunk = || Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]);
    let endless = Body::from_stream(stream::repeat_with(chunk));
    let request = operator("POST", "/api/zoho/bulk-sync").body(endless).expect("a request");
    server.send(request).await.is_problem(413, "payload-too-large");
}
