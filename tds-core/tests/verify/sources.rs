//! Verifications of a source that spells columns in its own way, fails for single records, or gives records away.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tds_core::{
    error::{Error, ErrorKind, Retry},
    record::{RecordId, RecordKey},
    runs::RunStatus,
};
use tokio::time::Instant;

use crate::support::{CHANGED, PRODUCTS, Setup, details, found, record};

#[tokio::test(start_paused = true)]
async fn an_edit_of_a_column_that_the_list_spells_in_its_own_way_is_found_without_a_read_of_the_record() {
    let setup = Setup::new(4, details(1)).start(0).await;
    let id = RecordId::new("2");
    let state = setup.store.sync_state(&RecordKey::new(PRODUCTS, id.clone())).expect("known");
    assert_eq!(state.spelled, ["name"], "the list writes it in capitals");
    setup.store.edit(&PRODUCTS, &id, "name", json!("by hand"));
    let before = setup.source.fetches();
    let (_, report) = setup.verify(false).await;
    let expected = BTreeMap::from([("2", ("field_diff", vec!["name"]))]);
    assert_eq!(found(&report), expected);
    let reads = setup.source.fetches() - before;
    assert_eq!((reads, setup.source.reads_of("2")), (1, 2), "only the second look read it");
    let (_, repaired) = setup.verify(true).await;
    assert_eq!((found(&repaired), repaired.drift_total()), (expected, 0));
    let (_, clean) = setup.verify(false).await;
    assert_eq!((clean.drift_total(), clean.entities[0].in_flight), (0, 0), "the spelling itself is no drift");
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_for_ever_is_an_error_of_its_own_and_the_run_ends() {
    let setup = Setup::new(5, details(2)).start(5).await;
    let fault = |retry| Error::new(ErrorKind::Unavailable, retry, "HTTP 500");
    setup.source.fail("2", fault(Retry::Transient { retry_after: None }));
    setup.source.fail("4", Error::invalid("no name"));
    setup.store.edit(&PRODUCTS, &RecordId::new("1"), "rate", json!(11));
    let (reads, began) = (setup.source.reads_of("2"), Instant::now());
    let (run, report) = setup.verify(true).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(120), "{took:?}");
    assert_eq!(run.status, RunStatus::CompletedWithErrors);
    assert_eq!((run.failed_items, setup.source.reads_of("2") - reads), (2, 12), "six tries at each look");
    let entity = &report.entities[0];
    assert_eq!((report.status, entity.in_flight), (RunStatus::CompletedWithErrors, 2));
    let error = entity.error.as_deref().expect("what failed");
    for part in ["2 records of products", "2: HTTP 500", "4: no name"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(
        (found(&report).len(), entity.repaired, report.drift_total()),
        (1, 1, 0),
        "the others are compared"
    );
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_answers_nobody_is_waited_for_and_no_record_is_blamed() {
    let setup = Setup::new(3, details(2)).start(3).await;
    let retry = Retry::AuthPaused { retry_after: Duration::from_secs(900) };
    setup.source.fail("1", Error::new(ErrorKind::Unauthorized, retry, "refused"));
    setup.store.edit(&PRODUCTS, &RecordId::new("1"), "rate", json!(11));
    let source = setup.source.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        source.answer("1");
    });
    let began = Instant::now();
    let (run, report) = setup.verify(false).await;
    assert_eq!(
        (run.status, report.drift_total(), report.entities[0].in_flight),
        (RunStatus::Completed, 1, 0)
    );
    assert!(began.elapsed() > Duration::from_secs(3_500), "{:?}", began.elapsed());
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_belongs_to_the_sibling_is_gone_here_once() {
    for profile in [details(1), tds_core::source::SourceProfile::default()] {
        let setup = Setup::new(3, profile).start(0).await;
        setup.source.give_away("2");
        setup.source.put(record("2").version(CHANGED + Duration::from_secs(60)));
        let expected = BTreeMap::from([("2", ("missing_remote", vec![]))]);
        let (_, report) = setup.verify(false).await;
        assert_eq!(found(&report), expected);
        let (_, repaired) = setup.verify(true).await;
        assert_eq!((found(&repaired), repaired.drift_total()), (expected, 0));
        let (_, clean) = setup.verify(false).await;
        assert_eq!(found(&clean), BTreeMap::new(), "a tombstone here is as it should be");
        setup.engine.stop().await;
    }
}
