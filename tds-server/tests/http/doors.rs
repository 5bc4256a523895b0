//! Tests methods, slashes, aliases, ids in the address, and bodies at the size limit.

use axum::{body::Body, http::Request};
use futures_util::stream;
use serde_json::json;
use tds_core::{
    inbox::{EventFilter, EventView, InboxOperator},
    queue::{ItemFilter, QueueOperator},
};
use tds_server::{Health, RequestLimits, RouteSettings};

use super::common::{Server, item, no_zoho, server, server_with, settings, signed, signed_by};

const MAX: usize = 8 * 1024 * 1024;

/// Every address that accepts webhooks of products, or of all entity types that the predecessor accepted.
const ADDRESSES: [&str; 3] =
    ["/api/zoho/webhooks/products", "/api/zoho/sync-products", "/api/tds/webhooks/products"];

async fn events(server: &Server) -> Vec<EventView> {
    server.store.list_events(&EventFilter::default(), 200, None).await.expect("a list").items
}

/// Returns the queued items as entity type and id.
async fn queued(server: &Server) -> Vec<String> {
    let items = server.store.list(&ItemFilter::default(), 200, None).await.expect("a list").items;
    items.iter().map(|item| format!("{} {}", item.entity_type, item.record)).collect()
}

async fn counted(server: &Server, result: &str) -> bool {
    let metrics = server.get("/metrics").await.text;
    metrics.contains(&format!(r#"tds_webhook_requests_total{{source="zoho",{result}"#))
}

#[tokio::test]
async fn every_method_of_zoho_and_one_slash_at_the_end_are_taken_everywhere_and_counted() {
    let server = server();
    let mut sent = 0;
    for address in ADDRESSES {
        for (method, event) in [("POST", "updated"), ("PUT", "updated"), ("DELETE", "deleted")] {
            for slash in ["", "/"] {
                let path = format!("{address}{slash}");
                sent += 1;
                let answer = server.send(signed_by(method, &path, &item(&sent.to_string(), 0))).await;
                assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
                assert_eq!(answer.json()["status"], "accepted");
                let newest = events(&server).await.remove(0);
                assert_eq!(newest.event_type, event, "{method} {path}");
                assert_eq!(newest.entity_id, Some(sent.to_string()), "{method} {path}");
            }
        }
    }
    assert!(counted(&server, &format!(r#"result="accepted"}} {sent}"#)).await);
}

#[tokio::test]
async fn a_put_states_its_event_as_a_post_does_and_a_delete_is_always_a_deletion() {
    let server = server();
    for (method, query, event) in [
        ("PUT", "?event=created", "created"),
        ("PUT", "?event=deleted", "deleted"),
        ("DELETE", "?event=created", "deleted"),
        ("DELETE", "?event=deleted", "deleted"),
    ] {
        let path = format!("/api/zoho/webhooks/products{query}");
        assert_eq!(server.send(signed_by(method, &path, r#"{"item":{"item_id":"7"}}"#)).await.status, 200);
        assert_eq!(events(&server).await[0].event_type, event, "{method} {query}");
    }
    let post = server.deliver("/api/zoho/webhooks/products?event=deleted", &item("9", 0)).await.json();
    let delete = server.send(signed_by("DELETE", "/api/zoho/webhooks/products", &item("9", 0))).await.json();
    assert_eq!((&delete["event_id"], &delete["duplicate"]), (&post["event_id"], &json!(true)));
}

#[tokio::test]
async fn whatever_is_refused_at_a_webhook_address_is_counted_too() {
    let server = server();
    server.get("/api/zoho/webhooks/products").await.is_problem(405, "method-not-allowed");
    server.deliver("/api/zoho/webhooks/nothing", &item("1", 0)).await.is_problem(404, "not-found");
    server.deliver("/api/zoho/webhooks/products//", &item("1", 0)).await.is_problem(404, "not-found");
    let large =
        Request::put("/api/zoho/sync-stock/").body(Body::from(vec![b'x'; MAX + 1])).expect("a request");
    server.send(large).await.is_problem(413, "payload-too-large");
    assert!(counted(&server, r#"result="refused"} 3"#).await);
    let unsigned =
        Request::delete("/api/tds/webhooks/stock/?item_id=1").body(Body::empty()).expect("a request");
    server.send(unsigned).await.is_problem(401, "invalid-signature");
    assert!(counted(&server, r#"result="unauthorized"} 1"#).await);
    server.get("/api/zoho/webhooks/inbox").await;
    assert!(counted(&server, r#"result="refused"} 3"#).await, "the operators' addresses are no webhooks");
    assert!(events(&server).await.is_empty());
}

#[tokio::test]
async fn an_id_in_the_address_with_an_empty_body_makes_the_record_be_read() {
    let server = server();
    for (method, path, queued_as, event) in [
        ("DELETE", "/api/zoho/webhooks/invoices?invoice_id=46", "invoices 46", "deleted"),
        ("POST", "/api/zoho/webhooks/bills?event=deleted&bill_id=47", "bills 47", "deleted"),
        ("POST", "/api/zoho/webhooks/customers?contact_id=48", "customers 48", "updated"),
        ("PUT", "/api/zoho/sync-credit-notes?creditnote_id=49", "credit_notes 49", "updated"),
        ("POST", "/api/tds/webhooks/vendors?vendor_id=50", "customers 50", "updated"),
        ("POST", "/api/zoho/webhooks/stock?item_id=51", "stock 51", "updated"),
        ("POST", "/api/zoho/webhooks/prices?pricebook_id=52", "prices 52", "updated"),
    ] {
        let answer = server.send(signed_by(method, path, "")).await;
        assert_eq!(answer.json()["status"], "accepted", "{path}: {}", answer.text);
        assert_eq!(queued(&server).await[0], queued_as, "{path}");
        let newest = events(&server).await.remove(0);
        assert_eq!(newest.event_type, event, "{path}");
        assert_eq!(newest.entity_id.as_deref(), queued_as.split(' ').next_back(), "{path}");
    }
}

#[tokio::test]
async fn an_event_whose_address_named_the_record_can_be_replayed() {
    let server = server();
    let receipt =
        server.send(signed_by("POST", "/api/zoho/webhooks/invoices?invoice_id=46", "")).await.json();
    let path = format!("/api/zoho/webhooks/inbox/{}/replay", receipt["inbox_event_id"]);
    let replayed = server.post(&path, json!(null)).await;
    assert_eq!((replayed.status.as_u16(), &replayed.json()["status"]), (200, &json!("accepted")));
    assert!(queued(&server).await.iter().all(|item| item == "invoices 46"));
}

#[tokio::test]
async fn an_empty_delivery_is_never_a_duplicate() {
    let server = server();
    for expected in 1..=3 {
        let answer = server.send(signed_by("DELETE", "/api/zoho/webhooks/invoices?invoice_id=46", "")).await;
        assert_eq!(answer.json()["duplicate"], false);
        assert_eq!(events(&server).await.len(), expected);
    }
    assert_eq!(queued(&server).await.len(), 1, "folding absorbs the repeats");
}

/// `?a=bc` and `?ab=c` have the same signature. Only parameters with the exact names have a meaning, and content that
/// was not signed is refused.
#[tokio::test]
async fn characters_moved_between_the_pairs_of_the_address_change_nothing() {
    let server = server();
    let signature =
        signed("/api/zoho/webhooks/invoices?invoice_id=46", "").headers()["x-zoho-webhook-signature"].clone();
    for (query, status) in
        [("?invoice_i=d46", "unparsed"), ("?invoice_id46=", "unparsed"), ("?=invoice_id46", "unparsed")]
    {
        let request = Request::post(format!("/api/zoho/webhooks/invoices{query}"))
            .header("X-Zoho-Webhook-Signature", &signature)
            .body(Body::empty())
            .expect("a request");
        assert_eq!(server.send(request).await.json()["status"], status, "{query}");
    }
    for query in ["", "?invoice_id=47", "?invoice_id=46&event=deleted", "?invoice_id=4&x=6"] {
        let request = Request::post(format!("/api/zoho/webhooks/invoices{query}"))
            .header("X-Zoho-Webhook-Signature", &signature)
            .body(Body::empty())
            .expect("a request");
        server.send(request).await.is_problem(401, "invalid-signature");
    }
    assert!(queued(&server).await.is_empty());
}

#[tokio::test]
async fn a_body_beside_an_id_in_the_address_decides_alone() {
    let server = server();
    let answer = server.deliver("/api/zoho/webhooks/products?item_id=9", "no record").await;
    assert_eq!(answer.json()["status"], "unparsed");
    server.deliver("/api/zoho/webhooks/products?item_id=9", &item("7", 0)).await;
    assert_eq!(queued(&server).await, ["products 7"]);
}

/// Returns the webhook of an item with exactly this many bytes.
fn item_of(size: usize) -> String {
    let frame = json!({"item": {"item_id": "1", "description": ""}}).to_string();
    let body = json!({"item": {"item_id": "1", "description": "x".repeat(size - frame.len())}}).to_string();
    assert_eq!(body.len(), size);
    body
}

/// Returns the request with a body in chunks and without a length.
fn chunked(request: Request<Body>, body: &str) -> Request<Body> {
    let (parts, _) = request.into_parts();
    let chunks: Vec<_> =
        body.as_bytes().chunks(100_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    Request::from_parts(parts, Body::from_stream(stream::iter(chunks)))
}

#[tokio::test]
async fn eight_mebibytes_are_taken_and_one_byte_more_is_not() {
    let server = server();
    let (exact, larger) = (item_of(MAX), item_of(MAX + 1));
    let path = "/api/zoho/webhooks/products";
    assert_eq!(server.deliver(path, &exact).await.json()["status"], "accepted");
    assert_eq!(server.send(chunked(signed(path, &exact), &exact)).await.json()["status"], "accepted");
    server.deliver(path, &larger).await.is_problem(413, "payload-too-large");
    server.send(chunked(signed(path, &larger), &larger)).await.is_problem(413, "payload-too-large");
    // The stated length is wrong. A length that is too small is ignored, because the bytes that arrive are counted. A
    // length that is too large is believed.
    let mut short = chunked(signed(path, &larger), &larger);
    short.headers_mut().insert("content-length", "10".parse().expect("a value"));
    server.send(short).await.is_problem(413, "payload-too-large");
    let mut long = signed(path, "{}");
    long.headers_mut().insert("content-length", (MAX + 1).to_string().parse().expect("a value"));
    server.send(long).await.is_problem(413, "payload-too-large");
    assert_eq!(events(&server).await.len(), 2);
}

#[tokio::test]
async fn large_bodies_share_a_bounded_memory_and_small_ones_do_not_wait_for_them() {
    let limits = RequestLimits { body_bytes: 2 * 1024 * 1024, ..RequestLimits::default() };
    let server = server_with(RouteSettings { limits, ..settings() }, Health::default(), no_zoho());
    let path = "/api/zoho/webhooks/products";
    // A body that has arrived in part keeps its memory permits until it ends.
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let part = stream::once(async { Ok::<_, std::io::Error>(vec![b'x'; 1_500_000]) });
    let rest = stream::once(async {
        let _ = receive.await;
        Err(std::io::Error::other("the sender went away"))
    });
    let (parts, _) = signed(path, "").into_parts();
    let waiting = Request::from_parts(parts, Body::from_stream(futures_util::StreamExt::chain(part, rest)));
    let router = server.router.clone();
    let held = tokio::spawn(async move { tower::ServiceExt::oneshot(router, waiting).await });
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let answer = server.deliver(path, &item_of(1_500_000)).await;
        if answer.status == 503 {
            answer.is_problem(503, "unavailable");
            assert!(answer.headers.contains_key("retry-after"));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the other body never took its place");
        tokio::task::yield_now().await;
    }
    assert_eq!(server.deliver(path, &item("7", 0)).await.status, 200, "a small one is taken");
    drop(send);
    assert_eq!(held.await.expect("a task").expect("infallible").status(), 400);
    assert_eq!(server.deliver(path, &item_of(1_500_000)).await.status, 200, "the place is free again");
}
