//! Tests that the methods of the test relay do what their names say.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tds_postgres::testkit::{Relay, TestDatabase};
use tokio::time::timeout;

/// `LONG` is long enough for an answer on a busy machine. `SHORT` is for cases in which no answer is expected.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    timeout(LONG, options.connect()).await.expect("in time").expect("connected")
}

async fn answers(connection: &mut PgConnection) -> bool {
    timeout(LONG, sqlx::raw_sql("SELECT 1").execute(connection)).await.expect("in time").is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_connection_gets_no_answer_until_it_is_thawed_and_new_ones_are_served() {
    let test = TestDatabase::empty().await;
    let (relay, url) = Relay::before(test.url()).await;
    let mut old = connect(&url).await;
    assert!(answers(&mut old).await);
    relay.freeze();
    {
        let mut asking = Box::pin(sqlx::raw_sql("SELECT 1").execute(&mut old));
        assert!(timeout(SHORT, &mut asking).await.is_err(), "a frozen connection answered");
        let mut new = connect(&url).await;
        assert!(answers(&mut new).await);
        assert_eq!(relay.connections(), 2);
        relay.thaw();
        timeout(LONG, asking).await.expect("in time").expect("answered after the thaw");
    }
    relay.freeze_all();
    let options: PgConnectOptions = url.parse().expect("a URL");
    assert!(timeout(SHORT, options.connect()).await.is_err(), "a new connection was served");
    relay.admit();
    let mut new = connect(&url).await;
    assert!(answers(&mut new).await);
    let asked = sqlx::raw_sql("SELECT 1").execute(&mut old);
    assert!(timeout(SHORT, asked).await.is_err(), "a connection that was frozen for ever answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_closes_open_connections_and_a_refusal_rejects_new_ones() {
    let test = TestDatabase::empty().await;
    let (relay, url) = Relay::before(test.url()).await;
    let mut old = connect(&url).await;
    relay.cut();
    assert!(!answers(&mut old).await, "a cut connection answered");
    let new = connect(&url).await;
    relay.refuse(true);
    let options: PgConnectOptions = url.parse().expect("a URL");
    assert!(timeout(LONG, options.connect()).await.expect("in time").is_err());
    relay.refuse(false);
    new.close().await.expect("closed");
    relay.delay(SHORT);
    let began = tokio::time::Instant::now();
    connect(&url).await;
    assert!(began.elapsed() >= SHORT);
}
