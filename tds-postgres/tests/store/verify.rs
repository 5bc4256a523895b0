//! Tests of verifications: the pages of local records, the findings, the report and its pruning.

use std::time::Duration;

use serde_json::json;
use tds_core::{
    clock::{Clock as _, SystemClock},
    mirror::{Child, FieldDifference, MirrorSchema},
    queue::{
        Lease, LeaseToken, Queue as _, QueueMaintenance as _, QueueOperator as _, Settle, Settlement,
        WorkerId,
    },
    record::{EntityType, RecordId},
    runs::{
        Checkpoint, NewRun, PageCommit, RunId, RunStatus, RunType, SyncRun as _, SyncRunOperator as _,
        VerifyPart,
    },
    verify::{
        DriftClass, LocalRecord, Look, MoneyDifference, Suspect, VerifyCounts, VerifyOperator,
        VerifyStore as _,
    },
};
use tds_postgres::{PgStore, testkit::TestDatabase};

use crate::support::{PRODUCTS, claim, item, store, text, work};

const BILLS: EntityType = EntityType::from_static("bills");
const PRODUCTS_SCHEMA: MirrorSchema =
    MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };

async fn execute(database: &TestDatabase, sql: &'static str) {
    sqlx::query(sql).execute(database.database()).await.expect("executed");
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<RecordId> {
    ids.into_iter().map(RecordId::new).collect()
}

/// Creates and claims a run of a verification.
async fn verify(
    store: &PgStore,
    entity: EntityType,
    part: Option<RunId>,
    repair: bool,
) -> (RunId, LeaseToken) {
    let verify = Some(VerifyPart { verification: part, repair });
    let run = NewRun { verify, ..NewRun::new(entity, RunType::Verify, "zoho", "test") };
    let run = store.create(run).await.expect("created").id;
    let lease = store.claim_run(&WorkerId("test".into()), Duration::from_secs(60), Some(&[run])).await;
    (run, lease.expect("claimed").expect("a run").token)
}

async fn commit(store: &PgStore, (run, token): (RunId, LeaseToken), pages: i64, listed: &[&str], last: bool) {
    let checkpoint = Checkpoint { pages, ..Checkpoint::default() };
    let page = PageCommit { listed: ids(listed.iter().copied()), items: Vec::new(), checkpoint, last };
    store.commit_page(run, token, page).await.expect("committed");
}

/// Returns all local records, read in pages of this size.
async fn all_local(store: &PgStore, run: RunId, schema: &MirrorSchema, limit: usize) -> Vec<LocalRecord> {
    let mut all: Vec<LocalRecord> = Vec::new();
    loop {
        let after = all.last().map(|record| record.id.clone());
        let page = store.local_records(run, schema, after.as_ref(), limit).await.expect("a page");
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[tokio::test]
async fn every_live_record_is_on_one_page_with_what_the_run_and_the_source_know_of_it() {
    const LEVELS: [Child; 1] =
        [Child { table: "stock_levels", owner: "product_zoho_id", confirm_shrink: false }];
    let (database, store) = store().await;
    execute(
        &database,
        "INSERT INTO erp.products (zoho_id, raw, deleted_at) VALUES ('1', '{\"rate\": 1.50}', NULL), ('2', NULL, NULL),
           ('3', '{}', now()), ('4', '{}', NULL), (NULL, '{}', NULL), ('5', '{}', NULL), ('6', '{}', NULL)",
    )
    .await;
    // '4' was seen before the run, '5' is seen during the run, and '6' has a time of a clock that was ahead.
    execute(
        &database,
        "INSERT INTO tds_sync_records (entity_type, zoho_id, pushed, observed_began, observed_ended, first_seen_at)
         SELECT 'products', id, false, at, at, '2026-01-01'
           FROM (VALUES ('4', '2026-01-01'::timestamptz), ('5', now() + interval '5 seconds'), ('6', '2999-01-01')) AS v (id, at)",
    )
    .await;
    let run = verify(&store, PRODUCTS, None, false).await;
    commit(&store, run, 1, &["1", "3", "9"], false).await;
    let products = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
    let local = |id: &str, raw: Option<&str>, listed: bool, seen_since: bool| {
        (id.to_owned(), raw.map(str::to_owned), listed, seen_since)
    };
    let expected = [
        local("1", Some(r#"{"rate": 1.50}"#), true, false),
        local("2", None, false, false),
        local("4", Some("{}"), false, false),
        local("5", Some("{}"), false, true),
        local("6", Some("{}"), false, false),
    ];
    for limit in [1, 2, 5, 100] {
        let found = all_local(&store, run.0, &products, limit).await.into_iter().map(|it| {
            local(it.id.as_str(), it.raw.as_ref().map(|raw| raw.as_str()), it.listed, it.seen_since)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "pages of {limit}");
    }
    // A record without a head row is live as long as it has child rows.
    execute(
        &database,
        "INSERT INTO erp.stock_levels (product_zoho_id, location_zoho_id) VALUES ('7', ''), ('7', 'l'), ('1', '')",
    )
    .await;
    let stock = MirrorSchema { entity: PRODUCTS, head: None, children: &LEVELS };
    for limit in [1, 100] {
        let found = all_local(&store, run.0, &stock, limit).await;
        let found: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.raw.is_none(), it.listed)).collect();
        assert_eq!(found, [("1", true, true), ("7", true, false)]);
    }
}

#[tokio::test]
async fn a_page_of_a_large_table_is_found_by_the_index() {
    let (database, store) = store().await;
    execute(
        &database,
        "INSERT INTO erp.products (zoho_id, raw) SELECT (1000000 + n)::text, '{}' FROM generate_series(1, 20000) AS n",
    )
    .await;
    let run = verify(&store, PRODUCTS, None, false).await.0;
    execute(
        &database,
        "INSERT INTO tds_run_records SELECT id, (1000000 + n)::text FROM tds_sync_runs, generate_series(1, 20000) AS n",
    )
    .await;
    execute(&database, "ANALYZE").await;
    let products = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
    let read = "SELECT (pg_stat_get_tuples_returned('erp.products'::regclass)
                     + pg_stat_get_tuples_returned('tds_run_records'::regclass))::text";
    let before: i64 = text(&database, read).await.parse().expect("a number");
    let page =
        store.local_records(run, &products, Some(&RecordId::new("1010000")), 200).await.expect("a page");
    assert_eq!((page.len(), page[0].id.as_str(), page[0].listed), (200, "1010001", true));
    execute(&database, "SELECT pg_stat_force_next_flush()").await;
    let after: i64 = text(&database, read).await.parse().expect("a number");
    assert!(after - before < 2_000, "{} rows were read by a sequential scan", after - before);
}

fn suspect(id: &str) -> Suspect {
    Suspect::new(RecordId::new(id))
}

fn drift(class: DriftClass, fields: &[(&str, serde_json::Value, serde_json::Value)]) -> Look {
    let field = |(field, source, target): &(&str, serde_json::Value, serde_json::Value)| FieldDifference {
        field: (*field).to_owned(),
        source: source.clone(),
        target: target.clone(),
    };
    Look::Drift { class, fields: fields.iter().map(field).collect() }
}

#[tokio::test]
async fn a_verification_is_reported_completed_repaired_and_pruned_with_its_runs() {
    let (database, store) = store().await;
    assert_eq!(store.report(None, 5).await.expect("asked"), None);
    let first = verify(&store, PRODUCTS, None, true).await;
    let second = verify(&store, BILLS, Some(first.0), true).await;
    commit(&store, first, 1, &["1", "2", "3", "4", "5"], false).await;
    let sample = store.sample(first.0, 3).await.expect("a sample");
    assert_eq!((sample.len(), store.sample(first.0, 3).await.expect("again")), (3, sample.clone()));
    assert_eq!(store.sample(first.0, 0).await.expect("none").len(), 0);

    let suspects = ids(["1", "2", "3", "4", "a\0b"]);
    for _ in 0..2 {
        store.suspect(first.0, &suspects).await.expect("stored");
    }
    let found = store.suspects(first.0, 2).await.expect("suspects");
    assert_eq!(found.iter().map(|it| (it.id.as_str(), it.looks)).collect::<Vec<_>>(), [("1", 0), ("2", 0)]);
    let rate = drift(
        DriftClass::FieldDiff,
        &[
            ("rate", serde_json::from_str("1.50").expect("JSON"), json!(null)),
            ("lines[a]b].rate", json!(1), json!("\0")),
        ],
    );
    let looks = [
        (suspect("1"), Look::Again { fields: Vec::new() }),
        (suspect("2"), Look::Clean),
        (suspect("3"), rate.clone()),
        (suspect("4"), drift(DriftClass::MissingLocal, &[])),
        (suspect("5"), Look::Clean),
    ];
    store.looked(first.0, &PRODUCTS_SCHEMA, &looks).await.expect("stored");
    let found = store.suspects(first.0, 9).await.expect("suspects");
    let found: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.looks)).collect();
    assert_eq!(found, [("a\u{fffd}b", 0), ("1", 1)], "those with the fewest looks come first");
    // What is decided stays decided.
    store.suspect(first.0, &suspects).await.expect("stored");
    let looked = Suspect { looks: 1, ..suspect("1") };
    store
        .looked(first.0, &PRODUCTS_SCHEMA, &[(suspect("3"), Look::Clean), (looked, Look::InFlight)])
        .await
        .expect("stored");
    store.looked(first.0, &PRODUCTS_SCHEMA, &[(suspect("a\0b"), Look::Clean)]).await.expect("stored");
    assert_eq!(store.suspects(first.0, 9).await.expect("suspects"), []);
    let differing = store.differing(first.0).await.expect("ids");
    assert_eq!(differing.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids(["3", "4"]));

    let counts = VerifyCounts { source_records: 5, target_records: 6, compared: 4, sampled: 2 };
    for counts in [VerifyCounts::default(), counts] {
        store.count(first.0, counts).await.expect("counted");
    }
    let running = store.report(None, 5).await.expect("asked").expect("a report");
    assert_eq!((running.id, running.status, running.drift_total()), (first.0, RunStatus::Running, 2));
    assert_eq!(store.unfinished().await.expect("asked"), []);
    assert_eq!(store.stats().await.expect("stats").needs_attention.drift, 0, "the run has not ended");

    commit(&store, first, 2, &[], true).await;
    assert_eq!(store.unfinished().await.expect("asked"), [], "the other run goes on");
    commit(&store, second, 1, &[], true).await;
    assert_eq!(store.unfinished().await.expect("asked"), [first.0]);
    assert_eq!(store.stats().await.expect("stats").needs_attention.drift, 2);
    store.repaired(first.0, &ids(["4", "2"])).await.expect("stored");
    assert_eq!(store.stats().await.expect("stats").needs_attention.drift, 1);
    let current = store.current().await.expect("reports");
    let current: Vec<_> = current.iter().map(|it| (it.run, it.drift.values().sum::<u64>())).collect();
    assert_eq!(current, [(second.0, 0), (first.0, 1)], "bills, then products");
    let money = MoneyDifference {
        check: "receivables".to_owned(),
        currency: Some("IQD".to_owned()),
        of: None,
        source: Some("10.00".to_owned()),
        target: Some("9.00".to_owned()),
        difference: "1.00".to_owned(),
        holds: false,
        in_flight: 3,
        examples: vec!["customers 1: \u{fffd}".to_owned()],
    };
    store.finish(first.0, std::slice::from_ref(&money)).await.expect("finished");
    store.finish(first.0, &[]).await.expect("finished already");
    assert_eq!(store.unfinished().await.expect("asked"), []);

    let report = store.report(Some(first.0), 1).await.expect("asked").expect("a report");
    assert_eq!(store.report(None, 1).await.expect("asked").as_ref(), Some(&report));
    assert_eq!((report.status, report.requested_by.as_deref()), (RunStatus::Completed, Some("test")));
    assert!(report.started_at.is_some() && report.completed_at.is_some());
    assert_eq!((report.drift_total(), &report.money), (1, &vec![money]));
    let entities: Vec<_> = report.entities.iter().map(|it| it.entity.as_str()).collect();
    assert_eq!(entities, ["products", "bills"]);
    let products = &report.entities[0];
    assert_eq!((products.counts, products.in_flight, products.repaired), (counts, 1, 1));
    assert_eq!(
        products.found.clone().into_iter().collect::<Vec<_>>(),
        [(DriftClass::MissingLocal, 1), (DriftClass::FieldDiff, 1)]
    );
    assert_eq!(products.drift.clone().into_iter().collect::<Vec<_>>(), [(DriftClass::FieldDiff, 1)]);
    let by_field: Vec<_> = products.by_field.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(by_field, [("lines.rate", 1), ("rate", 1)]);
    let example = &products.examples[0];
    assert_eq!(
        (products.examples.len(), example.id.as_str(), example.class),
        (1, "3", DriftClass::FieldDiff)
    );
    assert_eq!(
        (example.fields[0].source.to_string().as_str(), &example.fields[1].target),
        ("1.50", &json!("\u{fffd}"))
    );

    let history =
        VerifyOperator::history(&store, SystemClock.now() - Duration::from_secs(600)).await.expect("history");
    assert_eq!(history.len(), 2);
    assert!(
        history[0].slowest_repair_seconds.is_some_and(|seconds| seconds >= 0.0)
            && history[0].report.examples.is_empty()
    );
    assert_eq!(history[1].slowest_repair_seconds, None);
    assert_eq!(
        VerifyOperator::history(&store, SystemClock.now() + Duration::from_secs(600))
            .await
            .expect("history")
            .len(),
        0
    );

    // The newest run of each entity type is kept, and its verification with it.
    let kept = "SELECT concat_ws(' ', (SELECT count(*) FROM tds_verify_findings), (SELECT count(*) FROM tds_verify_counts),
                  (SELECT count(*) FROM tds_verifications))";
    store.prune(Duration::ZERO, true).await.expect("pruned");
    assert_eq!(text(&database, kept).await, "5 1 1");
    let third = verify(&store, PRODUCTS, None, false).await;
    commit(&store, third, 1, &[], true).await;
    store.prune(Duration::ZERO, true).await.expect("pruned");
    assert_eq!(text(&database, kept).await, "0 0 1", "the run of bills still belongs to the verification");
    let fourth = verify(&store, BILLS, Some(third.0), false).await;
    commit(&store, fourth, 1, &[], true).await;
    store.prune(Duration::ZERO, true).await.expect("pruned");
    assert_eq!(text(&database, kept).await, "0 0 0");
    assert_eq!(store.unfinished().await.expect("asked"), [third.0]);
}

#[tokio::test]
async fn records_with_waiting_work_and_dead_letters_are_in_work() {
    let (_database, store) = store().await;
    store.enqueue(["1", "2", "3"].map(|id| item(id, work(1, "1"))).into()).await.expect("queued");
    for claimed in claim(&store, 9).await {
        let settle = match claimed.key.id.as_str() {
            "1" => Settle::Complete(tds_core::queue::Outcome::Applied),
            "2" => Settle::DeadLetter { error: "no".into() },
            _ => continue,
        };
        let lease = Lease { id: claimed.id, token: claimed.token };
        store
            .settle(vec![Settlement { lease, generation: claimed.generation, settle }])
            .await
            .expect("settled");
    }
    let mut found: Vec<_> =
        store.in_work(&PRODUCTS, &ids(["1", "2", "3", "4"])).await.expect("asked").into_iter().collect();
    found.sort();
    assert_eq!(found, ids(["2", "3"]));
    assert!(store.in_work(&BILLS, &ids(["2", "3"])).await.expect("asked").is_empty());
}
