//! Another program keeps a transaction open in the database of TDS, or the network path to the database vanishes.
//! Only the affected work waits, everything else continues, and no operator has to act.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tds_postgres::testkit::Relay;
use tds_zoho::testkit::Module;
use tokio::time::{Instant, sleep};

use crate::{records, shop::Shop};

/// This limit is far below the 30 seconds that all webhooks waited in an earlier version.
const SOON: Duration = Duration::from_secs(12);

fn item(id: usize, name: &str, second: usize) -> Value {
    let mut item = records::item();
    item["item_id"] = json!(format!("46000000{id:04}"));
    item["sku"] = json!("");
    item["name"] = json!(name);
    item["last_modified_time"] = json!(format!("2026-09-14T15:45:{second:02}+0300"));
    item
}

async fn send(shop: &Shop, id: usize, name: &str, second: usize) -> StatusCode {
    let item = item(id, name, second);
    shop.zoho.put(Module::ITEMS, item.clone());
    shop.webhook("products", &json!({ "item": item }).to_string()).await.0
}

async fn other(shop: &Shop, statement: &'static str) -> PgConnection {
    let url = format!("{}&application_name=erp-test", shop.database.url());
    let mut other = PgConnection::connect(&url).await.expect("connects");
    sqlx::raw_sql("BEGIN").execute(&mut other).await.expect("begins");
    sqlx::raw_sql(statement).execute(&mut other).await.expect("locked");
    other
}

async fn let_go(mut other: PgConnection) {
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("rolled back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_the_erp_has_locked_costs_no_other_product_anything() {
    let shop = Shop::open().await;
    for id in 0..21 {
        assert_eq!(send(&shop, id, "old", 1).await, StatusCode::OK);
    }
    shop.settled().await;
    let holder = other(&shop, "SELECT FROM erp.products WHERE zoho_id = '460000000000' FOR UPDATE").await;
    for id in 0..21 {
        assert_eq!(send(&shop, id, "new", 2).await, StatusCode::OK);
    }
    shop.until("SELECT count(*)::text FROM erp.products WHERE name = 'new'", "20").await;
    let says = "SELECT (error_message LIKE '%erp-test%')::text FROM tds_sync_queue WHERE zoho_entity_id = '460000000000'
        AND status <> 'completed'";
    shop.until(says, "true").await;
    // The item is tried again and again without spending an attempt.
    sleep(Duration::from_secs(3)).await;
    let attempts = "SELECT max(retry_count)::text FROM tds_sync_queue";
    assert_eq!(shop.text(attempts).await.as_deref(), Some("0"));
    let_go(holder).await;
    shop.settled().await;
    assert_eq!(shop.count("erp.products WHERE name = 'new'").await, 21);
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_other_products_do_not_wait_for_a_locked_row_of_the_queue() {
    let shop = Shop::open().await;
    // The pause keeps the item in the queue.
    let (status, answer) = shop.post("/api/zoho/sync/pause", json!({"entity_type": "products"})).await;
    assert!(status.is_success(), "{answer}");
    assert_eq!(send(&shop, 0, "old", 1).await, StatusCode::OK);
    let holder = other(&shop, "UPDATE tds_sync_queue SET priority = priority + 1").await;
    let began = Instant::now();
    let (locked, free) = tokio::join!(
        async {
            let (one, two, three) =
                tokio::join!(send(&shop, 0, "a", 2), send(&shop, 0, "b", 3), send(&shop, 0, "c", 4));
            [one, two, three]
        },
        async {
            for id in 1..9 {
                assert_eq!(send(&shop, id, "new", 1).await, StatusCode::OK);
            }
            let waited = began.elapsed();
            let_go(holder).await;
            waited
        }
    );
    assert!(free < SOON, "the others waited for {free:?}");
    // These webhooks were stored as soon as the row was free, or Zoho sends them again.
    for status in locked {
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{status}");
    }
    assert!(began.elapsed() < SOON * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stays_ready_while_the_version_of_the_schema_cannot_be_read() {
    let shop = Shop::open().await;
    assert_eq!(shop.get("/readyz").await.0, StatusCode::OK);
    let holder = other(&shop, "LOCK TABLE _sqlx_migrations").await;
    assert_eq!(shop.get("/readyz").await.0, StatusCode::OK, "the schema was right a moment ago");
    assert_eq!(send(&shop, 0, "new", 1).await, StatusCode::OK);
    let_go(holder).await;
    shop.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_after_the_connection_to_the_database_vanished_silently() {
    let mut shop = Shop::open_with(&[("TDS_LEASE", "3s")]).await;
    let (relay, url) = Relay::before(shop.database.url()).await;
    shop.stop().await;
    shop.set("DATABASE_URL", &url);
    shop.start().await;
    assert_eq!(send(&shop, 0, "old", 1).await, StatusCode::OK);
    shop.settled().await;
    let holder = other(&shop, "LOCK TABLE tds_inbox_events").await;
    let (refused, ()) = tokio::join!(send(&shop, 1, "old", 1), async {
        sleep(Duration::from_millis(300)).await;
        relay.freeze();
        let_go(holder).await;
    });
    assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&refused), "{refused}");
    let began = Instant::now();
    for id in 2..12 {
        while send(&shop, id, "new", 1).await != StatusCode::OK {
            assert!(began.elapsed() < Duration::from_secs(60), "webhooks are still refused");
        }
    }
    shop.until("SELECT count(*)::text FROM erp.products WHERE name = 'new'", "10").await;
    shop.settled().await;
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_stored_as_soon_as_the_database_takes_writes_again() {
    let shop = Shop::open().await;
    assert_eq!(send(&shop, 0, "old", 1).await, StatusCode::OK);
    let mut admin = PgConnection::connect(shop.database.url()).await.expect("connects");
    let set = "DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid();
    END $$";
    sqlx::raw_sql(set).execute(&mut admin).await.expect("set");
    for id in 1..4 {
        assert_eq!(send(&shop, id, "refused", 1).await, StatusCode::SERVICE_UNAVAILABLE);
        shop.get("/api/zoho/sync/stats").await;
    }
    let (status, problem) = shop.post("/api/zoho/sync/queue/retry", json!({"status": "dead_letter"})).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("is read-only")), "{problem}");
    let began = Instant::now();
    loop {
        let (status, problem) = shop.get("/readyz").await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        if status == StatusCode::SERVICE_UNAVAILABLE && detail.contains("database: is read-only") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{status}: {problem}");
    }
    let reset = "DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$";
    sqlx::raw_sql(reset).execute(&mut admin).await.expect("reset");
    for id in 0..40 {
        assert_eq!(send(&shop, id, "new", 2).await, StatusCode::OK, "webhook {id}");
    }
    shop.until("SELECT count(*)::text FROM erp.products WHERE name = 'new'", "40").await;
}
