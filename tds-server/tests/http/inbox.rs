//! Tests the inbox addresses of the operator API.

use serde_json::{Value, json};

use super::common::{item, server};

#[tokio::test]
async fn an_event_shows_its_headers_and_its_body() {
    let server = server();
    server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    let second = server.deliver("/api/zoho/webhooks/products", "no json at all").await.json();
    let second = &second["inbox_event_id"];
    let event = server.get("/api/zoho/webhooks/inbox/1").await.json();
    assert_eq!(event["payload_encoding"], "json");
    assert_eq!(event["payload"]["item"]["item_id"], "5");
    assert_eq!(event["headers"]["content-type"], "application/json");
    let odd = server.get(&format!("/api/zoho/webhooks/inbox/{second}")).await.json();
    assert_eq!((&odd["payload_encoding"], &odd["payload"]), (&json!("text"), &json!("no json at all")));
    assert_eq!(odd["status"], "failed");
    server.get("/api/zoho/webhooks/inbox/999").await.is_problem(404, "unknown-id");
    server.get("/api/zoho/webhooks/inbox/x").await.is_problem(422, "invalid-value");
}

#[tokio::test]
async fn events_are_listed_filtered_and_counted() {
    let server = server();
    for second in 0..3 {
        server.deliver("/api/zoho/webhooks/products", &item("5", second)).await;
    }
    server.deliver("/api/tds/webhooks/users", "{}").await;
    let page = server.get("/api/zoho/webhooks/inbox?limit=2&entity_type=products").await.json();
    assert_eq!(page["items"].as_array().expect("items").len(), 2);
    assert!(page["next_cursor"].is_string());
    let ignored = server.get("/api/zoho/webhooks/inbox?entity_type=users&status=completed").await.json();
    assert_eq!(ignored["items"][0]["outcome"], "ignored");
    let stats = server.get("/api/zoho/webhooks/inbox/stats").await.json();
    assert_eq!(stats["total"], 4);
    assert_eq!(stats["by_entity"]["products"], 3);
    assert_eq!(stats["by_status"]["processing"], 0, "every status is there: {stats}");
    assert_eq!(stats["last_24h"]["total"], 4);
    assert!(stats["last_received_at"].is_string());
    for query in ["limit=500", "status=dead_letter", "entity_type=A B", "cursor=nonsense", "older_than=x"] {
        let path = format!("/api/zoho/webhooks/inbox?{}", query.replace(' ', "%20"));
        assert_eq!(server.get(&path).await.status, 422, "{query}");
    }
}

#[tokio::test]
async fn an_event_is_replayed() {
    let server = server();
    server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    let replayed = server.post("/api/zoho/webhooks/inbox/1/replay", Value::Null).await;
    assert_eq!(replayed.status, 200, "{}", replayed.text);
    assert_eq!(replayed.json(), json!({"affected": 1, "inbox_event_id": 1, "status": "accepted"}));
    assert_eq!(server.get("/api/zoho/webhooks/inbox/1").await.json()["status"], "pending");
    server.post("/api/zoho/webhooks/inbox/9/replay", Value::Null).await.is_problem(404, "unknown-id");
}
