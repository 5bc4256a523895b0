//! Changes of records that exist in Zoho, their statuses, and their removal.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tds_core::outbound::LocalRecord;
use tds_zoho::write::{Contract, Removal, WriteCall};

use crate::local::{Ids, UNIQUE, contract, digits, key, local};

const ID: &str = "460000000099001";

fn existing(entity: &str, status: Option<&str>) -> LocalRecord {
    local(entity, 1, &Ids::default()).at_source(ID, status)
}

fn updates(entity: &str, record: &LocalRecord, changed: &[&str]) -> Vec<WriteCall> {
    let changed: BTreeSet<String> = changed.iter().map(|name| (*name).to_owned()).collect();
    contract(entity).update(record, &changed, UNIQUE).unwrap_or_else(|error| panic!("{entity}: {error}"))
}

fn shown(calls: &[WriteCall]) -> Vec<String> {
    let body =
        |call: &WriteCall| call.body.as_ref().map(|body| format!(" {}", body.as_str())).unwrap_or_default();
    calls.iter().map(|call| format!("{} {}{}", call.method.as_str(), call.path, body(call))).collect()
}

#[test]
fn only_what_changed_is_sent_with_what_zoho_requires() {
    let order = existing("sales_orders", Some("open"));
    let calls = updates("sales_orders", &order, &["notes"]);
    let expected =
        format!(r#"PUT /salesorders/{ID} {{"customer_id":"4600000000000000001","notes":"Thanks"}}"#);
    assert_eq!(shown(&calls), [expected]);
    assert!(calls[0].query.is_empty());
    let numbered = updates("sales_orders", &order, &["number"]);
    assert_eq!(numbered[0].query, [("ignore_auto_number_generation", "true".to_owned())]);
    let payment = updates("vendor_payments", &existing("vendor_payments", None), &["description"]);
    let expected = r#"{"amount":20.00,"description":"at the till","vendor_id":"4600000000000000002"}"#;
    assert_eq!(payment[0].body.as_ref().expect("a body").as_str(), expected);
    assert!(updates("products", &existing("products", None), &[]).is_empty());
}

#[test]
fn changed_lines_are_sent_as_a_whole_list_with_their_ids() {
    let mut order = existing("sales_orders", Some("open"));
    let rows = order.children.get_mut("sales_order_lines").expect("lines");
    rows[0].insert("line_zoho_id".to_owned(), json!("460000000567021"));
    rows[0].insert("quantity".to_owned(), digits("4.00"));
    let calls = updates("sales_orders", &order, &["sales_order_lines"]);
    let body: Value = calls[0].body.as_ref().expect("a body").parse().expect("JSON");
    let lines = body["line_items"].as_array().expect("lines");
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[1]["line_item_id"], lines[1]["quantity"].to_string()),
        (&json!("460000000567021"), "4.00".to_owned())
    );
    assert!(lines[0].get("line_item_id").is_none(), "a new line has no id");
    // Zoho requires the lines of an invoice in every update.
    let invoice = updates("invoices", &existing("invoices", Some("sent")), &["notes"]);
    assert!(invoice[0].body.as_ref().expect("a body").as_str().contains("line_items"));
}

#[test]
fn emptied_columns_are_emptied_where_zoho_has_an_empty_value() {
    let mut product = existing("products", Some("active"));
    for column in ["description", "reorder_level"] {
        product.fields.insert(column.to_owned(), Value::Null);
    }
    let calls = updates("products", &product, &["description", "reorder_level"]);
    let expected = format!(
        r#"PUT /items/{ID} {{"description":"","name":"Cable 1 m","rate":12.500,"reorder_level":""}}"#
    );
    assert_eq!(shown(&calls), [expected]);
}

#[test]
fn our_key_is_kept_when_custom_fields_change() {
    let mut order = existing("sales_orders", Some("open"));
    order
        .fields
        .insert("custom_fields".to_owned(), json!({"cf_shelf": "B-2", "cf_tds_id": "someone else's"}));
    let calls = updates("sales_orders", &order, &["custom_fields"]);
    let body: Value = calls[0].body.as_ref().expect("a body").parse().expect("JSON");
    let expected = json!([
        {"api_name": "cf_shelf", "value": "B-2"},
        {"api_name": "cf_tds_id", "value": key(1)},
    ]);
    assert_eq!(body["custom_fields"], expected);
}

