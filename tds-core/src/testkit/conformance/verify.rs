//! Cases of [`crate::verify::VerifyStore`] and [`crate::verify::VerifyOperator`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use time::OffsetDateTime;

use super::{
    harness::*,
    mirror::{PRODUCT_SCHEMA, applied, apply},
    run::{checkpoint, finish_one, reaches},
};
use crate::{
    mirror::{Child, FieldDifference, MirrorSchema},
    queue::{LeaseToken, NewItem, Settle, Waiter, Work, WorkerId},
    record::{Content, EntityType, Interval, Observed, Read, RecordBuilder, RecordId, Shape},
    runs::{Checkpoint, NewRun, PageCommit, RunId, RunStatus, RunType, VerifyPart},
    verify::{
        DriftClass, LocalRecord, Look, MoneyDifference, Suspect, VerificationReport, VerifyCounts,
        VerifyOperator, VerifyStore,
    },
};

const STOCK: EntityType = EntityType::from_static("stock");
const STOCK_SCHEMA: MirrorSchema = MirrorSchema {
    entity: STOCK,
    head: None,
    children: &[Child { table: "stock_levels", owner: "product_zoho_id", confirm_shrink: false }],
};

/// Returns the store of verifications. A case ends at its beginning if there is none.
fn store(harness: &dyn Harness) -> &dyn VerifyStore {
    harness.stores().verify.as_ref().expect("a store with verifications").store.as_ref()
}

fn operator(harness: &dyn Harness) -> &dyn VerifyOperator {
    harness.stores().verify.as_ref().expect("a store with verifications").operator.as_ref()
}

fn ids(ids: &[&str]) -> Vec<RecordId> {
    ids.iter().map(|id| RecordId::new(*id)).collect()
}

/// Creates and claims a run of a verification.
pub(super) async fn begun(
    harness: &dyn Harness,
    entity: EntityType,
    part: VerifyPart,
) -> (RunId, LeaseToken) {
    let runs = &harness.stores().runs;
    let run = NewRun { verify: Some(part), ..NewRun::new(entity, RunType::Verify, "zoho", "case") };
    let id = runs.create(run).await.expect("create").id;
    let lease = runs.claim_run(&WorkerId("case".into()), LONG, Some(&[id])).await.expect("claim_run");
    (id, lease.expect("a run to claim").token)
}

async fn verification(harness: &dyn Harness) -> (RunId, LeaseToken) {
    begun(harness, PRODUCTS, VerifyPart::default()).await
}

async fn page(
    harness: &dyn Harness,
    (id, token): (RunId, LeaseToken),
    pages: i64,
    listed: &[&str],
    last: bool,
) {
    let checkpoint = Checkpoint { window_to: None, ..checkpoint(pages) };
    let page = PageCommit { listed: ids(listed), items: Vec::new(), checkpoint, last };
    harness.stores().runs.commit_page(id, token, page).await.expect("commit_page");
}

async fn known(harness: &dyn Harness, names: &[&str]) {
    for id in names {
        applied(
            harness,
            &PRODUCT_SCHEMA,
            RecordBuilder::new(&PRODUCTS, id).version(at(1)).read(at(10), at(11)),
        )
        .await;
    }
    harness.advance(Duration::from_millis(20)).await;
}

