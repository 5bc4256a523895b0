//! Tests `bulk-sync` and `check` against a simulated organization.

use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, sample};

use crate::program::Program;

/// Returns a program that may call the organization and write to the database.
pub(crate) fn program(zoho: &FakeZoho, database: &TestDatabase) -> Program {
    let credentials = zoho.credentials();
    Program::new()
        .with("DATABASE_URL", database.url())
        .with("ZOHO_CLIENT_ID", credentials.client_id)
        .with("ZOHO_CLIENT_SECRET", credentials.client_secret)
        .with("ZOHO_REFRESH_TOKEN", credentials.refresh_token)
        .with("ZOHO_ORGANIZATION_ID", credentials.organization_id)
        .with("ZOHO_ACCOUNTS_URL", zoho.accounts_url())
        .with("ZOHO_API_URL", zoho.api_url())
        .with("ZOHO_REQUESTS_PER_MINUTE", "10000")
        .with("ZOHO_WEBHOOK_SECRET", "TdsSecret0123456")
}

#[tokio::test]
async fn a_bulk_sync_runs_to_its_end_in_the_foreground() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    for n in 1..=3 {
        zoho.put_item(sample::item(n));
    }
    let program = program(&zoho, &database);
    let document = program.json(&["bulk-sync", "--entity", "products", "--mode", "full", "--json"]).await;
    let run = &document["runs"][0];
    assert_eq!((run["status"].as_str(), run["total_items"].as_i64()), (Some("completed"), Some(3)), "{run}");
    let runs = program.json(&["runs", "list", "--json"]).await;
    assert_eq!(runs["runs"][0]["requested_by"], "cli");
    let table = program.done(&["runs", "list"]).await;
    assert!(table.contains("ENTITY") && table.contains("products"), "{table}");
}

#[tokio::test]
async fn a_bulk_sync_that_cannot_read_fails() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let program = program(&zoho, &database);
    let unknown = program.run(&["bulk-sync", "--entity", "orders"]).await;
    assert!(
        unknown.status == 2 && unknown.stderr.contains("'orders'") && unknown.stderr.contains("invoices"),
        "{}",
        unknown.stderr
    );
    let since = program.run(&["bulk-sync", "--mode", "full", "--since", "2026-11-01"]).await;
    assert_eq!(since.status, 2, "{}", since.stderr);
    let idle = program.run(&["bulk-sync", "--workers", "0"]).await;
    assert!(idle.status == 2 && idle.stderr.contains("TDS_WORKERS"), "{}", idle.stderr);
}

#[tokio::test]
async fn check_reports_no_fault_where_all_is_well() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let program = program(&zoho, &database);
    let document = program.json(&["check", "--json"]).await;
    assert_eq!(document["ok"], true, "{document}");
    let names: Vec<&str> = document["checks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|check| check["status"] == "ok")
        .filter_map(|check| check["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "configuration",
            "database",
            "connections",
            "schema",
            "exposures",
            "clock",
            "zoho",
            "budget",
            "webhook secret",
            "image store"
        ]
    );
}

#[tokio::test]
async fn check_reports_refused_credentials() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    zoho.revoke_refresh_token(true);
    let ended = program(&zoho, &database).run(&["check"]).await;
    assert_eq!(ended.status, 1, "{}", ended.stdout);
    assert!(ended.stdout.contains("FAILED   zoho"), "{}", ended.stdout);
}

#[tokio::test]
async fn parts_are_read_and_the_costs_of_a_day_are_shown() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let mut ids = Vec::new();
    for day in 1..=9 {
        ids.push(zoho.put_invoice(serde_json::json!({
            "invoice_number": format!("INV-{day}"),
            "date": format!("2026-01-{day:02}"),
            "line_items": [],
        })));
    }
    let set = || program(&zoho, &database).with("TDS_ENTITIES", "invoices,products");
    let (program, short) = (set(), set().with("ZOHO_DAILY_LIMIT", "1"));
    let part = ["bulk-sync", "--entity", "invoices", "--from", "2026-01-03", "--to", "2026-01-05", "--json"];
    let ended = program.run(&part).await;
    assert!(ended.status == 0 && ended.stderr.contains("from 2026-01-03 to 2026-01-05"), "{}", ended.stderr);
    let run: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let run = &run["runs"][0];
    assert_eq!((&run["total_items"], &run["selection"]["from"]), (&3.into(), &"2026-01-03".into()), "{run}");
    let two = format!("{},{}", ids[0], ids[8]);
    let ended = program.run(&["bulk-sync", "--entity", "invoices", "--ids", &two]).await;
    assert!(ended.status == 0 && ended.stderr.contains("invoices: 2 calls expected."), "{}", ended.stderr);

    // What cannot be done is wrong usage, and says what to do instead.
    for (wrong, says) in [
        (&["--entity", "products", "--from", "2026-01-01"][..], "--ids, --since or --mode full"),
        (&["--from", "2026-01-01", "--ids", "7", "--entity", "invoices"], "cannot be combined"),
        (&["--ids", "7"], "--ids requires one entity type"),
        (&["--entity", "bills"], "bills are not synced: TDS_ENTITIES does not name them"),
    ] {
        let ended = program.run(&[&["bulk-sync"], wrong].concat()).await;
        assert!(ended.status == 2 && ended.stderr.contains(says), "{wrong:?}: {}", ended.stderr);
    }
    // More than the day has left needs an answer, which nobody gives here.
    let asked = short.run(&["bulk-sync", "--entity", "invoices", "--ids", &two]).await;
    assert!(asked.status == 2 && asked.stderr.contains("add --yes to confirm"), "{}", asked.stderr);

    let plan = program.json(&["plan", "--json"]).await;
    let idle = |plan: &serde_json::Value| plan["idle_calls_a_day"].as_f64().expect("a number");
    let causes: Vec<&str> =
        plan["costs"].as_array().expect("costs").iter().filter_map(|cost| cost["cause"].as_str()).collect();
    assert!(causes.contains(&"full_sync") && causes.contains(&"incremental_sync"), "{plan:#}");
    let less = program.json(&["plan", "--json", "--what-if", "TDS_INCREMENTAL_EVERY=off"]).await;
    assert!(idle(&less) < idle(&plan) - 100.0, "two lists are looked at 96 times a day: {less:#}");
    let table = program.done(&["plan", "--what-if", "TDS_ENTITIES=products"]).await;
    for text in ["calls a day while idle:", "without --what-if", "verify", "off"] {
        assert!(table.contains(text), "{text} is not in\n{table}");
    }
    for (wrong, says) in [
        ("TDS_FULL_EVERY=1w", "TDS_FULL_EVERY: found \"1w\"; accepted: "),
        ("TDS_FUL_EVERY=1d", "did you mean TDS_FULL_EVERY?"),
        ("TDS_ENTITIES=product", "did you mean products?"),
        ("TDS_FULL_EVERY", "use VARIABLE=VALUE"),
    ] {
        let ended = program.run(&["plan", "--what-if", wrong]).await;
        assert!(ended.status == 2 && ended.stderr.contains(says), "{wrong}: {}", ended.stderr);
    }
}
