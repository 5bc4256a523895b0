//! The bodies that are understood, and the envelopes in which records are found.

use serde_json::{Value, json};
use tds_core::{
    inbox::Disposition,
    queue::Work,
    record::{EntityType, RecordKey},
};
use tds_zoho::{
    entities::Catalogue,
    webhook::{Authentic, Event, Received},
};
use time::{OffsetDateTime, macros::datetime};

use crate::support::{entity, id};

pub(crate) const ORGANIZATION: &str = "60000000001";

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

/// Returns the event that follows from a delivery to a path.
pub(crate) fn event(
    path: &str,
    event_type: &str,
    organization_id: &str,
    query: &[(String, String)],
    body: &[u8],
) -> Event {
    let path: EntityType = entity(path);
    let received =
        Received { entity: &path, event_type, organization_id, at: NOW, receipt: || "1".to_owned() };
    tds_zoho::webhook::parse(&Catalogue::default(), &Authentic::unsigned(query, body), &received)
}

pub(crate) fn parse_as(path: &str, event_type: &str, body: &[u8]) -> Event {
    event(path, event_type, ORGANIZATION, &[], body)
}

pub(crate) fn parse(path: &str, body: &[u8]) -> Event {
    parse_as(path, "updated", body)
}

pub(crate) fn parse_json(path: &str, body: &Value) -> Event {
    parse(path, body.to_string().as_bytes())
}

pub(crate) fn work(parsed: &Event) -> Vec<(String, Work)> {
    match &parsed.disposition {
        Disposition::Work(work) => work.iter().map(|(key, work)| (key.to_string(), work.clone())).collect(),
        other => panic!("no work: {other:?}"),
    }
}