/// Returns all local records, read in pages of this size.
async fn all(harness: &dyn Harness, run: RunId, schema: &MirrorSchema, limit: usize) -> Vec<LocalRecord> {
    let mut all: Vec<LocalRecord> = Vec::new();
    loop {
        let after = all.last().map(|record| record.id.clone());
        let read = store(harness).local_records(run, schema, after.as_ref(), limit);
        let page = read.await.expect("local_records");
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn differences(fields: &[&str]) -> Vec<FieldDifference> {
    let field = |name: &&str| FieldDifference {
        field: (*name).to_owned(),
        source: json!("theirs"),
        target: json!({"ours": 1}),
    };
    fields.iter().map(field).collect()
}

fn drift(class: DriftClass, fields: &[&str]) -> Look {
    Look::Drift { class, fields: differences(fields) }
}

fn again(fields: &[&str]) -> Look {
    Look::Again { fields: differences(fields) }
}

async fn look(harness: &dyn Harness, run: RunId, looks: &[(&str, Look)]) {
    let open = suspects(harness, run).await;
    let suspect = |id: &str| {
        let known = open.iter().find(|suspect| suspect.id.as_str() == id).cloned();
        known.unwrap_or_else(|| Suspect::new(RecordId::new(id)))
    };
    let looks: Vec<(Suspect, Look)> = looks.iter().map(|(id, look)| (suspect(id), look.clone())).collect();
    store(harness).looked(run, &PRODUCT_SCHEMA, &looks).await.expect("looked");
}

async fn suspects(harness: &dyn Harness, run: RunId) -> Vec<Suspect> {
    store(harness).suspects(run, 100).await.expect("suspects")
}

async fn report(harness: &dyn Harness, id: Option<RunId>, examples: usize) -> Option<VerificationReport> {
    operator(harness).report(id, examples).await.expect("report")
}

pub async fn every_live_record_is_on_one_page_in_the_order_of_ids(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    known(harness, &["3", "1", "10", "gone"]).await;
    let gone =
        Read { content: Content::Absent, ..RecordBuilder::new(&PRODUCTS, "gone").read(at(20), at(21)) };
    apply(harness, &PRODUCT_SCHEMA, gone).await.expect("applied");
    let run = verification(harness).await;
    for limit in [1, 2, 100] {
        let found = all(harness, run.0, &PRODUCT_SCHEMA, limit).await;
        let found: Vec<&str> = found.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(found, ["1", "10", "3"], "in pages of {limit}");
    }
}

pub async fn a_local_record_tells_what_the_source_sent_and_what_the_run_saw(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    known(harness, &["listed", "seen", "unlisted"]).await;
    let run = verification(harness).await;
    harness.advance(Duration::from_millis(20)).await;
    page(harness, run, 1, &["listed"], false).await;
    let began = harness.stores().runs.get_run(run.0).await.expect("get_run").and_then(|run| run.started_at);
    let later = began.expect("it was started") + time::Duration::milliseconds(5);
    let again = RecordBuilder::new(&PRODUCTS, "seen").version(at(1));
    let seen = Observed::Call(Interval { began: later, ended: later });
    applied(harness, &PRODUCT_SCHEMA, again.seen(Shape::Detail, seen)).await;
    let found = all(harness, run.0, &PRODUCT_SCHEMA, 100).await;
    let told: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.listed, it.seen_since)).collect();
    assert_eq!(told, [("listed", true, false), ("seen", false, true), ("unlisted", false, false)]);
    let raw = found[0].raw.as_ref().expect("the text is kept");
    let raw: serde_json::Value = raw.parse().expect("JSON");
    assert_eq!(raw["id"], "listed");
}

pub async fn a_record_without_a_head_row_is_live_as_long_as_it_has_child_rows(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let stock = |id: &str, rows: &[&str], began: i64| {
        let rows: Vec<_> = rows.iter().map(|location| json!({"location_zoho_id": location})).collect();
        RecordBuilder::new(&STOCK, id).children("stock_levels", rows).read(at(began), at(began))
    };
    applied(harness, &STOCK_SCHEMA, stock("2", &["", "l"], 10)).await;
    applied(harness, &STOCK_SCHEMA, stock("1", &[""], 10)).await;
    applied(harness, &STOCK_SCHEMA, stock("none", &[], 10)).await;
    applied(harness, &STOCK_SCHEMA, stock("emptied", &[""], 10)).await;
    applied(harness, &STOCK_SCHEMA, stock("emptied", &[], 20)).await;
    let run = begun(harness, STOCK, VerifyPart::default()).await;
    for limit in [1, 100] {
        let found = all(harness, run.0, &STOCK_SCHEMA, limit).await;
        let found: Vec<&str> = found.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(found, ["1", "2"], "in pages of {limit}");
    }
}

pub async fn work_that_has_not_ended_and_dead_letters_are_in_work(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let case = Case(harness);
    for id in ["done", "dead", "held"] {
        case.enqueue(vec![new_item(id, Work::fetch())]).await;
        let item = case.claim().await;
        match id {
            "done" => drop(case.settle(&item, Settle::Complete(crate::queue::Outcome::Applied)).await),
            "dead" => drop(case.settle(&item, Settle::DeadLetter { error: "no".to_owned() }).await),
            _ => {}
        }
    }
    case.enqueue(vec![new_item("waits", Work::fetch())]).await;
    let asked = ids(&["dead", "done", "held", "never", "waits"]);
    let verify = store(harness);
    let mut found: Vec<RecordId> =
        verify.in_work(&PRODUCTS, &asked).await.expect("in_work").into_iter().collect();
    found.sort();
    assert_eq!(found, ids(&["dead", "held", "waits"]));
    assert!(verify.in_work(&CUSTOMERS, &asked).await.expect("in_work").is_empty());
}

