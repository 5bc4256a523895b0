//! `/openapi.json` tells what is really answered.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::common::{Server, item, server};

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().cloned().collect()
}

fn described(document: &Value, schema: &str) -> BTreeSet<String> {
    keys(&document["components"]["schemas"][schema]["properties"])
}

async fn filled() -> Server {
    let server = server();
    server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    server.post("/api/zoho/bulk-sync", json!({"entity_type": "products"})).await;
    server
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_the_same_everywhere() {
    let document = server().get("/openapi.json").await.json();
    assert!(
        document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")),
        "{}",
        document["openapi"]
    );
    assert_eq!(document, serde_json::to_value(tds_server::openapi_document()).expect("a document"));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let text = server().get("/openapi.json").await.text;
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut references = 0;
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        references += 1;
    }
    assert!(references > 50, "{references}");
}

#[tokio::test]
async fn answers_have_the_keys_that_the_document_names() {
    let server = filled().await;
    let document = server.get("/openapi.json").await.json();
    let one_item = server.get("/api/zoho/sync/queue").await.json()["items"][0]["id"].clone();
    let run = server.get("/api/zoho/sync/runs").await.json()["runs"][0]["id"].clone();
    for (path, pointer, schema) in [
        (format!("/api/zoho/sync/runs/{run}"), "", "SyncRun"),
        (format!("/api/zoho/sync/queue/{one_item}"), "", "QueueItem"),
        ("/api/zoho/webhooks/inbox/1".to_owned(), "", "EventDetail"),
        ("/api/zoho/webhooks/inbox/stats".to_owned(), "", "InboxStats"),
        ("/api/zoho/webhooks/inbox/stats".to_owned(), "/last_24h", "LastDay"),
        ("/api/zoho/sync/stats".to_owned(), "", "Stats"),
        ("/api/zoho/sync/stats".to_owned(), "/queue", "StatusCounts"),
        ("/api/zoho/sync/stats".to_owned(), "/api_budget", "ApiBudget"),
        ("/api/zoho/sync/stats".to_owned(), "/activity/products", "EntityActivity"),
        ("/health".to_owned(), "", "HealthReport"),
        ("/nothing".to_owned(), "", "ProblemDocument"),
    ] {
        let answer = server.get(&path).await.json();
        let part = answer.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {answer}"));
        let mut expected = described(&document, schema);
        // An item that has to be read at the source carries none.
        expected.retain(|key| schema != "QueueItem" || key != "payload" || part.get("payload").is_some());
        assert_eq!(keys(part), expected, "{path}{pointer} and {schema}");
    }
}
