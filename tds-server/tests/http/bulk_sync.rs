//! Tests `POST /api/zoho/bulk-sync`.

use serde_json::{Value, json};
use tds_core::runs::{RunFilter, SyncRunOperator};
use tds_zoho::entities::Catalogue;

use super::common::server;

#[tokio::test]
async fn one_several_or_all_entity_types_can_be_started() {
    let every = Catalogue::default().names().count();
    for (choice, count) in [
        (json!("products"), 1),
        (json!("credit-notes"), 1),
        (json!(["products", "customers", "products"]), 2),
        (json!("all"), every),
        (json!(["all"]), every),
    ] {
        let answer =
            server().post("/api/zoho/bulk-sync", json!({"entity_type": choice, "mode": "full"})).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let runs = answer.json()["runs"].as_array().expect("runs").clone();
        assert_eq!(runs.len(), count, "{choice}");
        assert!(runs.iter().all(|run| run["status"] == "pending" && run["id"].is_i64()), "{runs:?}");
    }
}

#[tokio::test]
async fn output_says_credit_notes_with_an_underscore() {
    let answer = server().post("/api/zoho/bulk-sync", json!({"entity_type": "credit-notes"})).await;
    assert_eq!(answer.json()["runs"][0]["entity_type"], "credit_notes");
}

#[tokio::test]
async fn what_cannot_be_started_is_refused() {
    for (body, kind) in [
        (json!({"entity_type": "orders"}), "unknown-entity-type"),
        (json!({"entity_type": ["products", "nothing"]}), "unknown-entity-type"),
        (json!({"entity_type": []}), "invalid-value"),
        (json!({"entity_type": 5}), "invalid-value"),
        (json!({}), "invalid-value"),
        (json!({"entity_type": "products", "mode": "partial"}), "invalid-value"),
        (json!({"entity_type": "products", "since": "yesterday"}), "invalid-value"),
        (json!({"entity_type": "products", "mode": "full", "since": "2026-11-20"}), "invalid-value"),
        (json!({"entity_type": "products", "extra": 1}), "invalid-value"),
        (json!({"entity_type": "invoices", "from": "01/02/2026"}), "invalid-value"),
        (json!({"entity_type": "invoices", "from": "2026-02-01", "to": "2026-01-01"}), "invalid-value"),
        (json!({"entity_type": "invoices", "from": "2026-01-01", "ids": ["7"]}), "invalid-value"),
        (json!({"entity_type": "invoices", "from": "2026-01-01", "since": "2026-01-01"}), "invalid-value"),
        (json!({"entity_type": "all", "from": "2026-01-01"}), "invalid-value"),
        (json!({"entity_type": "products", "ids": []}), "invalid-value"),
        (json!({"entity_type": "products", "ids": ["../7"]}), "invalid-value"),
        (json!({"entity_type": ["products", "invoices"], "ids": ["7"]}), "invalid-value"),
        (json!(["products"]), "invalid-value"),
    ] {
        let answer = server().post("/api/zoho/bulk-sync", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        answer.is_problem(422, kind);
    }
    server().post("/api/zoho/bulk-sync", Value::Null).await.is_problem(400, "bad-request");
}

#[tokio::test]
async fn since_is_a_time_or_a_date() {
    for since in ["2026-11-20", "2026-11-20T00:00:00Z", "2026-11-20T03:00:00+03:00"] {
        let server = server();
        let answer =
            server.post("/api/zoho/bulk-sync", json!({"entity_type": "products", "since": since})).await;
        assert_eq!(answer.status, 202, "{since}: {}", answer.text);
        let id = answer.json()["runs"][0]["id"].clone();
        let run = server.get(&format!("/api/zoho/sync/runs/{id}")).await.json();
        assert_eq!(run["since"], "2026-11-20T00:00:00Z");
        assert_eq!(run["run_type"], "incremental");
    }
}

#[tokio::test]
async fn active_entity_types_are_named_and_the_others_start() {
    let server = server();
    server.post("/api/zoho/bulk-sync", json!({"entity_type": "customers"})).await;
    let answer = server.post("/api/zoho/bulk-sync", json!({"entity_type": ["products", "customers"]})).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let document = answer.json();
    assert_eq!(document["active"], json!([{"entity_type": "customers", "run_id": 1}]));
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!(document["runs"][0]["entity_type"], "products");
    let all = server.post("/api/zoho/bulk-sync", json!({"entity_type": "all"})).await.json();
    let started = all["runs"].as_array().expect("runs").iter().map(|run| run["entity_type"].clone());
    assert_eq!(started.count(), Catalogue::default().names().count() - 2, "{all}");
    assert_eq!(all["active"].as_array().map(Vec::len), Some(2), "{all}");
}

#[tokio::test]
async fn nothing_starts_where_all_entity_types_are_active() {
    let server = server();
    server.post("/api/zoho/bulk-sync", json!({"entity_type": ["customers", "products"]})).await;
    for choice in [json!("customers"), json!(["products", "customers"])] {
        let refused = server.post("/api/zoho/bulk-sync", json!({"entity_type": choice})).await;
        refused.is_problem(409, "conflict");
        let detail = refused.json()["detail"].as_str().expect("text").to_owned();
        assert!(detail.contains("customers (run 1)"), "{detail}");
    }
    let runs = server.store.list_runs(&RunFilter::default(), 10, None).await.expect("runs").items;
    assert_eq!(runs.len(), 2, "nothing else was started");
}

#[tokio::test]
async fn a_part_of_the_records_is_started_with_the_calls_that_it_will_cost() {
    let server = server();
    let ids = json!({"entity_type": "invoices", "ids": ["460000000567114", "460000000567115"]});
    let answer = server.post("/api/zoho/bulk-sync", ids).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let run = answer.json()["runs"][0].clone();
    assert_eq!(run["plan"]["expected_calls"], 2, "{run}");
    let path = format!("/api/zoho/sync/runs/{}", run["id"]);
    let shown = server.get(&path).await.json();
    assert_eq!(shown["selection"]["ids"], json!(["460000000567114", "460000000567115"]), "{shown}");

    let dates = json!({"entity_type": ["bills", "credit-notes"], "from": "2026-01-01", "to": "2026-03-31"});
    let answer = server.post("/api/zoho/bulk-sync", dates).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    for run in answer.json()["runs"].as_array().expect("runs") {
        let reason = run["plan"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("from 2026-01-01 to 2026-03-31"), "{run}");
        assert_eq!(run["plan"]["expected_calls"], Value::Null, "no list is known yet");
    }
    // Zoho documents no such filter for these lists. The answer says what is possible.
    let dates = json!({"entity_type": ["products", "invoices"], "from": "2026-01-01"});
    let refused = server.post("/api/zoho/bulk-sync", dates).await;
    refused.is_problem(422, "invalid-value");
    let detail = refused.json()["detail"].as_str().expect("text").to_owned();
    assert!(
        detail.contains("for products.") && detail.contains("invoices") && detail.contains("ids"),
        "{detail}"
    );
    let everything = server.post("/api/zoho/bulk-sync", json!({"entity_type": "customers"})).await;
    assert_eq!(everything.json()["runs"][0]["plan"], Value::Null);
}