pub async fn a_record_is_a_suspect_of_a_run_once_and_stays_decided(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let (run, other) =
        (verification(harness).await.0, begun(harness, CUSTOMERS, VerifyPart::default()).await.0);
    let verify = store(harness);
    for _ in 0..2 {
        verify.suspect(run, &ids(&["1", "2", "2"])).await.expect("suspect");
    }
    let suspect = |id: &str| Suspect::new(RecordId::new(id));
    assert_eq!(suspects(harness, run).await, [suspect("1"), suspect("2")]);
    assert!(suspects(harness, other).await.is_empty());
    look(harness, run, &[("1", Look::Clean)]).await;
    let looked = Suspect { looks: 1, ..suspect("1") };
    for earlier in [suspect("1"), looked] {
        let late = [(earlier, drift(DriftClass::Stale, &["rate"]))];
        verify.looked(run, &PRODUCT_SCHEMA, &late).await.expect("looked");
    }
    verify.suspect(run, &ids(&["1"])).await.expect("suspect");
    assert_eq!(suspects(harness, run).await, [suspect("2")]);
    assert!(verify.differing(run).await.expect("differing").is_empty(), "the first decision stays");
}

pub async fn suspects_with_the_fewest_looks_come_first(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let run = verification(harness).await.0;
    let verify = store(harness);
    verify.suspect(run, &ids(&["3", "1", "2", "4"])).await.expect("suspect");
    look(harness, run, &[("1", again(&[])), ("3", again(&[]))]).await;
    look(harness, run, &[("3", again(&[])), ("4", Look::InFlight)]).await;
    let next: Vec<(String, u16)> =
        suspects(harness, run).await.into_iter().map(|it| (it.id.to_string(), it.looks)).collect();
    assert_eq!(next, [("2".to_owned(), 0), ("1".to_owned(), 1), ("3".to_owned(), 2)]);
    assert_eq!(verify.suspects(run, 2).await.expect("suspects").len(), 2);
}

pub async fn a_look_that_is_stored_twice_counts_once(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let run = verification(harness).await.0;
    let verify = store(harness);
    verify.suspect(run, &ids(&["1", "2"])).await.expect("suspect");
    let suspect = |id: &str| Suspect::new(RecordId::new(id));
    let first = [(suspect("1"), again(&["rate"])), (suspect("2"), again(&[]))];
    for _ in 0..3 {
        verify.looked(run, &PRODUCT_SCHEMA, &first).await.expect("looked");
    }
    let seen = Suspect { looks: 1, fields: differences(&["rate"]), ..suspect("1") };
    let other = Suspect { looks: 1, ..suspect("2") };
    assert_eq!(suspects(harness, run).await, [seen.clone(), other.clone()]);
    verify.looked(run, &PRODUCT_SCHEMA, &[(seen, again(&["name"]))]).await.expect("looked");
    let seen = Suspect { looks: 2, fields: differences(&["name"]), ..suspect("1") };
    assert_eq!(suspects(harness, run).await, [other, seen], "the last look counts");
}

pub async fn records_that_cannot_be_read_are_in_flight_and_say_why(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let (run, other) =
        (verification(harness).await.0, begun(harness, CUSTOMERS, VerifyPart::default()).await.0);
    let verify = store(harness);
    verify.suspect(run, &ids(&["1", "2", "3", "4"])).await.expect("suspect");
    let unreadable = |error: &str| Look::Unreadable { error: error.to_owned() };
    let looks = [
        ("3", unreadable("no name")),
        ("1", Look::InFlight),
        ("2", unreadable("HTTP 500")),
        ("4", drift(DriftClass::Stale, &["rate"])),
    ];
    look(harness, run, &looks).await;
    let named = |id: &str, error: &str| (RecordId::new(id), error.to_owned());
    let found = verify.unreadable(run, 5).await.expect("unreadable");
    assert_eq!(found, (2, vec![named("2", "HTTP 500"), named("3", "no name")]));
    let found = verify.unreadable(run, 1).await.expect("unreadable");
    assert_eq!(found, (2, vec![named("2", "HTTP 500")]));
    assert_eq!(verify.unreadable(other, 5).await.expect("unreadable"), (0, Vec::new()));
    let whole = report(harness, Some(run), 5).await.expect("a report");
    assert_eq!((whole.entities[0].in_flight, whole.drift_total()), (3, 1));
}

