//! What follows from a body that was understood.

use serde_json::{Value, json};
use tds_core::{
    inbox::Disposition,
    queue::Work,
    record::{Observed, Shape, content_hash},
};
use tds_zoho::webhook::event_type;
use time::macros::datetime;

use crate::{
    bodies::{parse_as, parse_json, work},
    support,
};

fn invoice() -> Value {
    json!({"invoice_id":"460000000567114","invoice_number":"INV-3","status":"sent","customer_id":"46","date":"2026-11-17",
        "currency_code":"IQD","total":25000.00,"balance":25000.00,
        "line_items":[{"line_item_id":"1","item_id":"2","quantity":2,"rate":12500.00,"item_total":25000.00}],
        "last_modified_time":"2026-11-17T09:17:40+0300"})
}

#[test]
fn a_complete_body_is_applied_as_it_is() {
    let parsed = parse_json("invoices", &json!({"invoice": invoice()}));
    assert!(parsed.has_version);
    let [(key, work)] = work(&parsed).try_into().expect("one");
    assert_eq!(key, "invoices 460000000567114");
    assert_eq!(work.version, Some(datetime!(2026-11-17 06:17:40 UTC)));
    let payload = work.payload.expect("the body");
    assert_eq!(payload.shape, Shape::Webhook);
    assert_eq!(payload.observed, Observed::Push(datetime!(2026-11-20 12:00 UTC)));
    assert_eq!(payload.json.as_str(), invoice().to_string());
    let record = support::source(&support::offline(), "invoices").decode(&payload).expect("readable");
    assert_eq!(record.children["invoice_lines"].len(), 1);
}

/// Real bodies lacked these keys. An incomplete body must not blank the columns that a detail filled.
#[test]
fn an_incomplete_body_makes_the_record_be_read() {
    for missing in ["line_items", "customer_id", "total", "status"] {
        let mut body = invoice();
        body.as_object_mut().expect("an object").remove(missing);
        let [(_, work)] = work(&parse_json("invoices", &json!({"invoice": body}))).try_into().expect("one");
        assert_eq!((work.payload, work.version.is_some()), (None, true), "{missing}");
    }
    let mut body = invoice();
    body["line_items"] = json!([]);
    assert_eq!(work(&parse_json("invoices", &body))[0].1.payload, None, "no invoice is without lines");
}

#[test]
fn a_body_without_a_version_makes_the_record_be_read_and_is_never_a_duplicate() {
    for version in [json!(""), json!(null), json!("yesterday")] {
        let mut body = invoice();
        body["last_modified_time"] = version;
        let parsed = parse_json("invoices", &body);
        assert!(!parsed.has_version);
        assert_eq!(work(&parsed)[0].1, Work::fetch());
    }
}

/// A production incident: a body of which a part cannot be read must not lose the invoice, because the API spells the
/// part better.
#[test]
fn a_body_with_an_unreadable_part_makes_the_record_be_read() {
    let mut body = invoice();
    body["date"] = json!("05/06/2026");
    assert_eq!(work(&parse_json("invoices", &json!({"invoice": body})))[0].1.payload, None);
}

/// A template puts values that it does not know between quotation marks.
#[test]
fn a_list_or_an_object_that_came_as_text_makes_the_record_be_read() {
    let mut item = support::sample("inventory-items-list.json")["items"][0].clone();
    item["custom_fields"] = json!([]);
    let invoice = invoice();
    let contact = support::sample("books-contact-detail.json")["contact"].clone();
    for (path, record, key, text) in [
        ("products", &item, "custom_field_hash", "{}"),
        ("products", &item, "custom_field_hash", ""),
        ("products", &item, "custom_fields", "[]"),
        ("products", &item, "locations", "[]"),
        ("invoices", &invoice, "line_items", "[{}]"),
        ("invoices", &invoice, "billing_address", "{}"),
        ("invoices", &invoice, "taxes", "[]"),
        ("invoices", &invoice, "custom_field_hash", "{}"),
        ("customers", &contact, "contact_persons", "[]"),
        ("customers", &contact, "shipping_address", "{\"city\":\"Basra\"}"),
    ] {
        let parsed = |record: &Value| work(&parse_json(path, record))[0].1.clone();
        assert!(parsed(record).payload.is_some(), "{path}");
        let mut record = record.clone();
        record[key] = json!(text);
        assert_eq!(
            (parsed(&record).payload, parsed(&record).version.is_some()),
            (None, true),
            "{path} {key}"
        );
    }
}

