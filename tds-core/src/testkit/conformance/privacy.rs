//! Cases of [`Eraser`], for stores that erase records.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

mod late;

use std::sync::Arc;

use serde_json::{Value, json};

pub use self::late::*;
use super::{
    harness::*,
    mirror::{INVOICE_SCHEMA, applied},
};
use crate::{
    error::ErrorKind,
    inbox::NewEvent,
    mirror::{Applied, MirrorSchema},
    outbound::{ConflictStatus, FieldConflict, Mode, ModeChange, Settled, Settlement},
    privacy::{Eraser, Erasure, Redaction},
    queue::{ItemFilter, Outcome, Settle},
    record::{Content, Fields, Read, RecordBuilder, RecordId, Shape},
    testkit::ColumnRedaction,
};

const CUSTOMER_SCHEMA: MirrorSchema =
    MirrorSchema { entity: CUSTOMERS, head: Some("customers"), children: &[] };
const VENDOR_SCHEMA: MirrorSchema = MirrorSchema { entity: VENDORS, head: Some("vendors"), children: &[] };
/// The column that says who the customer of an invoice is.
const NAME: &str = "customer_name";

/// Returns what removes the names of customers from invoices. A store with an [`Eraser`] is created with it.
#[must_use]
pub fn persons() -> Arc<dyn Redaction> {
    Arc::new(ColumnRedaction::default().head(INVOICES, "invoices", NAME))
}

fn customer(id: &str, version: i64) -> Read {
    let customer = RecordBuilder::new(&CUSTOMERS, id).version(at(version)).fields(json!({"name": "Ali"}));
    customer.read(at(version * 10), at(version * 10 + 1))
}

/// Returns a read of invoice 1 of the customer 46000.
fn invoice(version: i64, number: &str) -> Read {
    let columns = json!({"number": number, "customer_zoho_id": "46000", "customer_name": "Ali"});
    let invoice = RecordBuilder::new(&INVOICES, "1").version(at(version)).fields(columns);
    invoice.read(at(version * 10), at(version * 10 + 1))
}

/// Stores customer 46000 and its invoice.
async fn shop(harness: &dyn Harness) -> Option<Arc<dyn Eraser>> {
    let eraser = harness.stores().eraser.clone()?;
    applied(harness, &CUSTOMER_SCHEMA, customer("46000", 1)).await;
    applied(harness, &INVOICE_SCHEMA, invoice(1, "INV-1")).await;
    Some(eraser)
}

async fn erase(eraser: &Arc<dyn Eraser>) -> Erasure {
    let erased = eraser.erase(&[&CUSTOMER_SCHEMA], &RecordId::new("46000"), "an operator").await;
    erased.expect("erased").expect("the record is known")
}

pub async fn an_erased_record_keeps_no_value_and_its_reads_are_ignored_until_it_may_return(
    harness: &dyn Harness,
) {
    let Some(eraser) = shop(harness).await else { return };
    let id = RecordId::new("46000");
    let unknown = eraser.erase(&[&CUSTOMER_SCHEMA], &RecordId::new("4600"), "an operator").await;
    assert_eq!(unknown.expect("looked up"), None);
    assert_eq!(eraser.erasure(&CUSTOMERS, &id).await.expect("looked up"), None);
    assert!(!eraser.allow_return(&[CUSTOMERS], &id, "an operator").await.expect("nothing to undo"));
    let erasure = erase(&eraser).await;
    assert_eq!((erasure.counts.rows, erasure.counts.documents), (1, 1));
    assert_eq!(eraser.erasure(&CUSTOMERS, &id).await.expect("looked up"), Some(erasure.clone()));
    let name = async || harness.column("customers", "46000", "name").await;
    let deleted = async || harness.column("customers", "46000", "deleted_at").await.is_some();
    assert_eq!((name().await, deleted().await), (None, true));
    assert_eq!(
        applied(harness, &CUSTOMER_SCHEMA, customer("46000", 2)).await,
        Applied::Done(Outcome::Ignored)
    );
    assert_eq!((name().await, deleted().await), (None, true));
    let again =
        eraser.erase(&[&CUSTOMER_SCHEMA], &id, "another").await.expect("erased").expect("it is known");
    assert_eq!((again.erased_by.as_str(), again.counts.rows), ("another", 1), "a record can be erased again");
    let noted = eraser.erasure(&CUSTOMERS, &id).await.expect("looked up").expect("it is erased");
    assert_eq!(
        (noted.erased_at, &noted.erased_by),
        (erasure.erased_at, &erasure.erased_by),
        "the first time"
    );
    assert_eq!(noted.counts, erasure.counts + again.counts);
    applied(harness, &CUSTOMER_SCHEMA, customer("460001", 1)).await;
    assert_eq!(harness.column("customers", "460001", "name").await.as_deref(), Some("Ali"), "another record");

    assert!(eraser.allow_return(&[CUSTOMERS], &id, "an operator").await.expect("undone"));
    assert_eq!(eraser.erasure(&CUSTOMERS, &id).await.expect("looked up"), None);
    assert_eq!(
        applied(harness, &CUSTOMER_SCHEMA, customer("46000", 1)).await,
        Applied::Done(Outcome::Applied)
    );
    assert_eq!((name().await.as_deref(), deleted().await), (Some("Ali"), false));
}

