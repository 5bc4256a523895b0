//! Two servers on a database behind PgBouncer in transaction mode with fifteen connections, as on Supabase.

#[path = "../../tds-postgres/tests/pooler/bouncer.rs"]
mod bouncer;

use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module, demo};

use self::bouncer::Bouncer;
use crate::{
    process::{count, until, until_count},
    replicas::{Load, Replica, all_ended},
    shop::{FEW, program, settings},
};

const PLACES: i64 = 15;
/// The connections of the pooler. Those of this test have another name.
const CONNECTIONS: &str =
    "pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    AND application_name <> current_setting('application_name')";

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_everything_through_a_pooler_with_fifteen_connections() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    demo::organization(&zoho, FEW, 17);
    let pool = format!("default_pool_size = {PLACES}");
    let bouncer = Bouncer::start_with(database.url(), "extra_float_digits, options", &pool).await;
    let off = ["INCREMENTAL", "FULL", "STOCK", "PRICES", "VERIFY"].map(|name| format!("TDS_{name}_EVERY"));
    let more: Vec<(&str, &str)> = off.iter().map(|name| (name.as_str(), "off")).collect();
    let settings = settings(&zoho, &format!("{}?sslmode=disable", bouncer.url()), &more);
    let (replicas, program) = ([Replica::new(settings.clone()), Replica::new(settings)], program());
    for replica in &replicas {
        replica.start(&program).await;
    }
    replicas[0].done(&program, &["bulk-sync", "--mode", "full"]).await;
    replicas[0].done(&program, &["mode", "set", "customers", "bidirectional"]).await;
    let load = Load::start(&zoho, &replicas, &[], false);
    load.accepted_by(&[0, 1], 60).await;
    database
        .execute("INSERT INTO erp.customers (name, currency_code) VALUES ('Behind a pooler', 'IQD')")
        .await;
    until("the customer is in Zoho", async || {
        zoho.read(|all| all.records(Module::CONTACTS).any(|one| one["contact_name"] == "Behind a pooler"))
    })
    .await;
    let open = count(&database, CONNECTIONS).await;
    assert!((1..=PLACES).contains(&open), "{open} connections");
    let (events, _) = load.end().await;
    all_ended(&database, &events).await;
    until_count(&database, "tds_outbox WHERE status = 'pending'", 0).await;
    replicas[0].done(&program, &["verify", "--entity", "products,customers,invoices", "--json"]).await;
    assert_eq!(count(&database, "tds_queue_attempts").await, 0, "attempts failed");
    for replica in &replicas {
        replica.stop().await;
        assert!(replica.errors().is_empty(), "{:#?}", replica.errors());
    }
}
