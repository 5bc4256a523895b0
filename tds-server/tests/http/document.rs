//! Tests that `/openapi.json` describes the real answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use tds_zoho::entities::Catalogue;

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
    server.post("/api/zoho/verify", json!({"entity_type": "products"})).await;
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
    assert_eq!(
        document,
        serde_json::to_value(tds_server::openapi_document(&Catalogue::default())).expect("a document")
    );
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
        ("/api/zoho/budget".to_owned(), "", "CallBudget"),
        ("/api/zoho/budget".to_owned(), "/minute", "MinuteBudget"),
        ("/api/zoho/budget".to_owned(), "/day", "DayBudget"),
        ("/api/zoho/budget".to_owned(), "/lanes/0", "LaneBudget"),
        ("/api/zoho/budget".to_owned(), "/forecast", "CallForecast"),
        ("/api/zoho/sync/stats".to_owned(), "/activity/products", "EntityActivity"),
        ("/api/zoho/sync/modes".to_owned(), "/modes/0", "SyncDirection"),
        ("/api/zoho/verify/latest".to_owned(), "", "VerificationReport"),
        ("/api/zoho/verify/latest".to_owned(), "/entities/0", "ComparedEntity"),
        ("/api/zoho/verify/latest".to_owned(), "/entities/0/drift", "DriftCounts"),
        ("/health".to_owned(), "", "HealthReport"),
        ("/nothing".to_owned(), "", "ProblemDocument"),
    ] {
        let answer = server.get(&path).await.json();
        let part = answer.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {answer}"));
        let mut expected = described(&document, schema);
        // An item that has to be read at the source carries no payload.
        expected.retain(|key| schema != "QueueItem" || key != "payload" || part.get("payload").is_some());
        assert_eq!(keys(part), expected, "{path}{pointer} and {schema}");
    }
}

/// Returns every operation: address, method, and the description of the operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &Value)| {
        let item = item.as_object().expect("an item").clone();
        let path = path.clone();
        item.into_iter().map(move |(method, operation)| (path.clone(), method, operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The viewer finds an operation by its id. With two operations of the same id, "Execute" would call the wrong
/// address.
#[tokio::test]
async fn every_operation_has_an_id_of_its_own() {
    let document = server().get("/openapi.json").await.json();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} occurs twice, once at {method} {path}");
        assert!(id.contains('_') && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{id}");
    }
    for id in ["resume_run", "resume_entity", "list_runs", "receive_webhook", "put_webhook", "delete_webhook"]
    {
        assert!(ids.contains(id), "{id}");
    }
}

/// A change of the snapshot changes the API for every client. Make such a change on purpose (`INSTA_UPDATE=always`),
/// review it line by line, and describe it in the changelog.
#[test]
fn the_document_is_the_reviewed_one() {
    let document = tds_server::openapi_document(&Catalogue::default());
    let document = serde_json::to_string_pretty(&document).expect("JSON");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(".");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("openapi", document));
}

/// Returns `true` for addresses that serve pages and files instead of the API.
fn is_page(path: &str) -> bool {
    ["/", "/conflicts", "/readiness"].contains(&path)
        || path.starts_with("/assets/")
        || path.starts_with("/docs")
        || path == "/openapi.json"
}

/// Returns an address with values for its parameters.
fn filled_in(path: &str) -> String {
    path.replace("{entity}", "products")
        .replace("{zoho_id}", "5")
        .replace("{id}", "1")
        .replace("{kind}", "conflict")
}

#[tokio::test]
async fn the_document_and_the_router_have_the_same_addresses_and_methods() {
    let server = filled().await;
    let document = server.get("/openapi.json").await.json();
    let described: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .map(|(path, method, _)| (filled_in(&path), method.to_uppercase()))
        .collect();
    // The router lists its addresses only in its `Debug` output.
    let router = format!("{:?}", server.router);
    let mut routes: BTreeSet<&str> =
        router.split('"').filter(|part| part.starts_with('/') && !part.contains("{*")).collect();
    routes.retain(|path| !is_page(path));
    assert!(routes.len() > 30, "the router shows its addresses: {routes:?}");
    let all: BTreeSet<String> = routes
        .into_iter()
        // The slash at the end of a webhook's address and the single aliases mean the same as the documented
        // addresses.
        .map(|path| path.strip_suffix('/').unwrap_or(path))
        .map(|path| if path.starts_with("/api/zoho/sync-") { "/api/zoho/sync-{entity}" } else { path })
        .map(filled_in)
        .chain(described.iter().map(|(path, _)| path.clone()))
        .collect();
    for path in all {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let request =
                super::common::operator(method, &path).body(axum::body::Body::empty()).expect("a request");
            let answer = server.send(request).await;
            let there = answer.status != 405 && !answer.text.contains("There is nothing at this address");
            assert_eq!(
                there,
                described.contains(&(path.clone(), method.to_owned())),
                "{method} {path}: {}",
                answer.text
            );
        }
    }
}