pub async fn the_sample_of_a_run_is_the_same_each_time_and_has_listed_records_only(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let run = verification(harness).await;
    let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    page(harness, run, 1, &names.iter().map(String::as_str).collect::<Vec<_>>(), false).await;
    let sample = async |size| store(harness).sample(run.0, size).await.expect("sample");
    let ten = sample(10).await;
    assert_eq!((ten.len(), &ten), (10, &sample(10).await));
    let mut every = sample(usize::MAX).await;
    assert_eq!(every[..10], ten[..], "a larger sample begins with the smaller one");
    every.sort();
    every.dedup();
    assert_eq!(every.len(), 40);
    assert_ne!(every[..10], ten[..], "it is random");
}

pub async fn a_report_says_what_was_compared_and_found(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    assert_eq!(report(harness, None, 10).await, None);
    let first = verification(harness).await;
    let part = VerifyPart { verification: Some(first.0), repair: true };
    let second = begun(harness, CUSTOMERS, part).await;
    let verify = store(harness);
    let counts = |compared| VerifyCounts { source_records: 4, target_records: 5, compared, sampled: 2 };
    verify.count(first.0, counts(3)).await.expect("count");
    verify.count(first.0, counts(4)).await.expect("count");
    verify.suspect(first.0, &ids(&["1", "2", "3", "4", "5"])).await.expect("suspect");
    let lines = ["rate", "invoice_lines[7].rate", "invoice_lines[8].rate"];
    let looks = [
        ("1", drift(DriftClass::FieldDiff, &lines)),
        ("2", drift(DriftClass::MissingLocal, &[])),
        ("3", drift(DriftClass::FieldDiff, &["rate"])),
        ("4", Look::Clean),
        ("5", Look::InFlight),
    ];
    look(harness, first.0, &looks).await;
    let differing = async || -> Vec<RecordId> {
        let found = verify.differing(first.0).await.expect("differing");
        found.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(differing().await, ids(&["1", "2", "3"]));
    operator(harness).repaired(first.0, &ids(&["1", "4", "9"])).await.expect("repaired");
    assert_eq!(differing().await, ids(&["2", "3"]));
    let whole = report(harness, None, 10).await.expect("the newest");
    assert_eq!((whole.id, whole.status, whole.drift_total()), (first.0, RunStatus::Running, 2));
    let runs: Vec<_> = whole.entities.iter().map(|it| (it.run, it.entity.clone())).collect();
    assert_eq!(runs, [(first.0, PRODUCTS), (second.0, CUSTOMERS)]);
    let products = &whole.entities[0];
    assert_eq!((products.counts, products.in_flight, products.repaired), (counts(4), 1, 1));
    let classes =
        |field_diff| BTreeMap::from([(DriftClass::FieldDiff, field_diff), (DriftClass::MissingLocal, 1)]);
    assert_eq!((&products.found, &products.drift), (&classes(2), &classes(1)));
    let fields = BTreeMap::from([("rate".to_owned(), 2), ("invoice_lines.rate".to_owned(), 1)]);
    assert_eq!(products.by_field, fields, "records count once for each field");
    let examples: Vec<&str> = products.examples.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(examples, ["2", "3", "1"], "those that are repaired come last");
    let names: Vec<&str> = products.examples[2].fields.iter().map(|it| it.field.as_str()).collect();
    assert_eq!((names, &products.examples[2].fields[0].target), (lines.to_vec(), &json!({"ours": 1})));
    assert!(products.examples[2].repaired_at.is_some_and(|at| at >= products.examples[2].looked_at));
    let few = report(harness, Some(first.0), 1).await.expect("a report");
    assert_eq!((few.entities[0].examples.len(), few.entities[0].in_flight), (1, 1));
    assert_eq!(report(harness, Some(RunId(first.0.0 + 1_000_000)), 1).await, None);
}

pub async fn a_verification_is_unfinished_until_it_was_completed(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let operator = operator(harness);
    let first = verification(harness).await;
    let part = VerifyPart { verification: Some(first.0), repair: false };
    let second = begun(harness, CUSTOMERS, part).await;
    page(harness, first, 1, &[], true).await;
    reaches(harness, first.0, RunStatus::Completed).await;
    assert!(operator.unfinished().await.expect("unfinished").is_empty(), "one run is active");
    harness.stores().runs.cancel(second.0).await.expect("cancel");
    assert_eq!(operator.unfinished().await.expect("unfinished"), [first.0]);
    let money = |difference: &str| MoneyDifference {
        check: "receivables".to_owned(),
        currency: Some("IQD".to_owned()),
        of: None,
        source: Some("2.00".to_owned()),
        target: None,
        difference: difference.to_owned(),
        holds: false,
        in_flight: 1,
        examples: vec!["customers 1".to_owned()],
    };
    operator.finish(first.0, &[money("2.00")]).await.expect("finish");
    operator.finish(first.0, &[money("3.00")]).await.expect("finish");
    assert!(operator.unfinished().await.expect("unfinished").is_empty());
    let complete = report(harness, None, 1).await.expect("a report");
    assert_eq!((complete.money, complete.status), (vec![money("2.00")], RunStatus::Cancelled));
    assert!(complete.completed_at.is_some());
}

pub async fn the_history_and_the_current_reports_are_of_ended_runs(harness: &dyn Harness) {
    if harness.stores().verify.is_none() {
        return;
    }
    let operator = operator(harness);
    let ended = async |looks: &[(&str, Look)]| {
        let run = verification(harness).await;
        store(harness).suspect(run.0, &ids(&["1"])).await.expect("suspect");
        look(harness, run.0, looks).await;
        page(harness, run, 1, &["1"], true).await;
        reaches(harness, run.0, RunStatus::Completed).await;
        harness.advance(Duration::from_millis(20)).await;
        run.0
    };
    let first = ended(&[("1", drift(DriftClass::Stale, &["rate"]))]).await;
    let second = ended(&[("1", Look::Clean)]).await;
    operator.repaired(first, &ids(&["1"])).await.expect("repaired");
    let active = verification(harness).await.0;
    let history = operator.history(OffsetDateTime::UNIX_EPOCH).await.expect("history");
    let seen: Vec<_> =
        history.iter().map(|it| (it.report.run, it.slowest_repair_seconds.is_some())).collect();
    assert_eq!(seen, [(first, true), (second, false)], "oldest first; run {active} is active");
    assert!(history[0].report.examples.is_empty() && history[0].report.repaired == 1);
    let since = history[1].report.completed_at.expect("it ended");
    let newest = operator.history(since).await.expect("history");
    assert_eq!(newest.iter().map(|it| it.report.run).collect::<Vec<_>>(), [second]);
    let current = operator.current().await.expect("current");
    assert_eq!(current.iter().map(|it| it.run).collect::<Vec<_>>(), [second]);
}

pub async fn the_item_of_a_later_page_is_waited_for_although_its_record_was_listed_before(
    harness: &dyn Harness,
) {
    if harness.stores().verify.is_none() {
        return;
    }
    let part = VerifyPart { verification: None, repair: true };
    let (id, token) = begun(harness, PRODUCTS, part).await;
    page(harness, (id, token), 1, &["1", "2"], false).await;
    let item = NewItem {
        key: product("1"),
        lane: RunType::Verify.lane(),
        work: Work { recheck: true, ..Work::fetch() },
        waiter: Waiter::Run(id),
    };
    let repair = PageCommit { listed: ids(&["1"]), items: vec![item], checkpoint: checkpoint(2), last: true };
    harness.stores().runs.commit_page(id, token, repair).await.expect("commit_page");
    let waiting = harness.stores().runs.get_run(id).await.expect("get_run").expect("the run exists");
    assert_eq!((waiting.status, waiting.total_items), (RunStatus::Running, 2));
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!((ended.processed_items, ended.failed_items), (2, 0));
    let history = harness.stores().runs.history(&PRODUCTS).await.expect("history");
    assert_eq!(history.cursor, None, "a comparison moves no cursor");
}
