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
            "webhook secret"
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
