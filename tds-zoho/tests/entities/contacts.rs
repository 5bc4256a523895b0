use serde_json::{Value, json};
use tds_core::record::Shape;
use time::macros::datetime;

use crate::support::{decoded, entity, literal, sample};

#[test]
fn a_recorded_contact_gives_exactly_these_columns() {
    let contact = sample("books-contact-detail.json")["contact"].clone();
    let record = decoded("customers", Shape::Detail, &contact.to_string());
    let mut fields = record.fields.clone();
    for name in ["billing_address", "shipping_address", "contact_persons"] {
        assert_eq!(fields.remove(name).as_ref(), Some(&contact[name]), "{name} is Zoho's JSON as it came");
    }
    let expected = concat!(
        r#"{"company_name":"Sample Medical Store","contact_sub_type":"business","currency_code":"INR","#,
        r#""custom_fields":{"cf_risk_score":"Medium"},"email":null,"first_name":"Sample","last_name":"Person","#,
        r#""mobile":"+910000000001","name":"Sample Medical Store","payment_terms":0,"#,
        r#""payment_terms_label":"Due on Receipt","price_list_zoho_id":"982000000870002","status":"active","#,
        r#""zoho_created_at":"2025-01-01T04:30:00Z","zoho_modified_at":"2026-07-08T04:19:49Z"}"#
    );
    assert_eq!(literal(&fields), expected);
    assert_eq!(literal(&record.volatile), r#"{"outstanding_amount":120.0}"#);
    assert_eq!(record.version, Some(datetime!(2026-07-08 04:19:49 UTC)));
}

/// A production incident: vendors were stored as customers.
#[test]
fn a_contact_is_what_its_type_says_whichever_list_it_came_from() {
    for (asked, kind, is) in [
        ("customers", "vendor", "vendors"),
        ("vendors", "customer", "customers"),
        ("vendors", "vendor", "vendors"),
    ] {
        let json = json!({"contact_id":"1","contact_type":kind}).to_string();
        for shape in [Shape::List, Shape::Detail, Shape::Webhook] {
            assert_eq!(decoded(asked, shape, &json).entity, entity(is));
        }
    }
}

#[test]
fn a_contact_without_type_stays_what_was_asked_for() {
    for asked in ["customers", "vendors"] {
        assert_eq!(decoded(asked, Shape::Detail, r#"{"contact_id":"1"}"#).entity, entity(asked));
        let other = r#"{"contact_id":"1","contact_type":"lead"}"#;
        assert_eq!(decoded(asked, Shape::Detail, other).entity, entity(asked));
    }
}

#[test]
fn vendors_take_the_payable_amounts() {
    let json = r#"{"contact_id":"1","contact_type":"vendor","outstanding_receivable_amount":1.00,
        "outstanding_payable_amount":250.00,"unused_credits_payable_amount":"3.50"}"#;
    let record = decoded("customers", Shape::Detail, json);
    assert_eq!(literal(&record.volatile), r#"{"outstanding_amount":250.00,"unused_credits":3.50}"#);
}

#[test]
fn the_primary_person_supplies_the_fields_that_the_contact_lacks() {
    let json = r#"{"contact_id":"1","first_name":"Own","contact_persons":[
        {"first_name":"Other","email":"other@example.test","is_primary_contact":false},
        {"first_name":"Sara","last_name":"K","email":"sara@example.test","phone":"","is_primary_contact":true}]}"#;
    let fields = decoded("customers", Shape::Detail, json).fields;
    assert_eq!(fields["first_name"], "Own");
    assert_eq!(fields["last_name"], "K");
    assert_eq!(fields["email"], "sara@example.test");
    assert_eq!(fields["phone"], Value::Null);
    assert!(!fields.contains_key("mobile"));
}

#[test]
fn payment_terms_may_be_a_negative_code() {
    let fields = decoded("customers", Shape::Detail, r#"{"contact_id":"1","payment_terms":-3}"#).fields;
    assert_eq!(fields["payment_terms"], json!(-3));
}
