//! What arrives, or was on its way, while an erasure is in force, and does not say by itself whom it is about.

use serde_json::{Value, json};

use super::{CUSTOMER_SCHEMA, INVOICE_SCHEMA, NAME, erase, shop};
use crate::{
    inbox::{Disposition, NewEvent},
    mirror::FieldDifference,
    queue::{Outcome, Settle},
    record::{Cause, Content, Origin, Read, RecordBuilder, RecordId},
    runs::VerifyPart,
    testkit::conformance::{harness::*, mirror::applied, verify::begun},
    verify::{DriftClass, Look, Suspect},
};

pub async fn bodies_that_name_an_erased_person_are_blanked_although_no_read_names_the_person(
    harness: &dyn Harness,
) {
    let Some(eraser) = shop(harness).await else { return };
    erase(&eraser).await;
    let case = Case(harness);
    let body = |id: &str, text: &str| NewEvent {
        raw_payload: text.as_bytes().to_vec(),
        ..event(id, vec![(key(INVOICES, id), pushed(1, "{}"))])
    };
    // The source no longer has these invoices. The row of the first one names the person, and the body of the second one.
    let mut gone = Vec::new();
    for (id, text) in
        [("1", "Ali"), ("2", r#"{"customer_id":"46000"}"#), ("3", r#"{"customer_id":"460001"}"#)]
    {
        gone.push(case.accept(body(id, text)).await);
    }
    for item in case.claim_now(10).await {
        let invoice = RecordBuilder::new(&INVOICES, item.key.id.as_str()).read(at(20), at(21));
        let cause = Cause { item: item.id, event: None, origin: Origin::Detail, by_run: false };
        let read = Read { content: Content::Absent, cause: Some(cause), ..invoice };
        applied(harness, &INVOICE_SCHEMA, read).await;
    }
    // The read of another record, which names nobody, brought the first one of these, and work without a read the second one.
    let mut other = Vec::new();
    for (id, text) in [("7", r#"{"line":{"customer_id":"46000"}}"#), ("8", r#"{"customer_id":46000}"#)] {
        other.push(case.accept(body(id, text)).await);
    }
    for item in case.claim_now(10).await {
        let id = item.key.id.as_str();
        if id == "8" {
            case.settle(&item, Settle::Complete(Outcome::Ignored)).await;
            continue;
        }
        let cause = Some(Cause { item: item.id, event: None, origin: Origin::Detail, by_run: false });
        let read = RecordBuilder::new(&INVOICES, id).version(at(1)).read(at(20), at(21));
        applied(harness, &INVOICE_SCHEMA, Read { cause, ..read }).await;
    }
    // No work follows from these.
    let unparsed = Disposition::Unparsed("found Ali".to_owned());
    let ignored = Disposition::Ignored("of another type".to_owned());
    let mut idle = Vec::new();
    for (id, text, disposition) in [
        ("4", "46000 Ali", unparsed.clone()),
        ("5", r#"{"customer_id":"46000"}"#, ignored),
        ("6", r#"{"customer_id":"460001"}"#, unparsed),
    ] {
        idle.push(case.accept(NewEvent { disposition, ..body(id, text) }).await);
    }
    let is_blank = async |id| {
        let event = case.event(id).await;
        event.raw_payload.is_none_or(|body| body.is_empty()) && event.blanked_at.is_some()
    };
    for (id, expected) in gone.iter().zip([true, true, false]) {
        assert_eq!(is_blank(*id).await, expected);
    }
    for id in other {
        assert!(is_blank(id).await);
    }
    for (id, expected) in idle.iter().zip([true, true, false]) {
        assert_eq!(is_blank(*id).await, expected);
    }
    assert_eq!(case.event(idle[0]).await.error_message, None);
    assert!(!is_blank(gone[2]).await, "a longer id is another record");
    assert_eq!(harness.stores().queue_maintenance.blank(LONG).await.expect("blank"), 0);
}

pub async fn what_a_look_saw_before_an_erasure_is_stored_after_it_without_the_person(harness: &dyn Harness) {
    let Some(verify) = harness.stores().verify.clone() else { return };
    let Some(eraser) = shop(harness).await else { return };
    let (invoices, _) = begun(harness, INVOICES, VerifyPart::default()).await;
    let part = VerifyPart { verification: Some(invoices), repair: false };
    let (customers, _) = begun(harness, CUSTOMERS, part).await;
    let difference = || FieldDifference { field: NAME.to_owned(), source: json!("Ali"), target: Value::Null };
    let drift = || Look::Drift { class: DriftClass::FieldDiff, fields: vec![difference()] };
    let look = |id: &str, look: Look| (Suspect::new(RecordId::new(id)), look);
    let unreadable = Look::Unreadable { error: "found Ali".to_owned() };
    let looks = [look("1", drift()), look("2", drift())];
    let looks_at_persons = [look("46000", unreadable), look("460001", drift())];
    for (run, looks) in [(invoices, &looks), (customers, &looks_at_persons)] {
        let ids: Vec<RecordId> = looks.iter().map(|(suspect, _)| suspect.id.clone()).collect();
        verify.store.suspect(run, &ids).await.expect("suspect");
    }
    erase(&eraser).await;
    verify.store.looked(invoices, &INVOICE_SCHEMA, &looks).await.expect("looked");
    verify.store.looked(customers, &CUSTOMER_SCHEMA, &looks_at_persons).await.expect("looked");
    let report = verify.operator.report(Some(invoices), 10).await.expect("report").expect("a report");
    let values = |entity: usize| -> Vec<usize> {
        report.entities[entity].examples.iter().map(|finding| finding.fields.len()).collect()
    };
    assert_eq!(
        (values(0), values(1)),
        (vec![0, 1], vec![1]),
        "another invoice and another customer are whole"
    );
    let (_, errors) = verify.store.unreadable(customers, 5).await.expect("unreadable");
    assert!(errors.len() == 1 && !errors[0].1.contains("Ali"), "{errors:?}");
}