/// A real body of an invoice has the customer's custom fields in addition to the invoice's own.
#[test]
fn the_body_of_an_invoice_shows_just_what_its_detail_shows() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/webhooks/invoice-of-a-customer-with-custom-fields.json"
    );
    let body: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON");
    let [(key, work)] = work(&parse_json("invoices", &body)).try_into().expect("one");
    let payload = work.payload.expect("the body is complete");
    assert_eq!(key, "invoices 460000000567120");
    let pushed = support::source(&support::offline(), "invoices").decode(&payload).expect("readable");
    assert_eq!(pushed.fields["custom_fields"], json!({"cf_wholesale": "True", "cf_tariff_code": 8544.4}));

    // The detail has neither the customer's fields nor the time in a date.
    let mut detail = body["invoice"].clone();
    let object = detail.as_object_mut().expect("an object");
    object.retain(|name, _| !name.starts_with("cf_") && !name.starts_with("customer_custom_field"));
    object.insert("date".to_owned(), json!("2026-09-04"));
    object.insert("due_date".to_owned(), json!("2026-11-18"));
    let detail = support::decoded("invoices", Shape::Detail, &detail.to_string());
    assert_eq!(content_hash(&pushed), content_hash(&detail), "reading one after the other costs no call");
    assert_eq!(pushed.volatile, detail.volatile);
}

#[test]
fn a_deletion_is_believed_only_after_reading_the_record() {
    let body = json!({"invoice": invoice()}).to_string();
    let parsed = parse_as("invoices", "deleted", body.as_bytes());
    assert_eq!(work(&parsed)[0].1.payload, None);
    assert_eq!(
        [None, Some("created"), Some("deleted"), Some("x")].map(event_type),
        ["updated", "created", "deleted", "updated"]
    );
}

#[test]
fn a_complete_item_is_applied_and_one_without_image_keys_is_read() {
    let mut item = support::sample("inventory-items-list.json")["items"][0].clone();
    item["custom_fields"] = json!([]);
    assert!(work(&parse_json("products", &json!({"item": item})))[0].1.payload.is_some());
    item.as_object_mut().expect("an object").remove("image_document_id");
    assert_eq!(work(&parse_json("products", &json!({"item": item})))[0].1.payload, None);
}

#[test]
fn a_complete_contact_is_applied_as_what_it_is() {
    let mut contact = support::sample("books-contact-detail.json")["contact"].clone();
    contact["contact_type"] = json!("vendor");
    let [(key, vendor)] =
        work(&parse_json("customers", &json!({"contact": contact}))).try_into().expect("one");
    assert!(key.starts_with("vendors ") && vendor.payload.is_some());
    contact.as_object_mut().expect("an object").remove("contact_type");
    let [(key, unknown)] =
        work(&parse_json("customers", &json!({"contact": contact}))).try_into().expect("one");
    assert!(key.starts_with("customers ") && unknown.payload.is_none());
}

#[test]
fn prices_are_always_read() {
    let mut list = support::sample("books-pricebook-detail-unit.json")["pricebook"].clone();
    list["last_modified_time"] = json!("2026-11-17T09:17:40+0300");
    assert_eq!(work(&parse_json("prices", &json!({"pricebook": list})))[0].1.payload, None);
}

#[test]
fn stock_is_read_of_every_item_named_once_and_in_order() {
    let adjustment = json!({"inventory_adjustment":{"inventory_adjustment_id":"44100","line_items":[
        {"line_item_id":"1","item_id":"9"},{"line_item_id":"2","item_id":7},{"line_item_id":"3","item_id":"9"},
        {"line_item_id":"4","item_id":""},{"line_item_id":"5"}]}});
    let parsed = parse_json("stock", &adjustment);
    assert_eq!(parsed.entity_id.as_deref(), Some("44100"));
    assert_eq!(work(&parsed), [("stock 9".to_owned(), Work::fetch()), ("stock 7".to_owned(), Work::fetch())]);

    let item =
        json!({"item":{"item_id":"5","stock_on_hand":3,"last_modified_time":"2026-11-17T09:17:40+0300"}});
    let parsed = parse_json("stock", &item);
    assert_eq!((parsed.entity_id.as_deref(), parsed.has_version), (Some("5"), true));
    assert_eq!(work(&parsed), [("stock 5".to_owned(), Work::fetch())]);

    let bare = json!({"inventory_adjustment_id":"1","line_items":[{"item_id":"5"}]});
    assert_eq!(work(&parse_json("stock", &bare)).len(), 1);
}

#[test]
fn documents_that_move_stock_make_the_items_of_their_lines_be_read() {
    let bill =
        json!({"bill":{"bill_id":"1","purchaseorder_id":"3","line_items":[{"item_id":"5"},{"item_id":"6"}]}});
    let parsed = parse_json("stock", &bill);
    assert_eq!((parsed.entity_id.as_deref(), work(&parsed).len()), (Some("1"), 2));
}

#[test]
fn an_adjustment_that_names_no_items_is_ignored() {
    for body in [
        json!({"inventory_adjustment":{"inventory_adjustment_id":"1"}}),
        json!({"inventory_adjustment":{"inventory_adjustment_id":"1","line_items":[]}}),
    ] {
        let parsed = parse_json("stock", &body);
        assert!(matches!(parsed.disposition, Disposition::Ignored(_)), "{parsed:?}");
    }
}
