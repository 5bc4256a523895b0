use serde_json::{Value, json};
use tds_core::record::{Shape, content_hash};

use crate::support::{decode, decoded, literal, sample};

const INVOICE: &str = r#"{"invoice_id":"460000000567114","invoice_number":"INV-00003","reference_number":"SO-77",
  "status":"sent","customer_id":"460000000026049","customer_name":"Dijla Trading","date":"2026-11-17",
  "due_date":"2026-12-02","currency_code":"IQD","exchange_rate":1.00,"discount":"5%","location_id":"460000000038080",
  "line_items":[{"line_item_id":"460000000567021","item_id":"460000000027009","name":"Cable 3m","description":"",
    "item_order":1,"rate":12500.00,"quantity":2.00,"unit":"pcs","discount":"5%","discount_amount":0.00,"tax_id":"",
    "tax_name":"","tax_percentage":0,"item_total":25000.00}],
  "sub_total":25000.00,"tax_total":0.00,"shipping_charge":"0.00","adjustment":0.00,"total":25000.00,"payment_made":0.00,
  "balance":25000.00,"taxes":[],"billing_address":{"city":"Baghdad"},"shipping_address":{},"notes":"","terms":"",
  "created_time":"2026-11-17T09:17:40+0300","last_modified_time":"2026-11-17T09:17:40+0300"}"#;

