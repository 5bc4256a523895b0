//! A new entity type takes one descriptor, one migration and one line: see `further/estimates.rs`.

mod estimates;

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tds_zoho::testkit::{FakeZoho, stamp};
use tokio::process::Command;

use self::estimates::{MODULE, entities, sample};
use crate::shop::{SECRET, Shop, assert_columns, assert_rows};

const NAME: &str = "estimates";

/// Opens a shop that mirrors three estimates, and returns the shop and their ids.
async fn shop_with_estimates() -> (Shop, Vec<String>) {
    let zoho = FakeZoho::start().await;
    zoho.set_catalogue(&entities().catalogue);
    let ids: Vec<String> = (1..=3).map(|n| zoho.put(MODULE, sample(n))).collect();
    for id in &ids {
        change(&zoho, id, 60, json!({}));
    }
    (Shop::open_with_entities(zoho, entities()).await, ids)
}

/// Changes an estimate and dates the change `minutes_ago` minutes back.
fn change(zoho: &FakeZoho, id: &str, minutes_ago: i64, mut changes: Value) {
    changes["last_modified_time"] = json!(stamp(zoho.now() - time::Duration::minutes(minutes_ago)));
    zoho.update(MODULE, id, changes);
}

/// Runs the program with the further entity type, and returns its exit status and its two output streams.
async fn program(shop: &Shop, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_further"))
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", shop.database.url())
        .env("ZOHO_WEBHOOK_SECRET", SECRET)
        .current_dir(std::env::temp_dir())
        .output()
        .await
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs the program and returns its output as JSON.
async fn document(shop: &Shop, arguments: &[&str]) -> Value {
    let (status, out, err) = program(shop, arguments).await;
    assert_eq!(status, Some(0), "{arguments:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_entity_type_is_listed_in_full_by_changes_and_without_what_was_deleted() {
    let (shop, ids) = shop_with_estimates().await;
    let run = shop.sync(NAME, "full").await;
    assert_eq!(run["processed_items"], 3, "{run:#}");
    let row = shop.row(NAME, &ids[0]).await.expect("a row");
    let expected = json!({"number": "EST-1", "status": "open", "customer_zoho_id": "4600000260000000001",
        "date": "2026-11-20", "total": 30, "deleted_at": null});
    assert_columns(&row, &expected);
    let lines = format!("(SELECT * FROM erp.estimate_lines WHERE document_zoho_id = '{}')", ids[0]);
    let expected = json!([{"position": 1, "total": 10}, {"position": 2, "quantity": 2, "total": 20}]);
    assert_rows(&shop.rows(&lines, "position").await, &expected);

    shop.zoho.update(MODULE, &ids[1], json!({"status": "invoiced", "total": 31}));
    let run = shop.sync(NAME, "incremental").await;
    assert_eq!(run["run_type"], "incremental", "{run:#}");
    let row = shop.row(NAME, &ids[1]).await.expect("a row");
    assert_columns(&row, &json!({"status": "invoiced", "total": 31}));

    shop.zoho.delete(MODULE, &ids[2]);
    shop.sync(NAME, "full").await;
    let gone = "SELECT string_agg(zoho_id, ' ') FROM erp.estimates WHERE deleted_at IS NOT NULL";
    assert_eq!(shop.text(gone).await.as_deref(), Some(ids[2].as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_entity_type_has_webhooks_at_every_address() {
    let (shop, ids) = shop_with_estimates().await;
    for (address, minutes_ago) in [("/api/zoho/webhooks/estimates", 20), ("/api/zoho/sync-estimates", 10)] {
        let number = format!("EST-{minutes_ago}");
        change(&shop.zoho, &ids[0], minutes_ago, json!({"estimate_number": number}));
        let (status, answer) = shop.signed(address, &shop.zoho.webhook_body(MODULE, &ids[0])).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("accepted")), "{address}: {answer}");
        shop.settled().await;
        assert_eq!(shop.row(NAME, &ids[0]).await.expect("a row")["number"], json!(number), "{address}");
        assert_eq!(shop.zoho.calls_to("/estimates"), 0, "the body is complete");
    }
    let (status, answer) =
        shop.signed("/api/zoho/webhooks/invoices", &shop.zoho.webhook_body(MODULE, &ids[0])).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("ignored")), "{answer}");

    shop.zoho.delete(MODULE, &ids[0]);
    let (_, answer) = shop
        .signed("/api/zoho/webhooks/estimates?event=deleted", &shop.zoho.webhook_body(MODULE, &ids[0]))
        .await;
    assert_eq!(answer["status"], "accepted", "{answer}");
    shop.settled().await;
    assert!(!shop.row(NAME, &ids[0]).await.expect("a row")["deleted_at"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_entity_type_is_known_to_the_command_line_and_to_the_document() {
    let (shop, _) = shop_with_estimates().await;
    let (status, out, err) = program(&shop, &["webhook", "send", "estimates", "--url", &shop.base]).await;
    assert_eq!(status, Some(0), "{out}{err}");
    shop.settled().await;
    assert_eq!(shop.count("erp.estimates WHERE number = 'EST-990000001'").await, 1);
    let items = document(&shop, &["queue", "list", "--entity", "estimates", "--json"]).await;
    let items = items["items"].as_array().expect("items");
    assert!(!items.is_empty() && items.iter().all(|item| item["entity_type"] == NAME), "{items:?}");
    let events = document(&shop, &["inbox", "list", "--entity", NAME, "--json"]).await;
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "{events}");
    let (status, _, err) = program(&shop, &["queue", "list", "--entity", "estimate"]).await;
    assert_eq!(status, Some(2));
    assert!(err.contains("estimates") && err.contains("credit_notes"), "{err}");

    let openapi = document(&shop, &["openapi"]).await;
    assert_eq!(shop.get("/openapi.json").await.1, openapi);
    let names = |address: &str| -> BTreeSet<String> {
        let schema = &openapi["paths"][address]["post"]["parameters"][0]["schema"];
        let names = schema["enum"].as_array().unwrap_or_else(|| panic!("{address}: {schema}"));
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for address in ["/api/zoho/webhooks/{entity}", "/api/zoho/sync-{entity}"] {
        assert!(names(address).contains("estimates"), "{address}");
    }
    assert_eq!(names("/api/tds/webhooks/{entity}").len(), 9, "the predecessor knew none of this name");
    let (_, stats) = shop.get("/api/zoho/sync/stats").await;
    assert!(stats["by_entity"][NAME].is_object(), "{stats:#}");
    let schedules = format!("tds_schedules WHERE name LIKE '%{NAME}%'");
    assert_eq!(shop.count(&schedules).await, 3);
}