/// Returns `true` for the names of values that are counts, ids or sizes.
fn is_whole(name: &str) -> bool {
    let whole = [
        "id",
        "limit",
        "status_code",
        "priority",
        "attempt",
        "retry_count",
        "total",
        "pages",
        "calls",
        "affected",
    ];
    whole.contains(&name) || name.ends_with("_items") || name.ends_with("_id") && name == "inbox_event_id"
}

/// Returns the types that a schema allows, without `null`.
fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => {
            several.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect()
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn whole_numbers_are_integers_and_closed_sets_are_enumerations() {
    let document = server().get("/openapi.json").await.json();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let mut integers = 0;
    for (schema, described) in schemas {
        for (name, property) in described["properties"].as_object().into_iter().flatten() {
            let of = format!("{schema}.{name}: {property}");
            assert!(property.get("allOf").is_none(), "{of}: nothing can be of several types at once");
            match types(property).as_slice() {
                ["integer"] => integers += 1,
                ["number"] => {
                    let fraction = name.contains("seconds") || name.contains("percent") || name.contains("calls_per")
                            // What a check measures has the unit of its target.
                            || schema == "ReadinessCheck";
                    assert!(fraction, "{of} is no fraction");
                }
                _ => assert!(!is_whole(name), "{of} is no integer"),
            }
            // Keys whose values are the state of a process or its parts, the progress of a record, an event or a run,
            // or what a run does.
            let closed = [
                "status", "state", "outcome", "run_type", "mode", "listing", "way", "details", "lane", "step",
            ];
            if closed.contains(&name.as_str()) && types(property) != ["integer"] {
                assert!(property.to_string().contains("\"enum\""), "{of} is a closed set");
            }
        }
    }
    assert!(integers > 40, "{integers}");
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (name, schema) = (parameter["name"].as_str().expect("a name"), &parameter["schema"]);
            let of = format!("{name} of {method} {path}: {schema}");
            match name {
                "id" => assert!(types(schema) == ["integer"] && schema["minimum"] == 1, "{of}"),
                "limit" => {
                    assert!(types(schema) == ["integer"], "{of}");
                    assert_eq!((&schema["minimum"], &schema["maximum"]), (&json!(1), &json!(200)), "{of}");
                }
                "status" | "event" | "entity" => assert!(schema.to_string().contains("\"enum\""), "{of}"),
                _ => assert!(types(schema) == ["string"], "{of}"),
            }
        }
    }
}

#[tokio::test]
async fn what_the_document_enumerates_is_what_is_answered_and_accepted() {
    let server = filled().await;
    let document = server.get("/openapi.json").await.json();
    let enumerated = |schema: &str, property: &str| {
        let values = document["components"]["schemas"][schema]["properties"][property]["enum"].as_array();
        values.unwrap_or_else(|| panic!("{schema}.{property}")).clone()
    };
    for (path, pointer, schema, property) in [
        ("/api/zoho/sync/runs", "/runs/0/status", "SyncRun", "status"),
        ("/api/zoho/sync/runs", "/runs/0/run_type", "SyncRun", "run_type"),
        ("/api/zoho/sync/queue", "/items/0/status", "QueueItem", "status"),
        ("/api/zoho/webhooks/inbox", "/items/0/status", "Event", "status"),
        ("/api/zoho/webhooks/inbox/1", "/payload_encoding", "EventDetail", "payload_encoding"),
        ("/health", "/status", "HealthReport", "status"),
        ("/api/zoho/sync/stats", "/api_budget/step", "ApiBudget", "step"),
        ("/api/zoho/budget", "/step", "CallBudget", "step"),
        ("/api/zoho/budget", "/lanes/0/lane", "LaneBudget", "lane"),
    ] {
        let answer = server.get(path).await.json();
        let value = answer.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {answer}"));
        assert!(enumerated(schema, property).contains(value), "{value} of {path}{pointer}");
    }
    for (path, schema) in [
        ("/api/zoho/sync/runs", "SyncRun"),
        ("/api/zoho/sync/queue", "QueueItem"),
        ("/api/zoho/webhooks/inbox", "Event"),
    ] {
        for status in enumerated(schema, "status") {
            let asked = format!("{path}?status={}", status.as_str().expect("text"));
            assert_eq!(server.get(&asked).await.status, 200, "{asked}");
        }
    }
}