/// A contact can become one of the other entity type.
pub async fn an_erased_record_does_not_return_under_another_entity_type_that_shows_it(harness: &dyn Harness) {
    let Some(eraser) = shop(harness).await else { return };
    let id = RecordId::new("46000");
    let both = [&CUSTOMER_SCHEMA, &VENDOR_SCHEMA];
    let erased = eraser.erase(&both, &id, "an operator").await.expect("erased").expect("it is known");
    assert_eq!((erased.key.entity.clone(), erased.counts.rows, erased.counts.documents), (CUSTOMERS, 1, 1));
    let as_vendor = eraser.erasure(&VENDORS, &id).await.expect("looked up").expect("it is erased there, too");
    assert_eq!((as_vendor.erased_by.as_str(), as_vendor.counts), ("an operator", erased.counts));
    let vendor = |version: i64| {
        let vendor =
            RecordBuilder::new(&VENDORS, "46000").version(at(version)).fields(json!({"name": "Ali"}));
        vendor.read(at(version * 10), at(version * 10 + 1))
    };
    let ignored = Applied::Done(Outcome::Ignored);
    assert_eq!(applied(harness, &VENDOR_SCHEMA, vendor(2)).await, ignored);
    assert_eq!(applied(harness, &CUSTOMER_SCHEMA, customer("46000", 2)).await, ignored);
    assert_eq!(harness.column("vendors", "46000", "name").await, None);

    // What was erased under one of them only, by an older program, is undone as well.
    assert!(eraser.allow_return(&[VENDORS], &id, "an operator").await.expect("undone"));
    assert!(eraser.allow_return(&[VENDORS, CUSTOMERS], &id, "an operator").await.expect("undone"));
    assert!(!eraser.allow_return(&[CUSTOMERS, VENDORS], &id, "an operator").await.expect("nothing to undo"));
    assert_eq!(applied(harness, &VENDOR_SCHEMA, vendor(2)).await, Applied::Done(Outcome::Applied));
    assert_eq!(harness.column("vendors", "46000", "name").await.as_deref(), Some("Ali"));
}

pub async fn a_document_of_an_erased_person_says_no_more_who_the_person_is(harness: &dyn Harness) {
    let Some(eraser) = shop(harness).await else { return };
    let shown = async || {
        (harness.column("invoices", "1", "number").await, harness.column("invoices", "1", NAME).await)
    };
    let number = |text: &str| (Some(text.to_owned()), None);
    erase(&eraser).await;
    assert_eq!(shown().await, number("INV-1"));
    let mirror = &harness.stores().mirror;
    assert!(mirror.compare(&INVOICE_SCHEMA, &[invoice(1, "INV-1")]).await.expect("compared").is_empty());
    assert_eq!(applied(harness, &INVOICE_SCHEMA, invoice(2, "INV-2")).await, Applied::Done(Outcome::Applied));
    assert_eq!(shown().await, number("INV-2"));
    let kept = mirror.kept(invoice(3, "INV-3")).await.expect("screened");
    let Content::Present(record) = &kept.content else { panic!("a record") };
    assert_eq!((&record.fields["number"], &record.fields[NAME]), (&json!("INV-3"), &Value::Null));
    eraser.allow_return(&[CUSTOMERS], &RecordId::new("46000"), "an operator").await.expect("undone");
    applied(harness, &INVOICE_SCHEMA, invoice(3, "INV-3")).await;
    assert_eq!(harness.column("invoices", "1", NAME).await.as_deref(), Some("Ali"));
    // The name returns although the source has no newer version, with a row of a list at the latest.
    erase(&eraser).await;
    assert_eq!(shown().await, number("INV-3"));
    eraser.allow_return(&[CUSTOMERS], &RecordId::new("46000"), "an operator").await.expect("undone");
    let Content::Present(record) = invoice(3, "INV-3").content else { panic!("a record") };
    applied(harness, &INVOICE_SCHEMA, Read::of(*record, Shape::List, call(40))).await;
    assert_eq!(harness.column("invoices", "1", NAME).await.as_deref(), Some("Ali"));
}

