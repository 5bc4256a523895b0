//! Tests the end of the program while it cannot store anything.

use std::time::Duration;

use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, sample};
use tokio::time::{Instant, sleep};

use crate::{
    serving::{free_port, wait_for_port},
    syncing,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_program_ends_in_time_while_the_database_is_gone() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let id = zoho.put_item(sample::item(1));
    let port = free_port();
    let program = syncing::program(&zoho, &database).with("TDS_BIND", format!("127.0.0.1:{port}"));
    let running = program.start(&["serve"]);
    wait_for_port(port).await;

    // The database disappears while the record is being read, so the result of the read cannot be stored.
    zoho.set_latency(Duration::from_millis(1_500));
    let body = program.directory().join("item.json");
    std::fs::write(&body, format!(r#"{{"item":{{"item_id":"{id}"}}}}"#)).expect("a file");
    let receipt = program.json(&["webhook", "send", "products", "--file", &body.display().to_string()]).await;
    assert_eq!(receipt["status"], "accepted", "{receipt}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while zoho.calls_to("/inventory/v1/item") == 0 {
        assert!(Instant::now() < deadline, "the record is not asked for");
        sleep(Duration::from_millis(10)).await;
    }
    database.cut().await;
    running.terminate().await;
    let ended = running.ended_within(Duration::from_secs(10)).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("trying again"), "an item was being processed: {}", ended.stderr);
}