#[test]
fn the_phone_of_a_contact_is_that_of_its_primary_person() {
    let mut customer = existing("customers", Some("active"));
    let persons = json!([
        {"contact_person_id": "11", "first_name": "Omar", "is_primary_contact": false, "skype": ""},
        {"contact_person_id": "12", "first_name": "Sara", "is_primary_contact": true, "phone": "1"},
    ]);
    customer.fields.insert("contact_persons".to_owned(), persons);
    let calls = updates("customers", &customer, &["phone"]);
    let body: Value = calls[0].body.as_ref().expect("a body").parse().expect("JSON");
    let expected = json!([
        {"contact_person_id": "11", "first_name": "Omar", "is_primary_contact": false},
        {"contact_person_id": "12", "first_name": "Sara", "is_primary_contact": true, "phone": "+964170"},
    ]);
    assert_eq!((&body["contact_persons"], &body["contact_type"]), (&expected, &json!("customer")));
}

#[test]
fn statuses_change_with_the_calls_that_zoho_has() {
    let cases = [
        ("sales_orders", "draft", "open", "status/open"),
        ("sales_orders", "open", "void", "status/void"),
        ("invoices", "draft", "sent", "status/sent"),
        ("invoices", "overdue", "void", "status/void"),
        ("invoices", "void", "draft", "status/draft"),
        ("credit_notes", "draft", "open", "status/open"),
        ("bills", "void", "open", "status/open"),
        ("purchase_orders", "open", "cancelled", "status/cancelled"),
        ("customers", "active", "inactive", "inactive"),
        ("vendors", "inactive", "active", "active"),
        ("products", "active", "inactive", "inactive"),
        ("prices", "inactive", "active", "active"),
    ];
    for (entity, from, to, call) in cases {
        let mut record = existing(entity, Some(from));
        record.fields.insert("status".to_owned(), json!(to));
        let path = contract(entity).path;
        let expected = format!("POST {path}/{ID}/{call}");
        assert_eq!(shown(&updates(entity, &record, &["status"])), [expected], "{entity} {from} {to}");
        let mut same = existing(entity, Some(to));
        same.fields.insert("status".to_owned(), json!(to));
        assert!(updates(entity, &same, &["status"]).is_empty(), "{entity} is {to} already");
    }
    // A void document cannot be edited before its status changes.
    let mut invoice = existing("invoices", Some("void"));
    invoice.fields.insert("status".to_owned(), json!("draft"));
    let calls = updates("invoices", &invoice, &["status", "notes"]);
    assert_eq!(calls[0].path, format!("/invoices/{ID}/status/draft"));
}

#[test]
fn a_new_invoice_that_is_paid_in_the_erp_is_sent_first() {
    let mut invoice = local("invoices", 1, &Ids::default());
    invoice.fields.insert("status".to_owned(), json!("paid"));
    let calls = contract("invoices").create(&invoice, UNIQUE).expect("calls");
    assert_eq!(calls.last().map(|call| call.path.as_str()), Some("/invoices/{id}/status/sent"));
    invoice.fields.insert("status".to_owned(), json!("draft"));
    let calls = contract("invoices").create(&invoice, UNIQUE).expect("calls");
    assert!(calls.iter().all(|call| !call.path.contains("status")));
    let mut note = local("credit_notes", 1, &Ids::default());
    note.fields.insert("status".to_owned(), json!("draft"));
    let calls = contract("credit_notes").create(&note, UNIQUE).expect("calls");
    assert!(calls[0].body.as_ref().expect("a body").as_str().contains(r#""is_draft":true"#));
}

#[test]
fn records_are_deleted_or_made_inactive_or_void() {
    let removal =
        |entity: &str| -> Removal { contract(entity).remove(&existing(entity, None)).expect("a removal") };
    let instead = |contract: &Contract| {
        removal(contract.entity.as_str()).if_refused.map(|call| call.path.replace(ID, "").replace("//", "/"))
    };
    let cases = [
        ("customers", Some("/contacts/inactive")),
        ("products", Some("/items/inactive")),
        ("invoices", Some("/invoices/status/void")),
        ("purchase_orders", Some("/purchaseorders/status/cancelled")),
        ("customer_payments", None),
    ];
    for (entity, call) in cases {
        assert_eq!(instead(contract(entity)).as_deref(), call, "{entity}");
        let expected = format!("DELETE {}/{ID}", contract(entity).path);
        assert_eq!(shown(&[removal(entity).call]), [expected]);
    }
}
