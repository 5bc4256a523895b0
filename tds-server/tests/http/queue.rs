//! Tests queue items, pausing and figures.

use std::time::Duration;

use serde_json::{Value, json};
use tds_core::queue::{ClaimRequest, Lease, Queue, Settle, Settlement, WorkerId};
use tds_zoho::entities::Catalogue;

use super::common::{Server, item, server};

async fn with_items(count: u8) -> Server {
    let server = server();
    for index in 0..count {
        let answer = server.deliver("/api/zoho/webhooks/products", &item(&format!("90{index}"), index)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    server
}

#[tokio::test]
async fn items_are_listed_page_by_page() {
    let server = with_items(5).await;
    let first = server.get("/api/zoho/sync/queue?limit=3&status=&entity_type=products&search=").await.json();
    assert_eq!(first["items"].as_array().expect("items").len(), 3);
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = server.get(&format!("/api/zoho/sync/queue?limit=3&cursor={cursor}")).await.json();
    assert_eq!(second["items"].as_array().expect("items").len(), 2);
    assert_eq!(second["next_cursor"], Value::Null);
    let found = server.get("/api/zoho/sync/queue?search=903").await.json();
    assert_eq!(found["items"][0]["zoho_entity_id"], "903");
}

#[tokio::test]
async fn one_item_shows_its_history() {
    let server = with_items(1).await;
    let id = server.get("/api/zoho/sync/queue").await.json()["items"][0]["id"].clone();
    let item = server.get(&format!("/api/zoho/sync/queue/{id}")).await;
    assert_eq!(item.status, 200);
    assert!(item.json()["attempts"].is_array(), "{}", item.text);
}

#[tokio::test]
async fn wrong_queries_are_refused() {
    let server = server();
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "status=done",
        "entity_type=orders",
        "older_than=5",
        "cursor=%00%FF",
        "cursor=nonsense",
        "cursor='%20OR%201=1",
    ] {
        let answer = server.get(&format!("/api/zoho/sync/queue?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
    }
    server.get("/api/zoho/sync/queue/abc").await.is_problem(422, "invalid-value");
    server.get("/api/zoho/sync/queue/99").await.is_problem(404, "unknown-id");
    for query in ["search=%25", "search=_", "search='%20OR%20''='", "search=%5C"] {
        let answer = server.get(&format!("/api/zoho/sync/queue?{query}")).await;
        assert_eq!(answer.json()["items"], json!([]), "{query}");
    }
}

#[tokio::test]
async fn items_are_discarded_one_by_one_or_by_a_filter() {
    let server = with_items(4).await;
    let id = server.get("/api/zoho/sync/queue?search=900").await.json()["items"][0]["id"].clone();
    let one = server.post(&format!("/api/zoho/sync/queue/{id}/discard"), Value::Null).await;
    assert_eq!(one.json(), json!({"affected": 1}));
    let gone = server.get(&format!("/api/zoho/sync/queue/{id}")).await.json();
    assert_eq!((&gone["status"], &gone["outcome"]), (&json!("completed"), &json!("discarded")));
    let some = server
        .post("/api/zoho/sync/queue/discard", json!({"entity_type": "products", "search": "901"}))
        .await;
    assert_eq!(some.json(), json!({"affected": 1}));
    let none = server.post("/api/zoho/sync/queue/discard", json!({"status": "dead_letter"})).await;
    assert_eq!(none.json(), json!({"affected": 0}));
    assert_eq!(
        server.post("/api/zoho/sync/queue/retry", json!({"ids": []})).await.json(),
        json!({"affected": 0})
    );
    let path = format!("/api/zoho/sync/queue/{id}/retry");
    assert_eq!(server.post(&path, Value::Null).await.json(), json!({"affected": 0}), "it has ended");
    server.post("/api/zoho/sync/queue/99/retry", Value::Null).await.is_problem(404, "unknown-id");
}

/// Dead-letters every waiting item.
async fn dead_letter_all(server: &Server) {
    let request = ClaimRequest::new(WorkerId::unique(), 100, Duration::from_secs(60));
    let claimed = server.store.claim(&request).await.expect("claim");
    let settle = Settle::DeadLetter { error: "rate is no number: abc".to_owned() };
    let settlements = claimed.iter().map(|item| Settlement {
        lease: Lease { id: item.id, token: item.token },
        generation: item.generation,
        settle: settle.clone(),
    });
    server.store.settle(settlements.collect()).await.expect("settle");
}

#[tokio::test]
async fn dead_letters_are_retried_one_by_one_or_by_a_filter() {
    let server = with_items(4).await;
    dead_letter_all(&server).await;
    let letters = server.get("/api/zoho/sync/queue?status=dead_letter&search=rate").await.json();
    assert_eq!(letters["items"].as_array().expect("items").len(), 4);
    assert_eq!(letters["items"][0]["error_message"], "rate is no number: abc");
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains(r#"tds_dead_letters{entity="products"} 4"#), "{metrics}");

    let id = letters["items"][0]["id"].clone();
    let one = server.post(&format!("/api/zoho/sync/queue/{id}/retry"), Value::Null).await;
    assert_eq!(one.json(), json!({"affected": 1}));
    let item = server.get(&format!("/api/zoho/sync/queue/{id}")).await.json();
    assert_eq!((&item["status"], &item["retry_count"]), (&json!("pending"), &json!(0)), "{item}");
    let by_id = json!({"ids": [letters["items"][1]["id"]]});
    assert_eq!(server.post("/api/zoho/sync/queue/retry", by_id).await.json(), json!({"affected": 1}));
    let rest = json!({"status": "dead_letter", "entity_type": "products", "search": "RATE"});
    assert_eq!(server.post("/api/zoho/sync/queue/retry", rest.clone()).await.json(), json!({"affected": 2}));
    assert_eq!(server.post("/api/zoho/sync/queue/retry", rest).await.json(), json!({"affected": 0}));
    assert_eq!(server.get("/api/zoho/sync/queue?status=dead_letter").await.json()["items"], json!([]));
}

#[tokio::test]
async fn an_empty_filter_does_not_select_everything() {
    let server = with_items(1).await;
    for path in ["/api/zoho/sync/queue/retry", "/api/zoho/sync/queue/discard"] {
        for body in [json!({}), json!({"search": "", "status": ""})] {
            server.post(path, body).await.is_problem(422, "invalid-value");
        }
        server.post(path, json!({"status": "none"})).await.is_problem(422, "invalid-value");
        server.post(path, json!({"entity_type": "none"})).await.is_problem(422, "unknown-entity-type");
    }
}

#[tokio::test]
async fn an_entity_type_is_paused_listed_and_resumed() {
    let server = server();
    let paused = server.post("/api/zoho/sync/pause", json!({"entity_type": "credit-notes"})).await;
    assert_eq!(paused.json(), json!({"entity_type": "credit_notes", "paused": true}));
    let shown = server.get("/api/zoho/sync/pause").await.json();
    assert_eq!(shown["paused"][0]["entity_type"], "credit_notes");
    let stats = server.get("/api/zoho/sync/stats").await.json();
    assert!(stats["activity"]["credit_notes"]["paused_since"].is_string(), "{stats}");
    server.post("/api/zoho/sync/resume", json!({"entity_type": "credit_notes"})).await;
    assert_eq!(server.get("/api/zoho/sync/pause").await.json(), json!({"paused": []}));
    server
        .post("/api/zoho/sync/pause", json!({"entity_type": "orders"}))
        .await
        .is_problem(422, "unknown-entity-type");
}

#[tokio::test]
async fn the_figures_show_items_that_need_an_operator_and_deferred_items() {
    let server = with_items(3).await;
    server.deliver("/api/zoho/webhooks/products", r#"{"odd":1}"#).await;
    let request = ClaimRequest::new(WorkerId("test".to_owned()), 2, Duration::from_secs(60));
    let claimed = server.store.claim(&request).await.expect("a claim");
    let reason = "Zoho refuses a token: invalid_code".to_owned();
    let after = Duration::from_secs(540);
    let settles = [
        Settle::DeadLetter { error: "broken".to_owned() },
        Settle::Release { after, fetch: false, reason: Some(reason.clone()) },
    ];
    let settlements = claimed.iter().zip(settles).map(|(item, settle)| Settlement {
        lease: Lease { id: item.id, token: item.token },
        generation: item.generation,
        settle,
    });
    server.store.settle(settlements.collect()).await.expect("settled");
    let stats = server.get("/api/zoho/sync/stats").await.json();
    let attention =
        json!({"dead_letters": 1, "unparsed_events": 1, "held_deletions": 0, "conflicts": 0, "drift": 0});
    assert_eq!(stats["needs_attention"], attention);
    assert_eq!(stats["deferred"]["count"], 1);
    assert_eq!(stats["deferred"]["reason"], reason);
    assert!(stats["deferred"]["until"].is_string(), "{stats}");
    // A deferred item waits as well as an item that is due.
    assert!(stats["oldest_pending_seconds"].as_f64().expect("two wait") > 0.0);
}

#[tokio::test]
async fn the_figures_name_every_entity_type() {
    let server = with_items(2).await;
    let stats = server.get("/api/zoho/sync/stats").await.json();
    let zero = json!({"pending": 0, "processing": 0, "completed": 0, "failed": 0, "dead_letter": 0});
    assert_eq!(stats["queue"]["pending"], 2);
    assert_eq!(stats["by_entity"]["products"]["pending"], 2);
    assert_eq!(
        stats["by_entity"].as_object().expect("an object").len(),
        Catalogue::default().names().count()
    );
    assert_eq!(stats["by_entity"]["vendors"], zero);
    for key in [
        "sync_delay_avg_seconds",
        "sync_delay_p50_seconds",
        "sync_delay_p99_seconds",
        "oldest_pending_seconds",
    ] {
        assert!(stats.get(key).is_some(), "{key}");
    }
    assert!(
        stats["api_budget"].get("minute_left").is_some() && stats["api_budget"].get("day_left").is_some()
    );
}