#[test]
fn a_recorded_invoice_row_gives_its_head_and_says_nothing_about_lines() {
    let row = sample("books-invoices-list.json")["invoices"][0].to_string();
    let record = decoded("invoices", Shape::List, &row);
    assert!(record.children.is_empty());
    assert_eq!(literal(&record.volatile), r#"{"balance":1000.00,"status":"draft"}"#);
    assert_eq!(record.fields["zoho_modified_at"], "2023-07-22T15:13:43Z");
    assert_eq!(record.fields["salesperson_name"], Value::Null);
    assert_eq!(record.fields["total"].to_string(), "1000.00");
    for detail_only in ["notes", "sub_total", "taxes", "custom_fields", "location_zoho_id"] {
        assert!(!record.fields.contains_key(detail_only), "{detail_only} would be erased");
    }
}

#[test]
fn an_invoice_gives_exactly_these_columns_and_lines() {
    let record = decoded("invoices", Shape::Detail, INVOICE);
    let expected = concat!(
        r#"{"adjustment":0.00,"billing_address":{"city":"Baghdad"},"currency_code":"IQD","#,
        r#""customer_name":"Dijla Trading","customer_zoho_id":"460000000026049","date":"2026-11-17","#,
        r#""discount":"5%","due_date":"2026-12-02","exchange_rate":1.00,"location_zoho_id":"460000000038080","#,
        r#""notes":null,"number":"INV-00003","reference_number":"SO-77","shipping_address":{},"#,
        r#""shipping_charge":0.00,"sub_total":25000.00,"tax_total":0.00,"taxes":[],"terms":null,"total":25000.00,"#,
        r#""zoho_created_at":"2026-11-17T06:17:40Z","zoho_modified_at":"2026-11-17T06:17:40Z"}"#
    );
    assert_eq!(literal(&record.fields), expected);
    assert_eq!(literal(&record.volatile), r#"{"balance":25000.00,"payment_made":0.00,"status":"sent"}"#);
    let line = concat!(
        r#"{"description":null,"discount":"5%","discount_amount":0.00,"line_zoho_id":"460000000567021","#,
        r#""name":"Cable 3m","position":1,"product_zoho_id":"460000000027009","quantity":2.00,"rate":12500.00,"#,
        r#""tax_name":null,"tax_percentage":0,"tax_zoho_id":null,"total":25000.00,"unit":"pcs"}"#
    );
    assert_eq!(record.children["invoice_lines"].iter().map(literal).collect::<Vec<_>>(), [line]);
}

#[test]
fn a_status_that_ages_is_no_change_of_the_content() {
    let overdue = INVOICE.replace("\"sent\"", "\"overdue\"");
    let (sent, overdue) =
        (decoded("invoices", Shape::Detail, INVOICE), decoded("invoices", Shape::Detail, &overdue));
    assert_eq!(content_hash(&sent), content_hash(&overdue));
    assert_ne!(sent.volatile, overdue.volatile);
}

/// A production incident: a body without `customer_id` was refused, and the invoice was lost.
#[test]
fn an_invoice_without_customer_or_with_another_date_spelling_is_read() {
    let record = decoded(
        "invoices",
        Shape::Webhook,
        r#"{"invoice_id":1,"date":"17 Nov 2026","due_date":"30/11/2026"}"#,
    );
    assert_eq!(literal(&record.fields), r#"{"date":"2026-11-17","due_date":"2026-11-30"}"#);
}

#[test]
fn a_bill_and_its_lines_are_read() {
    let bill = r#"{"bill_id":"460000000098765","bill_number":"B-454","reference_number":"","vendor_id":"460000000038029",
      "vendor_name":"Acme","status":"open","date":"2026-09-11","due_date":"2026-09-26","currency_code":"USD",
      "exchange_rate":1310.0,"line_items":[{"line_item_id":"460000000067009","item_id":"460000000027009","name":"Cable 3m",
      "rate":7.00,"quantity":100.0,"item_total":700.00,"tax_percentage":0}],"sub_total":700.00,"tax_total":0.00,
      "total":700.00,"payment_made":0.00,"balance":700.00,"last_modified_time":"2026-09-11T17:18:32+0300"}"#;
    let record = decoded("bills", Shape::Detail, bill);
    assert_eq!(record.fields["vendor_zoho_id"], "460000000038029");
    assert_eq!(record.fields["exchange_rate"].to_string(), "1310.0");
    assert_eq!(record.children["bill_lines"][0]["total"].to_string(), "700.00");
    assert_eq!(record.children["bill_lines"][0]["unit"], Value::Null);
}

#[test]
fn a_credit_note_takes_its_version_from_updated_time() {
    let note = r#"{"creditnote_id":"460000000072369","creditnote_number":"CN-29","status":"open","customer_id":"46",
      "date":"2026-11-20","total":12500.00,"balance":12500.00,"currency_code":"IQD","payment_made":1,
      "line_items":[{"item_id":"460000000027009","name":"Cable 3m","quantity":1,"rate":12500.00,"tax_id":""}],
      "created_time":"2026-11-20T10:30:08+0300","updated_time":"2026-11-20T10:30:08+0300"}"#;
    let record = decoded("credit_notes", Shape::Detail, note);
    assert_eq!(record.version, Some(time::macros::datetime!(2026-11-20 07:30:08 UTC)));
    assert_eq!(record.fields["zoho_modified_at"], "2026-11-20T07:30:08Z");
    assert_eq!(literal(&record.volatile), r#"{"balance":12500.00,"status":"open"}"#);
    assert_eq!(record.children["credit_note_lines"][0]["line_zoho_id"], Value::Null);
}

#[test]
fn lines_are_identified_by_their_order_where_it_distinguishes_them() {
    let positions = |orders: [Value; 3]| {
        let lines: Vec<Value> = orders.iter().map(|order| json!({"item_order": order})).collect();
        let record = json!({"bill_id":"1","line_items":lines}).to_string();
        let rows = decoded("bills", Shape::Detail, &record).children["bill_lines"].clone();
        rows.iter().map(|row| row["position"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(positions([json!(3), json!(1), json!("2")]), [3, 1, 2]);
    assert_eq!(positions([json!(0), json!(1), json!(2)]), [1, 2, 3]);
    assert_eq!(positions([json!(1), json!(1), json!(2)]), [1, 2, 3]);
    assert_eq!(positions([json!(1), json!(""), json!(9_999_999_999_u64)]), [1, 2, 3]);
}

#[test]
fn a_line_that_cannot_be_read_names_its_place() {
    let error = decode("bills", Shape::Detail, r#"{"bill_id":"1","line_items":[{"rate":1},{"rate":"ten"}]}"#);
    let error = error.expect_err("no number");
    assert_eq!(error.to_string(), r#"bills 1: line_items[1].rate: "ten" is no number"#);
}

/// Details write the columns that lists lack, and nothing else writes them.
#[test]
fn bills_and_credit_notes_keep_what_only_their_detail_has() {
    for (entity, id_key) in [("bills", "bill_id"), ("credit_notes", "creditnote_id")] {
        let json = json!({id_key:"1","discount":"5%","adjustment":"-0.50","location_id":"9","notes":"n","terms":"",
            "billing_address":{"city":"Basra"},"taxes":[{"tax_name":"VAT","tax_amount":1.5}]});
        let fields = decoded(entity, Shape::Detail, &json.to_string()).fields;
        let expected = r#"{"adjustment":-0.50,"billing_address":{"city":"Basra"},"discount":"5%","location_zoho_id":"9","notes":"n","taxes":[{"tax_amount":1.5,"tax_name":"VAT"}],"terms":null}"#;
        assert_eq!(literal(&fields), expected);
    }
}
