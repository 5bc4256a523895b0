//! The checklist of readiness, missed webhooks and the report, from outside.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_core::clock::{Clock as _, SystemClock};
use tds_zoho::{
    sim::{Module, sample},
    testkit::Fault,
};
use time::format_description::well_known::Rfc3339;
use tokio::process::Command;

use crate::shop::{Shop, program};

/// The number of changed items, and of those of which no webhook arrives.
const ITEMS: u64 = 30;
const LOST: u64 = 3;
const HISTORY: &str = "/books/v3/settings/webhooks/histories";
const MISSED: &str = "/api/zoho/sync/missed-webhooks";

async fn run(shop: &Shop, sql: impl Into<String>) {
    let sql = sql.into();
    sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(shop.database.database().pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns the checklist, whose form is checked.
async fn checks(shop: &Shop) -> (bool, Vec<Value>) {
    let (status, answer) = shop.get("/api/zoho/readiness").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&answer), ["checks", "ready"]);
    let checks = answer["checks"].as_array().expect("checks").clone();
    for check in &checks {
        assert_eq!(keys(check), ["hint", "name", "status", "target", "value"]);
    }
    (answer["ready"].as_bool().expect("a flag"), checks)
}

fn with_status(checks: &[Value], status: &str) -> Vec<String> {
    let chosen = checks.iter().filter(|check| check["status"] == status);
    chosen.map(|check| check["name"].as_str().expect("a name").to_owned()).collect()
}

