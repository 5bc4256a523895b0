//! Tests the history of a record and the dry runs over the store in memory, without Zoho.

use serde_json::{Value, json};
use tds_core::queue::{ClaimRequest, Queue as _, Settle, Settlement, WorkerId};

use super::common::{Server, item, server};

const HISTORY: &str = "/api/zoho/records/products/5/history";

async fn replayed(server: &Server, id: &Value) -> Value {
    let path = format!("/api/zoho/webhooks/inbox/{id}/replay");
    let answer = server.post(&path, json!({"dry_run": true})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["would"].clone()
}

#[tokio::test]
async fn a_history_shows_deliveries_and_refuses_what_is_unknown() {
    let server = server();
    server.get(HISTORY).await.is_problem(404, "unknown-id");
    server.get("/api/zoho/records/orders/5/history").await.is_problem(422, "unknown-entity-type");
    for _ in 0..2 {
        server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    }
    let history = server.get(HISTORY).await.json();
    let events = history["events"].as_array().expect("events");
    let actions: Vec<&Value> = events.iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["received", "waiting", "duplicate"], "{history:#}");
    assert!(events.iter().all(|event| event["kind"] == "webhook" && event["inbox_event_id"] == 1));
    assert_eq!(
        (&history["record"]["zoho_id"], &history["record"]["version"], &history["has_older"]),
        (&json!("5"), &Value::Null, &json!(false))
    );
    let newest = server.get(&format!("{HISTORY}?limit=1")).await.json();
    assert_eq!((&newest["events"][0]["action"], &newest["has_older"]), (&json!("duplicate"), &json!(true)));
    server.get(&format!("{HISTORY}?limit=201")).await.is_problem(422, "invalid-value");
    let first = events[0]["at"].as_str().expect("a time").replace('+', "%2B");
    let earlier = server.get(&format!("{HISTORY}?before={first}")).await.json();
    assert_eq!((&earlier["events"], &earlier["has_older"]), (&json!([]), &json!(false)));
    server.get(&format!("{HISTORY}?before=yesterday")).await.is_problem(422, "invalid-value");
    server.get(&format!("{HISTORY}?since=x")).await.is_problem(422, "invalid-value");
}

#[tokio::test]
async fn a_dry_run_of_a_replay_says_what_each_kind_of_body_would_do() {
    let server = server();
    let deliver =
        async |path: &str, body: &str| server.deliver(path, body).await.json()["inbox_event_id"].clone();
    let whole = deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    // A body with a few keys is not the whole record, so the record would be read, but this Zoho cannot be reached.
    let would = replayed(&server, &whole).await;
    assert_eq!(would["outcome"], "failed", "{would:#}");
    assert!(would["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    let unparsed = deliver("/api/zoho/webhooks/products", "no json at all").await;
    let would = replayed(&server, &unparsed).await;
    assert_eq!(
        (&would["outcome"], &would["changes"], &would["records"]),
        (&json!("unparsed"), &json!([]), &json!([]))
    );
    let ignored = deliver("/api/tds/webhooks/users", "{}").await;
    assert_eq!(replayed(&server, &ignored).await["outcome"], "ignored");
    server
        .post("/api/zoho/webhooks/inbox/99/replay", json!({"dry_run": true}))
        .await
        .is_problem(404, "unknown-id");
    let wrong = server.post("/api/zoho/webhooks/inbox/1/replay", json!({"dry": true})).await;
    wrong.is_problem(422, "invalid-value");
    // `false` is a replay.
    let done = server.post("/api/zoho/webhooks/inbox/1/replay", json!({"dry_run": false})).await.json();
    assert_eq!(done["affected"], 1);
}

#[tokio::test]
async fn a_dry_run_of_a_retry_changes_no_item() {
    let server = server();
    server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    let request = ClaimRequest::new(WorkerId("test".into()), 1, std::time::Duration::from_secs(60));
    let claimed = server.store.claim(&request).await.expect("claimed").remove(0);
    let path = format!("/api/zoho/sync/queue/{}", claimed.id);
    let dead = Settlement::new(&claimed, Settle::DeadLetter { error: "no unit".into() });
    server.store.settle(vec![dead]).await.expect("settled");
    let before = server.get(&path).await.json();
    let would = server.post(&format!("{path}/retry"), json!({"dry_run": true})).await.json();
    assert_eq!(would["would"]["records"][0]["zoho_id"], "5", "{would:#}");
    assert_eq!(server.get(&path).await.json(), before);
    let retried = server.post(&format!("{path}/retry"), Value::Null).await.json();
    assert_eq!(retried, json!({"affected": 1}));
    let discarded = server.post(&format!("{path}/discard"), Value::Null).await.json();
    assert_eq!(discarded, json!({"affected": 1}));
    let ended = server.post(&format!("{path}/retry"), json!({"dry_run": true})).await.json();
    assert_eq!(ended["would"]["outcome"], "ignored");
    server
        .post("/api/zoho/sync/queue/999/retry", json!({"dry_run": true}))
        .await
        .is_problem(404, "unknown-id");
}
