use serde_json::{Value, json};
use tds_core::record::Shape;
use time::macros::datetime;

use crate::support::{decode, decoded, literal, sample};

fn rows() -> Vec<Value> {
    sample("inventory-items-list.json")["items"].as_array().expect("rows").clone()
}

#[test]
fn a_recorded_item_gives_exactly_these_columns() {
    let record = decoded("products", Shape::List, &rows()[0].to_string());
    let expected = concat!(
        r#"{"brand":null,"description":null,"ean":null,"image_document_id":null,"image_name":null,"#,
        r#""item_type":"inventory","manufacturer":null,"name":"CASTROL ENGINE OIL GTX 5L","product_type":"goods","#,
        r#""purchase_rate":200.00,"rate":360.00,"reorder_level":null,"sku":"GTX5L","status":"active","#,
        r#""tax_percentage":15,"tax_zoho_id":"3850050000000076117","unit":"ml","upc":null,"#,
        r#""zoho_created_at":"2024-02-01T08:54:54Z","zoho_modified_at":"2024-02-01T08:55:14Z"}"#
    );
    assert_eq!(literal(&record.fields), expected);
    assert_eq!(record.id.as_str(), "3850050000000128011");
    assert_eq!(record.version, Some(datetime!(2024-02-01 08:55:14 UTC)));
    assert!(record.volatile.is_empty() && record.children.is_empty());
}

#[test]
fn a_recorded_item_with_an_image_keeps_its_document_and_its_name() {
    let record = decoded("products", Shape::List, &rows()[1].to_string());
    assert_eq!(record.fields["image_document_id"], "3850050000000077012");
    assert_eq!(record.fields["image_name"], "Z587-profile.jpg");
    assert_eq!(record.fields["reorder_level"].to_string(), "1.000000");
    assert_eq!(record.fields["tax_zoho_id"], Value::Null);
}

/// A production incident: a SKU was required, and 1,251 items were missing.
#[test]
fn an_item_without_sku_is_an_item() {
    for sku in [json!({"item_id":"1","sku":""}), json!({"item_id":"1","sku":null})] {
        assert_eq!(decoded("products", Shape::Detail, &sku.to_string()).fields["sku"], Value::Null);
    }
    assert!(!decoded("products", Shape::Detail, r#"{"item_id":"1"}"#).fields.contains_key("sku"));
}

/// A production incident: a missing status made an item active again.
#[test]
fn a_key_that_is_not_there_says_nothing_about_its_column() {
    let record = decoded("products", Shape::Webhook, r#"{"item_id":"1","name":"Cable"}"#);
    assert_eq!(literal(&record.fields), r#"{"name":"Cable"}"#);
}

#[test]
fn unknown_keys_are_never_refused() {
    let json = r#"{"item_id":"1","new_key":{"deep":[1,2,{"x":null}]},"rate_formatted":"USD 1,00"}"#;
    assert!(decoded("products", Shape::Detail, json).fields.is_empty());
}

#[test]
fn the_name_may_stand_under_item_name() {
    let record = decoded("products", Shape::List, r#"{"item_id":"1","item_name":"Cable"}"#);
    assert_eq!(record.fields["name"], "Cable");
}

#[test]
fn the_raw_record_is_the_payload_as_it_came() {
    let json = r#"{ "item_id": "1", "rate": 1.50 }"#;
    assert_eq!(decoded("products", Shape::Detail, json).raw.as_str(), json);
}

#[test]
fn a_payload_that_is_no_object_is_an_error_of_its_record() {
    for json in ["", "null", "[]", "7", "\"text\"", "{", r#"{"item_id":""}"#, r#"{"item_id":null}"#, "{}"] {
        assert!(decode("products", Shape::Detail, json).is_err(), "{json} was read");
    }
}

#[test]
fn custom_fields_are_read_in_all_three_forms() {
    let record = json!({"item_id":"1",
        "custom_fields":[{"customfield_id":"9","api_name":"cf_color","label":"Color","value":"red"},
                         {"field_id":"8","api_name":"cf_empty","value":""},
                         {"customfield_id":"7","label":"Old form","value":5}],
        "custom_field_hash":{"cf_color":"RED","cf_price":"1,000","cf_price_unformatted":1000}});
    let fields = &decoded("products", Shape::Detail, &record.to_string()).fields;
    let expected = json!({"cf_color":"red","cf_empty":null,"Old form":5,"cf_price":"1,000"});
    assert_eq!(fields["custom_fields"], expected);
    let flat = json!({"item_id":"1","cf_flat":true,"cf_flat_unformatted":true});
    let fields = &decoded("products", Shape::Detail, &flat.to_string()).fields;
    assert_eq!(fields["custom_fields"], json!({"cf_flat": true}));
}

#[test]
fn flat_keys_are_no_custom_fields_where_the_record_has_a_place_of_their_own() {
    for place in
        [json!({"custom_fields": []}), json!({"custom_field_hash": {}}), json!({"custom_fields": null})]
    {
        for (entity, id) in [
            ("products", "item_id"),
            ("customers", "contact_id"),
            ("invoices", "invoice_id"),
            ("bills", "bill_id"),
            ("credit_notes", "creditnote_id"),
        ] {
            let mut record = place.clone();
            record[id] = json!("1");
            record["cf_tin"] = json!("of the customer");
            let fields = &decoded(entity, Shape::Webhook, &record.to_string()).fields;
            assert_eq!(fields["custom_fields"], json!({}), "{record}");
        }
    }
}

#[test]
fn custom_fields_that_are_no_object_are_an_error_and_never_ignored() {
    let text = r#"{"item_id":"1","custom_field_hash":"{}"}"#;
    let error = decode("products", Shape::Detail, text).expect_err("unreadable");
    assert!(error.to_string().contains("custom_field_hash"), "{error}");
    let both = r#"{"item_id":"1","custom_fields":[],"custom_field_hash":"{}"}"#;
    assert_eq!(decoded("products", Shape::Detail, both).fields["custom_fields"], json!({}));
}

#[test]
fn a_list_row_never_erases_custom_fields_that_it_does_not_show() {
    let row = r#"{"item_id":"1","cf_flat":"x","custom_fields":[]}"#;
    assert!(!decoded("products", Shape::List, row).fields.contains_key("custom_fields"));
    let detail = decoded("products", Shape::Detail, r#"{"item_id":"1","custom_fields":[]}"#);
    assert_eq!(detail.fields["custom_fields"], json!({}));
}
