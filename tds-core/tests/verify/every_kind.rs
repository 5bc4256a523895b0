//! A verification over the store in memory finds each kind of drift, repairs it, and then finds none.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{
    clock::SystemClock,
    engine::{Engine, RunSettings, RunningEngine, Stores, VerifySettings, WorkerSettings},
    memory::MemoryStore,
    mirror::MirrorSchema,
    record::{EntityType, RecordBuilder, RecordId},
    runs::{NewRun, RunStatus, RunType, VerifyPart},
    source::SourceProfile,
    testkit::ScriptedSource,
    verify::{VerificationReport, VerifyOperator as _},
};
use time::{OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const CHANGED: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

fn record(id: &str, rate: i64, version: OffsetDateTime) -> RecordBuilder {
    RecordBuilder::new(&PRODUCTS, id).fields(json!({"name": id, "rate": rate})).version(version)
}

async fn verify(engine: &RunningEngine, store: &MemoryStore, repair: bool) -> VerificationReport {
    let part = VerifyPart { verification: None, repair };
    let run = NewRun { verify: Some(part), ..NewRun::new(PRODUCTS, RunType::Verify, "scripted", "test") };
    let run = engine.sync(run).await.expect("a run");
    assert_eq!(run.status, RunStatus::Completed, "{:?}", run.error_log);
    engine.finish_verifications().await.expect("completed");
    let report = store.report(Some(run.id), 100).await.expect("asked").expect("a report");
    assert!(report.completed_at.is_some());
    report
}

fn classes(report: &VerificationReport) -> BTreeMap<&str, (&str, Vec<&str>)> {
    report.entities[0]
        .examples
        .iter()
        .map(|it| {
            (it.id.as_str(), (it.class.as_str(), it.fields.iter().map(|it| it.field.as_str()).collect()))
        })
        .collect()
}

async fn every_kind(profile: SourceProfile) {
    let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
    let source = Arc::new(ScriptedSource::new(schema, Arc::new(SystemClock)).with_profile(profile));
    let store = MemoryStore::default();
    for id in ["1", "2", "3", "4", "5"] {
        source.put(record(id, 10, CHANGED));
    }
    let soon = Duration::from_millis(10);
    let engine = Engine::builder(Stores::new(&store, store.clone()).verifying(&store))
        .source(source.clone())
        .worker(WorkerSettings { poll: soon, ..WorkerSettings::default() })
        .runs(RunSettings { poll: soon, ..RunSettings::default() })
        // Everything was read a moment ago; no record is looked at later for that.
        .verify(VerifySettings { quiet: Duration::ZERO, ..VerifySettings::default() })
        .start();
    let full = engine.sync(NewRun::new(PRODUCTS, RunType::Full, "scripted", "test")).await.expect("a run");
    assert_eq!(full.status, RunStatus::Completed);
    let clean = verify(&engine, &store, false).await;
    assert_eq!((clean.drift_total(), clean.entities[0].counts.compared), (0, 5));

    store.edit(&PRODUCTS, &RecordId::new("1"), "rate", json!(11));
    source.put(record("2", 20, CHANGED + Duration::from_secs(60)));
    source.remove("3");
    source.put(record("6", 60, CHANGED));
    let expected = BTreeMap::from([
        ("1", ("field_diff", vec!["rate"])),
        ("2", ("stale", vec!["rate"])),
        ("3", ("missing_remote", vec![])),
        ("6", ("missing_local", vec![])),
    ]);
    let report = verify(&engine, &store, false).await;
    assert_eq!(classes(&report), expected);
    assert_eq!((report.drift_total(), report.entities[0].repaired), (4, 0));

    let repaired = verify(&engine, &store, true).await;
    assert_eq!(classes(&repaired), expected);
    assert_eq!((repaired.drift_total(), repaired.entities[0].repaired), (0, 4));
    assert_eq!(store.rows(&PRODUCTS)[&RecordId::new("1")].fields["rate"], json!(10));
    assert!(store.rows(&PRODUCTS)[&RecordId::new("3")].deleted_at.is_some());
    let clean = verify(&engine, &store, false).await;
    assert_eq!((clean.drift_total(), classes(&clean)), (0, BTreeMap::new()));
    assert_eq!(clean.entities[0].counts.source_records, 5);
    engine.stop().await;
}

#[tokio::test]
async fn every_kind_of_drift_is_found_once_and_repaired_where_the_list_shows_whole_records() {
    every_kind(SourceProfile { records_per_page: 2, ..SourceProfile::default() }).await;
}

#[tokio::test]
async fn every_kind_of_drift_is_found_once_and_repaired_where_records_are_read_one_by_one() {
    let profile = SourceProfile {
        needs_detail: true,
        fetch_batch: 2,
        records_per_call: 1,
        records_per_page: 2,
        ..SourceProfile::default()
    };
    every_kind(profile).await;
}
