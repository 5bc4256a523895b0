//! Verifications over the API.

use serde_json::{Value, json};
use tds_core::{
    mirror::{FieldDifference, MirrorSchema},
    queue::WorkerId,
    record::{EntityType, RecordId},
    runs::{Checkpoint, PageCommit, RunId, SyncRun as _},
    verify::{
        DriftClass, Look, MoneyDifference, Suspect, VerifyCounts, VerifyOperator as _, VerifyStore as _,
    },
};
use tokio::time::Duration;

use super::common::{Server, server};

/// Executes the pending run as one that found a record that differs, and completes its verification.
async fn complete(server: &Server, id: RunId) {
    let store = &server.store;
    let lease = store.claim_run(&WorkerId("test".to_owned()), Duration::from_secs(60), Some(&[id])).await;
    let lease = lease.expect("claimed").expect("a run");
    let record = RecordId::new("5");
    store.suspect(id, std::slice::from_ref(&record)).await.expect("stored");
    let field =
        FieldDifference { field: "rate".to_owned(), source: json!(12.5), target: Value::String("x".into()) };
    let look = Look::Drift { class: DriftClass::FieldDiff, fields: vec![field] };
    let schema =
        MirrorSchema { entity: EntityType::from_static("products"), head: Some("products"), children: &[] };
    store.looked(id, &schema, &[(Suspect::new(record), look)]).await.expect("stored");
    let counts = VerifyCounts { source_records: 3, target_records: 3, compared: 3, sampled: 200 };
    store.count(id, counts).await.expect("counted");
    let checkpoint = Checkpoint { pages: 1, ..Checkpoint::default() };
    let page = PageCommit { listed: Vec::new(), items: Vec::new(), checkpoint, last: true };
    store.commit_page(id, lease.token, page).await.expect("committed");
    let money = MoneyDifference {
        check: "receivables".to_owned(),
        currency: Some("IQD".to_owned()),
        of: None,
        source: Some("10.00".to_owned()),
        target: Some("10.00".to_owned()),
        difference: "0.00".to_owned(),
        holds: true,
        in_flight: 0,
        examples: Vec::new(),
    };
    store.finish(id, &[money]).await.expect("completed");
}

#[tokio::test]
async fn a_verification_is_started_followed_and_reported() {
    let server = server();
    server.get("/api/zoho/verify/latest").await.is_problem(404, "unknown-id");
    server.get("/api/zoho/verify/77").await.is_problem(404, "unknown-id");
    let answer = server
        .post("/api/zoho/verify", json!({"entity_type": ["products", "credit-notes"], "repair": true}))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let started = answer.json();
    assert_eq!(
        (&started["run_type"], &started["status"], &started["repair"]),
        (&json!("verify"), &json!("pending"), &json!(true))
    );
    let id = started["id"].as_i64().expect("an id");
    let runs: Vec<(&str, i64)> = started["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| {
            (run["entity_type"].as_str().expect("a name"), run["verification"].as_i64().expect("an id"))
        })
        .collect();
    assert_eq!(runs, [("products", id), ("credit_notes", id)]);
    let report = server.get("/api/zoho/verify/latest").await.json();
    assert_eq!(
        (&report["id"], &report["status"], &report["completed_at"]),
        (&json!(id), &json!("running"), &Value::Null)
    );

    // A sync of the same entity type may start beside it; a second comparison may not.
    let sync = server.post("/api/zoho/bulk-sync", json!({"entity_type": "products", "mode": "full"})).await;
    assert_eq!(sync.status, 202, "{}", sync.text);
    let products = server.post("/api/zoho/verify", json!({"entity_type": "products"})).await;
    products.is_problem(409, "conflict");
    assert!(products.text.contains(&format!("products (run {id})")), "{}", products.text);
    let other = server.post("/api/zoho/verify", json!({"entity_type": ["products", "bills"]})).await.json();
    assert_eq!((&other["entity_type"], &other["repair"]), (&json!("bills"), &json!(false)));
    assert_eq!(other["active"], json!([{"entity_type": "products", "run_id": id}]));

    complete(&server, RunId(id)).await;
    let report = server.get(&format!("/api/zoho/verify/{id}")).await.json();
    assert_eq!(
        (&report["drift_total"], &report["money"][0]["check"]),
        (&json!(1), &json!("receivables")),
        "{report:#}"
    );
    let products = &report["entities"][0];
    assert_eq!(
        products["drift"],
        json!({"missing_local": 0, "missing_remote": 0, "stale": 0, "field_diff": 1})
    );
    assert_eq!((&products["compared"], &products["sample_bound_percent"]), (&json!(3), &json!(1.5)));
    assert_eq!(products["fields"], json!({"rate": 1}));
    let example = &products["examples"][0];
    assert_eq!((&example["zoho_id"], &example["class"]), (&json!("5"), &json!("field_diff")));
    assert_eq!(example["fields"], json!([{"field": "rate", "zoho": 12.5, "erp": "x"}]));
    let metrics = server.get("/metrics").await.text;
    for line in [
        r#"tds_drift_rows{entity="products",kind="field_diff"} 1"#,
        r#"tds_drift_rows{entity="stock",kind="stale"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn a_request_for_a_verification_is_checked() {
    let server = server();
    for (body, kind) in [
        (json!({"entity_type": "nothing"}), "unknown-entity-type"),
        (json!({"entity_type": []}), "invalid-value"),
        (json!({"entity_type": "all", "mode": "full"}), "invalid-value"),
        (json!({}), "invalid-value"),
    ] {
        server.post("/api/zoho/verify", body).await.is_problem(422, kind);
    }
    server.get("/api/zoho/verify/x").await.is_problem(422, "invalid-value");
    server.get("/api/zoho/verify/latest?limit=1").await.is_problem(422, "invalid-value");
    assert_eq!(server.get("/api/zoho/sync/runs").await.json()["runs"], json!([]), "nothing was started");
}
