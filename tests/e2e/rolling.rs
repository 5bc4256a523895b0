//! Two servers are replaced in turn under a load of webhooks: none is refused, and none is lost.

use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::FakeZoho;

use crate::{
    process::count,
    replicas::{Load, Replica, all_ended},
    shop::{program, settings},
};

/// How many times each server is replaced.
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_replaced_in_turn_refuse_no_webhook_and_lose_none() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let settings = settings(&zoho, database.url(), &[("TDS_LEASE", "3s")]);
    let replicas = [Replica::new(settings.clone()), Replica::new(settings)];
    for replica in &replicas {
        replica.start(&program()).await;
    }
    let load = Load::start(&zoho, &replicas, &[], false);
    for _ in 0..ROUNDS {
        for replica in &replicas {
            load.accepted_by(&[0, 1], 20).await;
            replica.stop().await;
            replica.start(&program()).await;
        }
    }
    load.accepted_by(&[0, 1], 20).await;
    let (events, items) = load.end().await;
    assert_eq!(events.len(), items, "each item was announced once");
    all_ended(&database, &events).await;
    assert_eq!(count(&database, "erp.products").await, i64::try_from(items).expect("a number"));
    assert_eq!(count(&database, "tds_sync_queue WHERE status <> 'completed' OR retry_count > 0").await, 0);
    for replica in &replicas {
        replica.stop().await;
        assert!(replica.errors().is_empty(), "{:#?}", replica.errors());
    }
}
