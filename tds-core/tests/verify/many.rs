//! Verifications that find very many differences read the list once more, instead of each record.

use std::time::Duration;

use serde_json::json;
use tds_core::{
    queue::{Lane, NewItem, Queue as _, Work},
    record::{RecordId, RecordKey},
    runs::RunStatus,
};

use crate::support::{CHANGED, PRODUCTS, Setup, details, found, record};

#[tokio::test(start_paused = true)]
async fn very_many_differences_cost_a_list_and_a_change_on_its_way_is_none_of_them() {
    let setup = Setup::new(80, details(1)).start(0).await;
    for number in 1..=70 {
        setup.store.edit(&PRODUCTS, &RecordId::new(number.to_string()), "rate", json!(11));
    }
    // One record was changed a while ago, and nobody has told; two more change now, and the webhooks follow.
    setup.source.put(record("71").version(CHANGED + Duration::from_secs(60)));
    for id in ["72", "73"] {
        setup.source.put(record(id).version(setup.clock.now()));
    }
    let store = setup.store.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(25)).await;
        let fetch =
            |id| NewItem::new(RecordKey::new(PRODUCTS, RecordId::new(id)), Lane::Webhook, Work::fetch());
        store.enqueue(["72", "73"].map(fetch).into()).await.expect("queued");
    });
    let before = setup.source.fetches();
    let (run, report) = setup.verify(false).await;
    assert_eq!(run.status, RunStatus::Completed);
    let entity = &report.entities[0];
    assert_eq!((report.drift_total(), entity.in_flight, found(&report)["71"].0), (71, 0, "stale"));
    assert!(!found(&report).contains_key("72") && !found(&report).contains_key("73"));
    let reads = setup.source.fetches() - before;
    assert!(reads < 20, "{reads} records were read one by one");
    let (_, repaired) = setup.verify(true).await;
    assert_eq!((repaired.drift_total(), repaired.entities[0].repaired), (0, 71));
    setup.engine.stop().await;
}
