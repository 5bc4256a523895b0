//! The database allows few connections, and other programs hold most of them: TDS still stores every webhook.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module};
use tokio::time::Instant;

use crate::{records, shop::Shop};

const PASSWORD: &str = "few";
/// The connection limit of the role, and the number of connections that other programs hold during the whole test.
const ALLOWED: u32 = 15;
const TAKEN: usize = 9;
/// Every webhook is answered within this time.
const ANSWERED: Duration = Duration::from_secs(10);

async fn execute(connection: &mut PgConnection, statements: String) {
    let executed = sqlx::raw_sql(AssertSqlSafe(statements.clone())).execute(connection).await;
    executed.map(drop).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// Creates a role that owns the database and may open few connections, as at a hosting company.
async fn role_with_few_connections(database: &TestDatabase, admin: &mut PgConnection) -> (String, String) {
    let (rest, query) = database.url().split_once('?').unwrap_or((database.url(), ""));
    let (_, place) = rest.rsplit_once('@').expect("a URL");
    let (_, name) = place.rsplit_once('/').expect("a database");
    let role = format!("{name}_few");
    execute(
        admin,
        format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT {ALLOWED};
             ALTER DATABASE {name} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}"
        ),
    )
    .await;
    (format!("postgres://{role}:{PASSWORD}@{place}?{query}"), role)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_webhooks_at_once_are_kept_where_few_connections_are_left() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    for n in 0..400 {
        let mut invoice = records::document(records::Kind::Invoice);
        invoice["invoice_id"] = json!(format!("4600000005{n:08}"));
        zoho.put(Module::INVOICES, invoice);
    }
    let mut admin = PgConnection::connect(database.url()).await.expect("connects");
    let (url, role) = role_with_few_connections(&database, &mut admin).await;
    let mut others = Vec::new();
    for _ in 0..TAKEN {
        others.push(PgConnection::connect(&url).await.expect("connects"));
    }
    // The settings keep their defaults: one process opens up to ten connections.
    let mut shop = Shop::open_at(zoho, database, &[("DATABASE_URL", &url)]).await;
    shop.zoho.set_latency(Duration::from_millis(20));
    let (status, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "invoices", "mode": "full"})).await;
    assert_eq!(status.as_u16(), 202, "{answer}");
    shop.until("SELECT (processed_items > 0)::text FROM tds_sync_runs", "true").await;

    for round in 0..3 {
        let webhooks = (0..100).map(|n| {
            let mut item = records::item();
            item["item_id"] = json!(format!("4600000006{n:08}"));
            item["sku"] = json!("");
            item["last_modified_time"] = json!(format!("2026-09-14T15:45:{round:02}+0300"));
            shop.zoho.put(Module::ITEMS, item.clone());
            let request =
                shop.signed_request("/api/zoho/webhooks/products", &json!({ "item": item }).to_string());
            async move {
                let began = Instant::now();
                let answer = request.send().await.expect("an answer");
                (answer.status().as_u16(), began.elapsed())
            }
        });
        let readers = join_all((0..10).map(|_| shop.get("/api/zoho/sync/stats")));
        let (answers, readers) = tokio::join!(join_all(webhooks), readers);
        let refused: Vec<_> =
            answers.iter().filter(|(status, took)| *status != 200 || *took > ANSWERED).collect();
        assert!(refused.is_empty(), "round {round}: {refused:?}");
        for (status, answer) in readers {
            assert_eq!(status.as_u16(), 200, "{answer}");
        }
    }
    let run = shop.run_ended(answer["runs"][0]["id"].as_i64().expect("an id")).await;
    assert_eq!((&run["status"], &run["processed_items"]), (&json!("completed"), &json!(400)), "{run:#}");
    shop.settled().await;
    assert_eq!(shop.count("erp.products").await, 100);
    assert_eq!(shop.count("tds_inbox_events WHERE status = 'completed'").await, 300);

    shop.stop().await;
    drop(others);
    execute(
        &mut admin,
        format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}';
             REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"
        ),
    )
    .await;
}
