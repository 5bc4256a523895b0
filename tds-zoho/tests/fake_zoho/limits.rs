use std::time::Duration;

use tds_zoho::testkit::Limits;

use crate::support::Caller;

const ITEMS: &str = "/books/v3/items";

#[tokio::test]
async fn too_many_calls_in_a_minute_block_the_organization() {
    let caller = Caller::new().await;
    let limits = Limits { per_minute: Some(3), block: Duration::from_millis(300), ..Limits::default() };
    caller.fake.set_limits(limits.clone());
    for _ in 0..3 {
        caller.ok(ITEMS, &[]).await;
    }
    let (status, body) = caller.get(ITEMS, &[]).await;
    assert_eq!((status, body["code"].as_i64()), (429, Some(44)));
    assert_eq!(caller.fake.max_in_any_minute(), 4);
    // The minute has ended, but the block has not.
    caller.fake.set_limits(Limits { window: Duration::from_millis(1), ..limits });
    let until_free = async {
        while caller.get(ITEMS, &[]).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_free).await.expect("the block ends");
}

#[tokio::test]
async fn calls_are_counted_by_path() {
    let caller = Caller::new().await;
    caller.ok(ITEMS, &[]).await;
    caller.ok("/inventory/v1/items", &[]).await;
    caller.get("/books/v3/items/1", &[]).await;
    caller.get("/books/v3/contacts", &[]).await;
    assert_eq!(caller.fake.calls(), 4);
    assert_eq!(caller.fake.calls_to("/items"), 3);
    assert_eq!(caller.fake.calls_to("/books/v3/items"), 2);
    assert_eq!(caller.fake.calls_to("/items/"), 1);
    assert_eq!(caller.fake.max_in_any_minute(), 4);
}

#[tokio::test]
async fn the_day_ends_the_quota() {
    let caller = Caller::new().await;
    caller.fake.set_limits(Limits { per_day: Some(2), ..Limits::default() });
    caller.ok(ITEMS, &[]).await;
    caller.ok(ITEMS, &[]).await;
    let (status, body) = caller.get(ITEMS, &[]).await;
    assert_eq!((status, body["code"].as_i64()), (429, Some(45)));
    caller.fake.new_day();
    caller.ok(ITEMS, &[]).await;
}

#[tokio::test]
async fn too_many_calls_in_flight_are_refused() {
    let caller = Caller::new().await;
    caller.fake.set_latency(Duration::from_secs(2));
    caller.fake.set_limits(Limits { concurrent: Some(2), ..Limits::default() });
    let call = || caller.get(ITEMS, &[]);
    let (a, b, c) = tokio::join!(call(), call(), call());
    let mut statuses = [a.0, b.0, c.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(caller.fake.max_concurrent(), 3);
    caller.ok(ITEMS, &[]).await;
}