/// The entity type of the person may not be synced, or the source deleted the person before the first sync.
pub async fn a_person_whose_record_is_not_stored_is_erased_from_what_names_it(harness: &dyn Harness) {
    let Some(eraser) = harness.stores().eraser.clone() else { return };
    applied(harness, &INVOICE_SCHEMA, invoice(1, "INV-1")).await;
    let erase = async |id: &str| {
        let erased = eraser.erase(&[&CUSTOMER_SCHEMA], &RecordId::new(id), "a test").await;
        erased.expect("an answer").map(|erasure| erasure.counts.documents)
    };
    assert_eq!(erase("46001").await, None, "nothing names it");
    assert_eq!(erase("46000").await, Some(1));
    assert_eq!(harness.column("invoices", "1", NAME).await, None);
    applied(harness, &INVOICE_SCHEMA, invoice(2, "INV-2")).await;
    assert_eq!(harness.column("invoices", "1", NAME).await, None, "nor does a later read bring it");
    assert_eq!(harness.column("invoices", "1", "number").await.as_deref(), Some("INV-2"));
}

pub async fn what_names_an_erased_record_is_emptied_and_a_longer_id_is_another_record(harness: &dyn Harness) {
    let Some(eraser) = shop(harness).await else { return };
    let case = Case(harness);
    let body = |event_id: &str, text: &str| NewEvent {
        raw_payload: text.as_bytes().to_vec(),
        ..event(event_id, vec![(key(CUSTOMERS, event_id), pushed(1, text))])
    };
    let named = case.accept(body("11", r#"{"customer_id":"46000","name":"Ali"}"#)).await;
    let longer = case.accept(body("12", r#"{"customer_id":"460001","n":146000}"#)).await;
    while let Some(item) = case.claim_now(1).await.pop() {
        case.settle(&item, Settle::DeadLetter { error: "found Ali".to_owned() }).await;
    }
    let erasure = erase(&eraser).await;
    assert_eq!((erasure.counts.events, erasure.counts.items), (1, 1));
    let (named, longer) = (case.event(named).await, case.event(longer).await);
    assert!(named.raw_payload.is_none_or(|body| body.is_empty()) && named.blanked_at.is_some());
    assert_eq!(named.error_message, None);
    assert!(longer.raw_payload.is_some_and(|body| !body.is_empty()) && longer.error_message.is_some());
    let operator = &harness.stores().queue_operator;
    for item in operator.list(&ItemFilter::default(), 10, None).await.expect("listed").items {
        let is_named = item.record.as_str() == "11";
        let item = operator.get(item.id).await.expect("looked up").expect("an item");
        assert_eq!((item.payload.is_none(), item.error_message.is_none()), (is_named, is_named));
        let attempts = item.attempts.unwrap_or_default();
        assert!(attempts.iter().all(|attempt| attempt.error.is_none() == is_named));
    }
}

pub async fn a_conflict_of_a_document_stays_without_the_person_and_a_push_on_its_way_is_refused(
    harness: &dyn Harness,
) {
    let Some(outbound) = harness.stores().outbound.clone() else { return };
    let Some(eraser) = shop(harness).await else { return };
    let mode = ModeChange {
        entity: INVOICES,
        mode: Some(Mode::Bidirectional),
        policy: None,
        fields: None,
        epoch: None,
    };
    outbound.modes.set_mode(&mode).await.expect("set");
    let local_id = harness.local_id(&INVOICE_SCHEMA, "1").await.expect("a local id");
    let ours = Fields::from_iter([("number".to_owned(), json!("ours"))]);
    harness.write_local(&INVOICE_SCHEMA, Some(local_id), ours.clone(), None).await;
    let load = async || outbound.outbox.load(&INVOICE_SCHEMA, local_id).await.expect("loaded");
    let conflict = |field: &str| FieldConflict {
        field: field.to_owned(),
        base: json!("INV-1"),
        target: json!("ours"),
        source: json!("theirs"),
        winner: None,
    };
    let parked = Settlement {
        conflicts: vec![conflict("number"), conflict(NAME)],
        note: Some("Ali is not active".to_owned()),
        ..Settlement::new(Settled::Parked)
    };
    let push = load().await.expect("something is pending");
    outbound.outbox.settle(&push, &parked).await.expect("parked");
    let notes = Fields::from_iter([("notes".to_owned(), json!("ours"))]);
    harness.write_local(&INVOICE_SCHEMA, Some(local_id), notes, None).await;
    let before = load().await.expect("a newer change is pending");

    erase(&eraser).await;
    let open = outbound.operator.conflicts(Some(ConflictStatus::Open), None, None, 10).await;
    let open = open.expect("listed").items.pop().expect("it stays open");
    let values = |at: usize| (&open.fields[at].field, &open.fields[at].target, &open.fields[at].source);
    assert_eq!(values(0), (&"number".to_owned(), &json!("ours"), &json!("theirs")));
    assert_eq!(values(1), (&NAME.to_owned(), &Value::Null, &Value::Null));
    let late = outbound.outbox.settle(&before, &Settlement::new(Settled::Unchanged)).await;
    assert_eq!(late.expect_err("refused").kind(), ErrorKind::Conflict);
    let again = load().await.expect("it is still pending");
    assert_eq!(again.changes.len(), 2);
    outbound.outbox.settle(&again, &Settlement::new(Settled::Unchanged)).await.expect("settled");
}
