//! What a server without work costs its database.

use std::time::Duration;

use tds_postgres::testkit::{Relay, TestDatabase};
use tds_zoho::testkit::FakeZoho;

use crate::shop::Shop;

/// The time for which the server is watched, and the maximum number of transactions in it. The mean is below one a
/// second; whether a rare one falls into the time depends on the moment.
const WATCHED: Duration = Duration::from_secs(12);
const MOST: u64 = 16;

/// How often the server is watched, at most. On a slow machine the work of its start takes seconds, and is not meant.
const TIMES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_work_asks_its_database_about_once_a_second() {
    let database = TestDatabase::new().await;
    let (relay, url) = Relay::before(database.url()).await;
    // All schedules have their defaults, so none is due.
    let shop = Shop::open_at(FakeZoho::start().await, database, &[("DATABASE_URL", &url)]).await;
    // The statements below do not pass the relay.
    shop.until("SELECT string_agg(zoho_state, ',') FROM tds_processes", "healthy").await;
    let mut counts = Vec::new();
    for _ in 0..TIMES {
        let before = relay.transactions();
        tokio::time::sleep(WATCHED).await;
        counts.push(relay.transactions() - before);
        if counts.last() <= Some(&MOST) {
            break;
        }
    }
    // A server that asks less has lost a task: it looks for items every two seconds.
    assert!(matches!(counts.last(), Some(4..=MOST)), "transactions in {WATCHED:?} each: {counts:?}");
}
