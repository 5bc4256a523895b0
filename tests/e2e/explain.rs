//! What happened to a record, and what a replay or a retry would do, as an operator asks for it.

use std::process::Output;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tds_zoho::testkit::Module;
use tokio::process::Command;

use crate::{
    records::{self, Kind},
    shop::{Shop, program, settings},
};

const INVOICE: &str = "460000000567114";
const HISTORY: &str = "/api/zoho/records/invoices/460000000567114/history";

/// Runs a command beside the server.
async fn command(shop: &Shop, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().envs(settings(&shop.zoho, shop.database.url(), &[]));
    command.current_dir(std::env::temp_dir()).output().await.expect("the program runs")
}

/// Returns the output of a command that must succeed.
async fn done(shop: &Shop, arguments: &[&str]) -> String {
    let output = command(shop, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Returns the contents of every table that a dry run must not change: all but those of calls, processes and schedules.
async fn contents(shop: &Shop) -> Vec<String> {
    let tables = shop
        .text(
            "SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.oid::regclass::text)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind = 'r' AND (n.nspname = 'erp' OR c.relname LIKE 'tds\\_%') AND c.relname NOT IN
                ('tds_shared_states', 'tds_api_calls', 'tds_processes', 'tds_leases', 'tds_schedules', 'tds_unknown_fields')",
        )
        .await
        .expect("tables");
    let mut contents = Vec::new();
    for table in tables.split(' ') {
        let sql =
            format!("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} AS t");
        contents.push(format!("{table}: {}", shop.text(&sql).await.expect("a text")));
    }
    assert!(contents.len() > 30, "{}", contents.len());
    contents
}

/// Returns each event of a history as one text: kind, action, verdict, outcome and what changed.
fn lines(history: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().map(|text| format!(" {text}")).unwrap_or_default();
    let line = |event: &Value| {
        let mut changed: Vec<&str> =
            event["changed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        changed.sort_unstable();
        format!(
            "{}{}{}{} [{}]",
            event["kind"].as_str().expect("a kind"),
            word(&event["action"]),
            word(&event["verdict"]),
            word(&event["outcome"]),
            changed.join(" ")
        )
    };
    history["events"].as_array().expect("events").iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_record_shows_each_way_in_which_it_arrived() {
    let shop = Shop::open().await;
    let first = records::document(Kind::Invoice);
    shop.zoho.put(Module::INVOICES, first.clone());
    let whole = json!({"organization_id": shop.zoho.credentials().organization_id, "invoice": &first});
    let event = shop.webhook_done("invoices", &whole).await["inbox_event_id"].clone();
    let (_, again) = shop.webhook("invoices", &whole.to_string()).await;
    assert_eq!(again["duplicate"], true);
    let name = async |n: i64| {
        let body = json!({"invoice": {"invoice_id": INVOICE, "n": n}});
        shop.webhook_done("invoices", &body).await["inbox_event_id"].clone()
    };
    name(1).await;
    // The list shows a payment, which changes no version.
    shop.zoho.update_silently(Module::INVOICES, INVOICE, json!({"balance": 1.5}));
    let listed = shop.sync("invoices", "incremental").await;
    // Zoho has a newer version, of which the webhook only has the id.
    let mut newer = first.clone();
    newer["balance"] = json!(1.5);
    newer["reference_number"] = json!("SO-78");
    newer["last_modified_time"] = json!("2026-11-18T09:00:00+0300");
    shop.zoho.put(Module::INVOICES, newer.clone());
    let naming = name(2).await;
    let mut late = whole.clone();
    late["sent_again"] = json!(true);
    shop.webhook_done("invoices", &late).await;
    newer["notes"] = json!("paid");
    newer["last_modified_time"] = json!("2026-11-19T09:00:00+0300");
    shop.zoho.put(Module::INVOICES, newer);
    let full = shop.sync("invoices", "full").await;
    shop.settled().await;

    let (status, history) = shop.get(HISTORY).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        lines(&history),
        [
            "webhook received applied []",
            "webhook judged apply applied []",
            "webhook duplicate []",
            "webhook received unchanged []",
            "detail judged apply unchanged []",
            "list judged apply applied [balance]",
            "webhook received applied []",
            "detail judged apply applied [reference_number zoho_modified_at]",
            "webhook received stale []",
            "webhook judged stale stale []",
            "detail judged apply applied [notes zoho_modified_at]",
        ],
        "{history:#}"
    );
    let events = history["events"].as_array().expect("events");
    assert_eq!((&events[1]["operation"], &events[1]["inbox_event_id"]), (&json!("insert"), &event));
    assert_eq!((&events[2]["inbox_event_id"], &events[2]["run_id"]), (&event, &Value::Null));
    assert_eq!(events[7]["inbox_event_id"], naming);
    assert_eq!((&events[5]["run_id"], &events[10]["run_id"]), (&listed["id"], &full["id"]));
    assert_eq!(events[1]["version"], "2026-11-17T06:17:41Z");
    let record = &history["record"];
    assert_eq!((&record["row"]["notes"], &record["row"]["number"]), (&json!("paid"), &json!("INV-00003")));
    assert_eq!(record["version"], events[10]["version"]);
    assert!(record["local_id"].is_i64() && record["deleted_at"].is_null());

    let printed: Value =
        serde_json::from_str(&done(&shop, &["explain", "invoices", INVOICE, "--json"]).await).expect("JSON");
    assert_eq!(printed, history, "the command prints what the API answers");
    let table = done(&shop, &["explain", "invoices", INVOICE]).await;
    assert!(table.contains("VERDICT") && table.contains("reference_number, zoho_modified_at"), "{table}");
    let unknown = command(&shop, &["explain", "invoices", "1"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let (status, problem) = shop.get("/api/zoho/records/invoices/1/history").await;
    assert_eq!((status, &problem["type"]), (StatusCode::NOT_FOUND, &json!("/problems/unknown-id")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_a_replay_or_a_retry_would_change_and_writes_nothing() {
    let shop = Shop::open().await;
    let replay = async |event: &Value| {
        let before = contents(&shop).await;
        let path = format!("/api/zoho/webhooks/inbox/{event}/replay");
        let (status, answer) = shop.post(&path, json!({"dry_run": true})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(contents(&shop).await, before, "nothing is written");
        answer["would"].clone()
    };
    let invoice = records::document(Kind::Invoice);
    shop.zoho.put(Module::INVOICES, invoice.clone());
    let whole = shop.webhook_done("invoices", &json!({"invoice": invoice})).await["inbox_event_id"].clone();
    let naming = shop.webhook_done("invoices", &json!({"invoice": {"invoice_id": INVOICE}})).await;
    let naming = naming["inbox_event_id"].clone();
    // Somebody changed the row and a line, so a read that began later restores them.
    shop.text("UPDATE erp.invoices SET total = 1 RETURNING 1::text").await;
    shop.text("UPDATE erp.invoice_lines SET quantity = 9 WHERE position = 1 RETURNING 1::text").await;
    assert_eq!(replay(&whole).await["outcome"], "unchanged", "a known body");
    let would = replay(&naming).await;
    assert_eq!(would["outcome"], "applied", "{would:#}");
    let change = |field: &str, before: &str, after: &str| {
        let number = |text: &str| serde_json::from_str::<Value>(text).expect("a number");
        json!({"zoho_id": INVOICE, "field": field, "before": number(before), "after": number(after)})
    };
    assert_eq!(
        would["changes"],
        json!([
            change("total", "1", "25000.25"),
            change("invoice_lines[460000000567021].quantity", "9", "2.00")
        ])
    );
    shop.zoho.update(Module::INVOICES, INVOICE, json!({"reference_number": "SO-78"}));
    shop.webhook_done("invoices", &json!({"invoice": {"invoice_id": INVOICE, "n": 2}})).await;
    assert_eq!(replay(&whole).await["outcome"], "stale");
    let table = done(&shop, &["inbox", "replay", &whole.to_string(), "--dry-run"]).await;
    assert!(table.contains("invoices 460000000567114 would be stale"), "{table}");
    shop.zoho.delete(Module::INVOICES, INVOICE);
    let gone = replay(&naming).await;
    assert_eq!((&gone["outcome"], &gone["changes"][0]["field"]), (&json!("deleted"), &json!("deleted_at")));

    // An adjustment of stock names several records.
    let mut items = Vec::new();
    for id in ["460000000027009", "460000000027010"] {
        let mut item = records::item();
        item["item_id"] = json!(id);
        shop.zoho.put(Module::ITEMS, item);
        items.push(json!({"item_id": id, "quantity_adjusted": 1}));
    }
    let adjustment =
        json!({"inventory_adjustment": {"inventory_adjustment_id": "460000000099001", "line_items": items}});
    let (_, answer) = shop.webhook("stock", &adjustment.to_string()).await;
    shop.settled().await;
    shop.text("DELETE FROM erp.stock_levels WHERE product_zoho_id = '460000000027010' RETURNING 1::text")
        .await;
    let would = replay(&answer["inbox_event_id"]).await;
    let outcomes: Vec<&Value> =
        would["records"].as_array().expect("records").iter().map(|record| &record["outcome"]).collect();
    assert_eq!(
        (&would["outcome"], outcomes),
        (&json!("applied"), vec![&json!("unchanged"), &json!("applied")])
    );
    let (_, unparsed) = shop.webhook("products", "no json at all").await;
    assert_eq!(replay(&unparsed["inbox_event_id"]).await["outcome"], "unparsed");

    // The reason of a dead letter is mended in Zoho.
    let mut poison = records::item();
    (poison["item_id"], poison["sku"], poison["rate"]) =
        (json!("460000000027011"), json!("P"), json!("twelve"));
    shop.zoho.put(Module::ITEMS, poison.clone());
    shop.webhook("products", &json!({"item": poison}).to_string()).await;
    shop.until("SELECT count(*)::text FROM tds_sync_queue WHERE status = 'dead_letter'", "1").await;
    let (_, list) = shop.get("/api/zoho/sync/queue?status=dead_letter").await;
    let id = list["items"][0]["id"].clone();
    let before = contents(&shop).await;
    let path = format!("/api/zoho/sync/queue/{id}/retry");
    let (_, still) = shop.post(&path, json!({"dry_run": true})).await;
    assert_eq!(still["would"]["outcome"], "failed");
    assert!(still["would"]["reason"].as_str().is_some_and(|reason| reason.contains("rate")), "{still:#}");
    shop.zoho.update(Module::ITEMS, "460000000027011", json!({"rate": 12.5}));
    let (_, mended) = shop.post(&path, json!({"dry_run": true})).await;
    assert_eq!(mended["would"]["records"][0]["operation"], "insert", "{mended:#}");
    let changes = mended["would"]["changes"].as_array().expect("changes");
    let rate = changes.iter().find(|change| change["field"] == "rate").expect("a rate");
    assert_eq!((&rate["before"], rate["after"].to_string().as_str()), (&Value::Null, "12.5"));
    let printed: Value =
        serde_json::from_str(&done(&shop, &["queue", "retry", &id.to_string(), "--dry-run", "--json"]).await)
            .expect("JSON");
    assert_eq!(printed["would"]["changes"], mended["would"]["changes"]);
    assert_eq!(contents(&shop).await, before, "nothing is written");
}