async fn program_says(shop: &Shop, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().env("DATABASE_URL", shop.database.url());
    let output = command.current_dir(std::env::temp_dir()).output().await.expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Changes items an hour ago. Zoho announces all but the last of them.
async fn announce(shop: &Shop) -> Vec<String> {
    let hour_ago = SystemClock.now() - time::Duration::hours(1);
    let version = hour_ago.replace_nanosecond(0).expect("a time").format(&Rfc3339).expect("text");
    let mut ids = Vec::new();
    for n in 1..=ITEMS {
        let mut item = sample::item(n);
        item["last_modified_time"] = json!(version);
        ids.push(shop.zoho.put(Module::ITEMS, item));
    }
    let (lost, announced) = ids.split_at(usize::try_from(LOST).expect("small"));
    for id in announced {
        let body = shop.zoho.webhook_body(Module::ITEMS, id);
        let (status, answer) = shop.webhook("products?event=updated", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        shop.zoho.record_delivery(Module::ITEMS, id, 200);
    }
    for id in lost {
        shop.zoho.record_delivery(Module::ITEMS, id, 503);
    }
    shop.settled().await;
    // Changes count from the first delivery on.
    run(shop, "UPDATE tds_inbox_events SET received_at = now() - interval '2 hours' WHERE id = (SELECT min(id) FROM tds_inbox_events)").await;
    run(shop, "INSERT INTO tds_inbox_events (event_id, source_type, entity_type, entity_id, event_type, raw_payload, status, outcome, processed_at)
               SELECT 'again', source_type, entity_type, entity_id, event_type, raw_payload, status, outcome, clock_timestamp() FROM tds_inbox_events ORDER BY id LIMIT 1").await;
    lost.to_vec()
}

fn sums(answer: &Value) -> (u64, u64) {
    let rows =
        answer["coverage"].as_array().expect("rows").iter().filter(|row| row["entity_type"] == "products");
    rows.fold((0, 0), |sums, row| {
        (
            sums.0 + row["changes"].as_u64().expect("a count"),
            sums.1 + row["delivered"].as_u64().expect("a count"),
        )
    })
}

/// Plants eight days without trouble.
async fn plant_good_days(shop: &Shop, entities: &[String]) {
    let names: Vec<String> = entities.iter().map(|name| format!("('{name}')")).collect();
    let names = names.join(", ");
    run(
        shop,
        format!(
            "INSERT INTO tds_sync_runs (run_type, entity_type, source_type, status, started_at, completed_at, created_at, verification)
               SELECT 'verify', e.name, 'zoho', 'completed', at, at, at, 1000 + d FROM (VALUES {names}) AS e(name), generate_series(1, 8) AS d,
                      LATERAL (SELECT now() - make_interval(days => d) + interval '10 minutes') AS t(at);
             INSERT INTO tds_verify_counts SELECT id, 5, 5, 5, 5 FROM tds_sync_runs WHERE run_type = 'verify';
             INSERT INTO tds_verifications (id, completed_at, money)
               SELECT 1000 + d, now() - make_interval(days => d) + interval '10 minutes',
                      '[{{\"check\": \"receivables\", \"currency\": \"IQD\", \"of\": null, \"zoho\": \"5.00\", \"erp\": \"5.00\", \"difference\": \"0.00\", \"holds\": true, \"in_flight\": 0, \"examples\": []}}]'
                 FROM generate_series(1, 8) AS d;
             UPDATE tds_inbox_events SET received_at = now() - interval '8 days', processed_at = now() - interval '8 days' WHERE event_id = 'again';
             INSERT INTO tds_queue_done (id, entity_type, zoho_entity_id, direction, priority, outcome, retry_count, queued_at, processing_completed_at, run_at)
               SELECT -1, 'products', '1', 'inbound', 20, 'applied', 0, at, at, at FROM (SELECT now() - interval '8 days') AS t(at);
             INSERT INTO tds_answer_times SELECT date_trunc('hour', now()) - h * interval '1 hour', 'api', 30, 0, 0.3, ARRAY[0,30,0,0,0,0,0,0,0,0,0]
               FROM unnest(ARRAY[20, 200]) AS h"
        ),
    )
    .await;
}

/// Makes every check of the figures fail, and three checks of verifications.
const TROUBLE: &str = "
INSERT INTO tds_verify_findings (run_id, zoho_id, state, looks, looked_at, class, fields)
  SELECT id, '7', 'drift', 2, now(), 'field_diff', '[{\"field\": \"rate\", \"zoho\": 5, \"erp\": 6}]' FROM tds_sync_runs
   WHERE run_type = 'verify' AND entity_type IN ('products', 'invoices') AND verification = 1003;
UPDATE tds_verifications SET money = '[{\"check\": \"receivables\", \"currency\": \"IQD\", \"zoho\": \"5.00\", \"erp\": \"4.00\", \"difference\": \"1.00\", \"holds\": false, \"in_flight\": 0, \"examples\": []}]'
 WHERE id = 1003;
UPDATE tds_queue_done SET queued_at = processing_completed_at - interval '40 seconds';
UPDATE tds_inbox_events SET status = 'failed' WHERE id IN (SELECT id FROM tds_inbox_events WHERE event_id <> 'again' ORDER BY id LIMIT 2);
UPDATE tds_inbox_events SET status = 'pending', processed_at = NULL, open_items = 1, received_at = now() - interval '20 minutes'
 WHERE id = (SELECT max(id) FROM tds_inbox_events WHERE event_id <> 'again');
INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
  SELECT -5, 'event', max(id), 1 FROM tds_inbox_events WHERE event_id <> 'again';
INSERT INTO tds_queue_attempts (item_id, attempt, result, error) VALUES (-1, 8, 'dead_letter', 'no such item');
UPDATE tds_answer_times SET seconds = 3000";

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_measured_over_a_week_and_missed_webhooks_are_found() {
    let shop = Shop::open().await;
    let (ready, fresh) = checks(&shop).await;
    assert!(!ready && with_status(&fresh, "unknown").len() == fresh.len(), "{fresh:#?}");
    let names: Vec<&str> = fresh.iter().filter_map(|check| check["name"].as_str()).collect();
    let others = ["money", "sync_delay", "webhook_success", "no_loss", "dead_letters", "api_response_time"];
    assert_eq!(names[names.len() - 6..], others);
    let entities: Vec<String> =
        names.iter().filter_map(|name| name.strip_suffix("_verified")).map(str::to_owned).collect();
    assert_eq!((entities.len(), entities[0].as_str()), (names.len() - 6, "products"));

    // Zoho announces nine tenths of the changes. Its own history names the others, which are read again.
    let lost = announce(&shop).await;
    assert_eq!(shop.count("erp.products").await, i64::try_from(ITEMS - LOST).expect("small"));
    let (status, answer) = shop.post(MISSED, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let look = &answer["history"][0];
    assert_eq!(
        (&look["answered"], &look["failed"], &look["read_again"]),
        (&json!(true), &json!(LOST), &json!(LOST))
    );
    shop.settled().await;
    for id in &lost {
        assert!(shop.row("products", id).await.is_some(), "the record of a failed webhook is read");
    }
    let (_, answer) = shop.get(MISSED).await;
    assert_eq!(sums(&answer), (ITEMS, ITEMS - LOST), "{answer:#}");
    let hint = checks(&shop).await.1[names.len() - 4]["hint"].clone();
    assert!(hint.as_str().expect("text").contains("announced 90.0 %"), "{hint}");

    // Without the scope, which a new token lacks as well, nothing is known, and nothing else suffers.
    shop.zoho.faults().next(HISTORY, 2, Fault::not_authorized(Some(57)));
    let (status, answer) = shop.post(MISSED, json!({})).await;
    assert_eq!((status, &answer["history"][0]["answered"]), (StatusCode::OK, &json!(false)), "{answer:#}");
    assert!(answer["history"][0]["detail"].as_str().expect("text").contains("ZohoBooks.settings.READ"));
    let (_, health) = shop.get("/health").await;
    assert_eq!(health["components"]["zoho"]["state"], "healthy", "{health:#}");

    let (code, text) = program_says(&shop, &["readiness"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("products_verified") && text.contains("not ready"), "{text}");

    plant_good_days(&shop, &entities).await;
    let (ready, good) = checks(&shop).await;
    assert!(ready, "{:#?}", good.iter().filter(|check| check["status"] != "pass").collect::<Vec<_>>());
    let (code, text) = program_says(&shop, &["readiness", "--json"]).await;
    let shown: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((code, &shown["ready"]), (Some(0), &json!(true)));

    run(&shop, TROUBLE).await;
    let (ready, bad) = checks(&shop).await;
    let failing: Vec<String> = ["products_verified", "invoices_verified"]
        .iter()
        .chain(&others)
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!((ready, with_status(&bad, "fail")), (false, failing), "{bad:#?}");
    assert_eq!(with_status(&bad, "unknown"), Vec::<String>::new());
    for check in bad.iter().filter(|check| check["status"] == "fail") {
        assert!(check["hint"].as_str().is_some_and(|hint| hint.len() > 60), "it says what to do: {check}");
    }

    let (code, text) = program_says(&shop, &["report", "--days", "8"]).await;
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "## What to look at",
        "**now** products\\_verified",
        "## Missed webhooks",
        "| products | 30 |",
        "no such item",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, page) = program_says(&shop, &["report", "--format", "html"]).await;
    assert_eq!(code, Some(0), "{page}");
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg") && !page.contains("<script"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_times_of_answers_survive_a_restart() {
    let mut shop = Shop::open().await;
    for _ in 0..3 {
        shop.get("/api/zoho/sync/pause").await;
        shop.get("/livez").await;
    }
    shop.stop().await;
    let sql = "SELECT sum(answers)::text FROM tds_answer_times WHERE kind = 'api'";
    assert_eq!(shop.text(sql).await.as_deref(), Some("3"), "stored at the end; monitors do not count");
    shop.start().await;
    shop.get("/api/zoho/sync/pause").await;
    shop.stop().await;
    assert_eq!(shop.text(sql).await.as_deref(), Some("4"));
}
