//! Writes whose answers get lost before or after they took effect: repeated, they create nothing twice.

use std::time::Duration;

use serde_json::json;
use tds_core::outbound::{LocalRecord, WriteError};
use tds_zoho::testkit::{Fault, Module, TokenRules, sample};

use crate::{
    local::{Ids, local},
    support::Caller,
    writer::{client, repeated, writer},
};

const SHORT: Duration = Duration::from_millis(5);

/// The faults of a write, and whether the write took effect.
pub(crate) fn faults() -> Vec<(Fault, bool)> {
    vec![
        (Fault::answer_lost(), true),
        (Fault::answered_late(SHORT), true),
        (Fault::failed_after_commit(502), true),
        (Fault::AfterCommit(Box::new(Fault::EmptyBody)), true),
        (Fault::AfterCommit(Box::new(Fault::Html(200))), true),
        (Fault::AfterCommit(Box::new(Fault::CodeUnder200(9))), true),
        (Fault::TruncatedJson, true),
        (Fault::WrongEnvelope, true),
        (Fault::Unheard(SHORT), false),
        (Fault::BrokenOff, false),
        (Fault::Html(403), false),
        (Fault::Text(401, r#"{"message":"Unauthorized"}"#.to_owned(), None), false),
        (Fault::Status(500, 1000, "Internal error".to_owned()), false),
    ]
}

pub(crate) async fn shop() -> (Caller, Ids) {
    let caller = Caller::new().await;
    caller.fake.set_token_rules(TokenRules { mints_per_ten_minutes: usize::MAX, ..TokenRules::default() });
    let tax = caller.fake.put(Module::TAXES, sample::tax(5));
    let customer = caller.fake.put_contact(sample::contact(1, sample::ContactKind::Customer));
    let vendor = caller.fake.put_contact(sample::contact(1, sample::ContactKind::Vendor));
    let product = caller.fake.put_item(sample::item(1));
    let location = sample::PLACES[0].0.to_owned();
    let ids = Ids { tax, customer, vendor, product, location, ..Ids::default() };
    (caller, ids)
}

/// An invoice, which is an upsert, and an adjustment and a price list, which are not.
fn creates(n: u32, ids: &Ids) -> [(&'static str, Module, LocalRecord); 3] {
    [("invoices", Module::INVOICES), ("stock", Module::ADJUSTMENTS), ("prices", Module::PRICE_LISTS)]
        .map(|(entity, module)| (entity, module, local(entity, n, ids)))
}

#[tokio::test]
async fn a_create_with_an_unknown_outcome_is_repeated_without_a_double() {
    let (caller, ids) = shop().await;
    let mut struck = 0;
    for (n, (fault, took_effect)) in (1..).zip(faults()) {
        // A new client knows nothing of earlier outages, so that every call is made.
        let client = client(&caller.fake);
        for (entity, module, record) in creates(n, &ids) {
            let (writer, path) = (writer(&client, entity), format!("/{}", module.path));
            let (before, calls) = (caller.fake.count(module), caller.fake.calls_to(&path));
            caller.fake.faults().next_writes(&path, 1, fault.clone());
            let error = writer.create(&record).await.expect_err("a failed call");
            let WriteError::InDoubt(error) = error else { panic!("{entity} {fault:?}: {error:?}") };
            struck += 1;
            assert_eq!(caller.fake.faults().struck(), struck);
            assert_eq!(caller.fake.count(module) - before, usize::from(took_effect), "{entity} {fault:?}");
            // The client itself does not repeat it. A price list is searched for by its name even at first.
            let searches = u64::from(entity == "prices");
            assert_eq!(caller.fake.calls_to(&path) - calls, 1 + searches, "{entity} {fault:?}");
            // What is searched for may still be under way when the call fails.
            let settles = Duration::from_secs(if entity == "invoices" { 0 } else { 60 });
            assert_eq!(writer.settles_after(), settles, "{entity} {error:?}");
            let found = writer.find(std::slice::from_ref(&record)).await.expect("a search");
            assert_eq!(found.is_some(), took_effect, "{entity} {fault:?}");
            let again = repeated(&*writer, &record).await;
            let again = again.unwrap_or_else(|error| panic!("{entity} {fault:?}: {error}"));
            assert_eq!(caller.fake.count(module) - before, 1, "{entity} {fault:?}");
            assert!(found.is_none_or(|found| found == again), "{entity} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_search_changes_nothing_that_people_see_and_takes_one_call() {
    let (caller, ids) = shop().await;
    for (n, entity, module, key) in [
        (1, "invoices", Module::INVOICES, "notes"),
        (2, "customers", Module::CONTACTS, "notes"),
        (3, "products", Module::ITEMS, "description"),
    ] {
        let (record, writer) = (local(entity, n, &ids), caller.writer(entity));
        let id = writer.create(&record).await.expect("a record").id;
        let edits = json!({key: "edited by a person"});
        assert!(caller.fake.update(module, id.as_str(), edits), "{entity}");
        let shown = || {
            let mut stored = caller.fake.get(module, id.as_str()).expect("the record");
            stored.retain(|key, _| key != "last_modified_time" && key != "updated_time");
            stored
        };
        let (before, path) = (shown(), format!("/{}", module.path));
        let calls = caller.fake.calls_to(&path);
        let mut later = record.clone();
        later.fields.insert(key.to_owned(), json!("edited here"));
        assert_eq!(writer.find(&[record, later]).await.expect("a search"), Some(id.clone()), "{entity}");
        assert_eq!(caller.fake.calls_to(&path) - calls, 1, "{entity}");
        assert_eq!(shown(), before, "{entity}");
        let other = [local(entity, 9, &ids)];
        assert_eq!(writer.find(&other).await.expect("a search"), None, "{entity}");
    }
}

#[tokio::test]
async fn a_fault_of_writes_leaves_reads_alone() {
    let (caller, _) = shop().await;
    caller.fake.faults().next_writes("/items", 1, Fault::answer_lost());
    caller.ok("/books/v3/items", &[]).await;
    let body = json!({"name": "Cable", "rate": 1});
    assert_eq!(caller.books("POST", "/items", &body).await.1, serde_json::Value::Null);
    assert_eq!(caller.books("POST", "/items", &body).await.1["code"], 1001, "the first call took effect");
}

#[tokio::test]
async fn a_search_without_a_parameter_reads_every_page_and_believes_no_other_answer() {
    let (caller, ids) = shop().await;
    for n in 1..=205 {
        caller.fake.put(Module::ADJUSTMENTS, sample::adjustment(n, &sample::item(1), 1.into()));
    }
    let (record, writer) = (local("stock", 1, &ids), caller.writer("stock"));
    let first = writer.create(&record).await.expect("an adjustment");
    for fault in [
        Fault::WrongEnvelope,
        Fault::MissingPageContext,
        Fault::EmptyPageWithMore,
        Fault::CodeUnder200(9),
        Fault::Rewritten("inventory_adjustments".to_owned(), b"adjustments".to_vec()),
    ] {
        caller.fake.faults().next("/inventoryadjustments", 1, fault.clone());
        let error = writer.find(std::slice::from_ref(&record)).await.expect_err("no answer to the search");
        assert!(matches!(error, WriteError::Refused(_)), "{fault:?}: {error:?}");
    }
    assert_eq!(caller.fake.count(Module::ADJUSTMENTS), 206);
    let again = repeated(&*writer, &record).await.expect("the same adjustment");
    assert_eq!((first.id, caller.fake.count(Module::ADJUSTMENTS)), (again, 206));
}
