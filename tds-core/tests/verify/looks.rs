//! What a verification reports of records that are changing, what it repairs, and what it costs, in virtual time.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tds_core::{
    queue::{Lane, NewItem, Queue as _, QueueOperator as _, Work},
    record::{Fields, RecordId, RecordKey},
    runs::{RunStatus, SyncRunOperator as _},
    source::SourceProfile,
    verify::VerifyOperator as _,
};
use tokio::time::Instant;

use crate::support::{CHANGED, PRODUCTS, Running, Setup, details, found, record};

#[tokio::test(start_paused = true)]
async fn a_record_that_is_in_work_at_six_looks_is_in_flight() {
    let setup = Setup::new(3, SourceProfile::default()).start(0).await;
    let id = RecordId::new("1");
    setup.store.edit(&PRODUCTS, &id, "rate", json!(11));
    setup.store.set_paused(&PRODUCTS, true).await.expect("paused");
    let key = RecordKey::new(PRODUCTS, id);
    let item = NewItem::new(key, Lane::Webhook, Work::pushed(None, CHANGED, record("1").build().raw));
    setup.store.enqueue(vec![item]).await.expect("queued");
    let began = Instant::now();
    let (_, report) = setup.verify(false).await;
    assert_eq!((report.drift_total(), report.entities[0].in_flight), (0, 1));
    let took = began.elapsed().as_secs();
    assert!((75..90).contains(&took), "six looks, a quarter of a minute apart: {took} s");
    assert_eq!(setup.source.fetches(), 6, "each look reads the record");
    setup.engine.stop().await;
}

/// Reads a record ten seconds before it is edited by hand. Returns how long the verification that finds it takes.
async fn finds_after(setup: &Running) -> u64 {
    let id = RecordId::new("1");
    let key = RecordKey::new(PRODUCTS, id.clone());
    let item = NewItem::new(key, Lane::Operator, Work::fetch());
    setup.store.enqueue(vec![item]).await.expect("queued");
    tokio::time::sleep(Duration::from_secs(10)).await;
    setup.store.edit(&PRODUCTS, &id, "rate", json!(11));
    let began = Instant::now();
    let (_, report) = setup.verify(false).await;
    assert_eq!((report.drift_total(), report.entities[0].in_flight), (1, 0));
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_record_that_changed_within_the_last_minute_is_looked_at_until_the_minute_is_over() {
    let setup = Setup::new(2, SourceProfile::default()).start(0).await;
    let took = finds_after(&setup).await;
    assert!(took < 15, "only the read was a moment ago: {took} s");
    setup.source.put(record("1").version(setup.clock.now()));
    let took = finds_after(&setup).await;
    assert!((50..75).contains(&took), "the change was a moment ago: {took} s");
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rows_of_nobody_and_restored_tombstones_are_found_and_repaired() {
    let setup = Setup::new(3, details(1)).start(0).await;
    setup.source.remove("3");
    setup.full().await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    setup.store.bury(&PRODUCTS, &RecordId::new("3"), false);
    setup.store.plant(&PRODUCTS, &RecordId::new("99"), Fields::from_iter([("rate".to_owned(), json!(1))]));
    setup.store.uproot(&PRODUCTS, &RecordId::new("1"));
    setup.store.bury(&PRODUCTS, &RecordId::new("2"), true);
    let (_, first) = setup.verify(false).await;
    let expected = BTreeMap::from([
        ("1", ("missing_local", vec![])),
        ("2", ("missing_local", vec![])),
        ("3", ("missing_remote", vec![])),
        ("99", ("missing_remote", vec![])),
    ]);
    assert_eq!(found(&first), expected);
    let (run, repaired) = setup.verify(true).await;
    assert_eq!((found(&repaired), run.status), (expected, RunStatus::Completed));
    assert_eq!((repaired.drift_total(), repaired.entities[0].repaired), (0, 4));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let (_, clean) = setup.verify(false).await;
    assert_eq!(found(&clean), BTreeMap::new());
    let earlier = setup.store.report(Some(first.id), 10).await.expect("asked").expect("a report");
    assert_eq!((earlier.drift_total(), earlier.entities[0].repaired), (0, 4), "they count as repaired");
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_records_that_are_gone_wait_for_an_operator() {
    let setup = Setup::new(40, SourceProfile::default()).start(0).await;
    for number in 1..=25 {
        setup.source.remove(&number.to_string());
    }
    let (run, report) = setup.verify(true).await;
    assert_eq!((run.status, run.held_deletions), (RunStatus::CompletedWithErrors, 25));
    assert_eq!((report.drift_total(), report.entities[0].repaired), (25, 0));
    let live = || setup.store.rows(&PRODUCTS).values().filter(|row| row.deleted_at.is_none()).count();
    assert_eq!(live(), 40);
    assert_eq!(setup.store.confirm_deletions(run.id).await.expect("confirmed"), 25);
    while setup.store.get_run(run.id).await.expect("asked").expect("there").status.is_active() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(live(), 15);
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clean_target_costs_its_list_and_the_records_that_are_read_whole() {
    for (profile, reads, sampled) in
        [(SourceProfile::default(), 0, 0), (details(1), 3, 3), (details(10), 25, 25)]
    {
        let setup = Setup::new(25, profile).start(3).await;
        let before = setup.source.fetches();
        let (_, report) = setup.verify(true).await;
        let entity = &report.entities[0];
        assert_eq!((report.drift_total(), entity.in_flight), (0, 0));
        assert_eq!((setup.source.fetches() - before, entity.counts.sampled), (reads, sampled));
        assert_eq!((entity.counts.source_records, entity.counts.target_records), (25, 25));
        setup.engine.stop().await;
    }
}
