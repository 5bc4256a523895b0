//! Tests sync runs and credentials.

use std::time::Duration;

use serde_json::{Value, json};
use tds_core::{
    queue::WorkerId,
    record::RecordId,
    runs::{Checkpoint, PageCommit, RunEnd, SyncRun},
};
use tds_server::Health;
use tds_zoho::testkit::FakeZoho;

use super::common::{no_zoho, server, server_with, settings};

#[tokio::test]
async fn runs_are_listed_newest_first_and_filtered() {
    let server = server();
    server.post("/api/zoho/bulk-sync", json!({"entity_type": ["products", "customers"]})).await;
    let all = server.get("/api/zoho/sync/runs?limit=10&entity_type=&status=").await.json();
    assert_eq!(all["runs"][0]["entity_type"], "customers");
    assert!(all["runs"][0].get("progress_percent").is_some());
    let some = server.get("/api/zoho/sync/runs?entity_type=products&status=pending").await.json();
    assert_eq!(some["runs"].as_array().expect("runs").len(), 1);
    for query in ["limit=0", "limit=201", "status=done", "entity_type=none"] {
        assert_eq!(server.get(&format!("/api/zoho/sync/runs?{query}")).await.status, 422, "{query}");
    }
}

#[tokio::test]
async fn runs_have_a_next_page() {
    let server = server();
    server.post("/api/zoho/bulk-sync", json!({"entity_type": ["products", "customers", "bills"]})).await;
    let first = server.get("/api/zoho/sync/runs?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = server.get(&format!("/api/zoho/sync/runs?limit=2&cursor={cursor}")).await.json();
    assert_eq!(second["runs"][0]["entity_type"], "products");
    assert_eq!((second["runs"].as_array().map(Vec::len), &second["next_cursor"]), (Some(1), &Value::Null));
    assert_eq!(server.get("/api/zoho/sync/runs?cursor=nonsense").await.status, 422);
}

#[tokio::test]
async fn a_run_is_cancelled_once_and_can_go_on() {
    let server = server();
    server.post("/api/zoho/bulk-sync", json!({"entity_type": "products"})).await;
    let cancelled = server.post("/api/zoho/sync/runs/1/cancel", Value::Null).await;
    assert_eq!(cancelled.json()["status"], "cancelled");
    server.post("/api/zoho/sync/runs/1/cancel", Value::Null).await.is_problem(409, "conflict");
    let resumed = server.post("/api/zoho/sync/runs/1/resume", Value::Null).await;
    assert_eq!(resumed.json()["id"], 1, "{}", resumed.text);
    assert_eq!(resumed.json()["status"], "pending");
}

#[tokio::test]
async fn deletions_that_were_held_back_are_released_once() {
    let server = server();
    server.post("/api/zoho/bulk-sync", json!({"entity_type": "products", "mode": "full"})).await;
    let none = server.post("/api/zoho/sync/runs/1/confirm-deletions", Value::Null).await;
    assert_eq!(none.json(), json!({"affected": 0}));

    let worker = WorkerId::unique();
    let lease = server.store.claim_run(&worker, Duration::from_secs(60), None).await.expect("claim_run");
    let lease = lease.expect("the run");
    let ids = ["7", "8"].map(RecordId::new).to_vec();
    server
        .store
        .end_run(
            lease.run.id,
            lease.token,
            RunEnd::DeletionsHeld { ids, reason: "2 of 2 are missing".to_owned() },
        )
        .await
        .expect("hold");
    let page = PageCommit {
        listed: Vec::new(),
        items: Vec::new(),
        checkpoint: Checkpoint { pages: 1, ..lease.checkpoint },
        last: true,
    };
    server.store.commit_page(lease.run.id, lease.token, page).await.expect("commit_page");
    let run = server.get("/api/zoho/sync/runs/1").await.json();
    assert_eq!(
        (&run["status"], &run["held_deletions"]),
        (&json!("completed_with_errors"), &json!(2)),
        "{run}"
    );

    let released = server.post("/api/zoho/sync/runs/1/confirm-deletions", Value::Null).await;
    assert_eq!(released.json(), json!({"affected": 2}), "{}", released.text);
    let run = server.get("/api/zoho/sync/runs/1").await.json();
    assert_eq!((&run["status"], &run["held_deletions"]), (&json!("running"), &json!(0)), "{run}");
    assert_eq!(
        server.get("/api/zoho/sync/queue?status=pending").await.json()["items"].as_array().map(Vec::len),
        Some(2)
    );
    let again = server.post("/api/zoho/sync/runs/1/confirm-deletions", Value::Null).await;
    assert_eq!(again.json(), json!({"affected": 0}));
}

#[tokio::test]
async fn unknown_runs_are_problems() {
    let server = server();
    server.get("/api/zoho/sync/runs/9").await.is_problem(404, "unknown-id");
    server.get("/api/zoho/sync/runs/x").await.is_problem(422, "invalid-value");
    for verb in ["cancel", "resume", "confirm-deletions"] {
        server
            .post(&format!("/api/zoho/sync/runs/9/{verb}"), Value::Null)
            .await
            .is_problem(404, "unknown-id");
    }
}

#[tokio::test]
async fn credentials_are_checked_at_zoho() {
    let fake = FakeZoho::start().await;
    let credentials = fake.credentials();
    let mut config = no_zoho();
    config.client_id = credentials.client_id;
    config.client_secret = credentials.client_secret.into();
    config.refresh_token = credentials.refresh_token.into();
    config.organization_id = credentials.organization_id.clone();
    config.accounts_url = fake.accounts_url();
    config.api_url = Some(fake.api_url());
    let server = server_with(settings(), Health::default(), config.clone());
    let answer = server.post("/api/zoho/test-credentials", Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let document = answer.json();
    assert_eq!(document["status"], "ok");
    assert_eq!(document["organization"]["id"], credentials.organization_id);
    assert!(document["expires_in"].is_u64() && document.get("calls_left_today").is_some(), "{document}");

    fake.revoke_refresh_token(true);
    let server = server_with(settings(), Health::default(), config);
    let refused = server.post("/api/zoho/test-credentials", Value::Null).await;
    refused.is_problem(502, "upstream");
}