fn keys(parsed: &Event) -> Vec<String> {
    work(parsed).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_documented_item_body_is_understood() {
    let body = crate::support::sample("webhook-item-shape.json");
    let parsed = parse_json("products", &body);
    assert_eq!(parsed.entity_id.as_deref(), Some("1234567890"));
    assert!(!parsed.has_version);
    let Disposition::Work(work) = &parsed.disposition else { panic!("{parsed:?}") };
    assert_eq!(work, &[(RecordKey::new(entity("products"), id("1234567890")), Work::fetch())]);
}

#[test]
fn every_envelope_of_a_module_is_accepted() {
    for (path, body, key) in [
        ("products", json!({"item":{"item_id":"1"}}), "products 1"),
        ("products", json!({"item_id":460000000027009_u64,"name":"Cable"}), "products 460000000027009"),
        ("products", json!({"anything":{"item_id":"1"}}), "products 1"),
        ("products", json!({"data":{"item":{"item_id":"1"}}}), "products 1"),
        ("products", json!({"JSONString":"{\"item\":{\"item_id\":\"1\"}}"}), "products 1"),
        ("customers", json!({"contact":{"contact_id":"1"}}), "customers 1"),
        ("customers", json!({"customer":{"contact_id":"1","contact_type":"customer"}}), "customers 1"),
        ("customers", json!({"customer":{"customer_id":"1"}}), "customers 1"),
        ("customers", json!({"vendor":{"contact_id":"1","contact_type":"vendor"}}), "vendors 1"),
        ("vendors", json!({"contact":{"contact_id":"1","contact_type":"customer"}}), "customers 1"),
        ("invoices", json!({"organization_id":60000000001_u64,"invoice":{"invoice_id":"1"}}), "invoices 1"),
        ("bills", json!({"bill":{"bill_id":"1"}}), "bills 1"),
        ("credit-notes", json!({"creditnote":{"creditnote_id":"1"}}), "credit_notes 1"),
        ("credit_notes", json!({"credit_note":{"creditnote_id":"1"}}), "credit_notes 1"),
        ("prices", json!({"pricebook":{"pricebook_id":"1"}}), "prices 1"),
    ] {
        assert_eq!(keys(&parse_json(path, &body)), [key], "{body}");
    }
}

#[test]
fn a_byte_order_mark_and_blanks_do_not_matter() {
    assert_eq!(keys(&parse("products", b"\xef\xbb\xbf \n{\"item\":{\"item_id\":\"1\"}} \n")), ["products 1"]);
}

#[test]
fn forms_are_understood_with_json_inside_or_as_plain_pairs() {
    let inside =
        b"organization_id=60000000001&JSONString=%7B%22invoice%22%3A%7B%22invoice_id%22%3A%227%22%7D%7D";
    assert_eq!(keys(&parse("invoices", inside)), ["invoices 7"]);
    let plain =
        b"invoice_id=7&status=sent&customer_name=A+%26+B&last_modified_time=2026-11-20T12:00:00%2B0300";
    let parsed = parse("invoices", plain);
    assert!(parsed.has_version);
    let [(key, work)] = work(&parsed).try_into().expect("one");
    assert_eq!(
        (key.as_str(), work.version, work.payload),
        ("invoices 7", Some(datetime!(2026-11-20 09:00 UTC)), None)
    );
}

#[test]
fn another_organization_is_ignored_in_any_form() {
    for body in [
        r#"{"organization_id":"60000000002","item":{"item_id":"1"}}"#,
        r#"{"organization_id":60000000002,"item":{"item_id":"1"}}"#,
        r#"{"item":{"item_id":"1","organization_id":"60000000002"}}"#,
        "organization_id=60000000002&item_id=1",
    ] {
        let parsed = parse("products", body.as_bytes());
        assert!(
            matches!(&parsed.disposition, Disposition::Ignored(why) if why.contains("60000000002")),
            "{body}"
        );
    }
}

#[test]
fn a_module_of_another_path_is_ignored() {
    for (path, body) in [
        ("invoices", json!({"salesorder":{"salesorder_id":"1","customer_id":"2"}})),
        ("products", json!({"invoice":{"invoice_id":"1","line_items":[{"item_id":"2"}]}})),
        ("customers", json!({"invoice":{"invoice_id":"1","customer_id":"2"}})),
        ("customers", json!({"invoice_id":"1","customer_id":"2"})),
        ("customers", json!({"payment":{"payment_id":"1","customer_id":"2"}})),
        ("bills", json!({"something_new":{"something_new_id":"1"}})),
        ("stock", json!({"contact":{"contact_id":"1"}})),
        ("users", json!({"user":{"user_id":"1"}})),
    ] {
        let parsed = parse_json(path, &body);
        assert!(matches!(parsed.disposition, Disposition::Ignored(_)), "{path} {body}: {parsed:?}");
        if path != "users" {
            assert_eq!(parsed.entity_id.as_deref(), Some("1"), "{body}");
        }
    }
}

#[test]
fn what_holds_no_record_is_unparsed_with_a_reason() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "  ",
        "null",
        "[]",
        "[{\"item\":1}]",
        "[[{\"item_id\":\"1\"}]]",
        "7",
        "\"text\"",
        "NaN",
        "{",
        "{}",
        "{\"item\":{}}",
        "hello",
        "{\"item\":{\"item_id\":\"\"}}",
        "{\"item\":null}",
        "{\"item\":[]}",
        "{\"test\":\"ok\"}",
        "a=b",
        "JSONString=x",
        "JSONString=[]",
        "payload=",
        "payload=%7B%7D",
        "payload=%7B%22item",
        "%",
        "=",
        "{\"item\":{\"item_id\":1.5}}",
        &deep,
    ] {
        for path in ["products", "stock"] {
            let parsed = parse(path, body.as_bytes());
            let Disposition::Unparsed(reason) = &parsed.disposition else { panic!("{body:.60}: {parsed:?}") };
            assert!(!reason.is_empty() && reason.len() < 300, "{reason}");
            assert!(parsed.entity_id.is_none() && !parsed.has_version);
        }
    }
    let parsed = parse("products", b"{\"item\":{\"item_id\":\"\xff\"}}");
    assert!(matches!(parsed.disposition, Disposition::Unparsed(_)), "{parsed:?}");
}

#[test]
fn the_pairs_of_an_address_are_decoded() {
    let pairs = tds_zoho::webhook::query_pairs(Some("event=deleted&a%26b=c+d%C3%A9&flag&=x&&bad=%zz"));
    let expected = [("event", "deleted"), ("a&b", "c dé"), ("flag", ""), ("", "x"), ("bad", "%zz")];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert!(tds_zoho::webhook::query_pairs(None).is_empty());
}
