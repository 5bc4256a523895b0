//! Orders, credits of vendors, and payments with the documents that they pay.

use serde_json::{Value, json};
use tds_core::record::{Shape, content_hash};

use crate::support::{decode, decoded, literal};

const TYPES: [(&str, &str); 5] = [
    ("sales_orders", "salesorder_id"),
    ("purchase_orders", "purchaseorder_id"),
    ("vendor_credits", "vendor_credit_id"),
    ("customer_payments", "payment_id"),
    ("vendor_payments", "payment_id"),
];

/// A rate that is absent is not 1: an amount in dinars would count as dollars.
#[test]
fn a_rate_that_is_absent_is_no_rate() {
    for (entity, id_key) in TYPES {
        for shape in [Shape::List, Shape::Detail] {
            let record = decoded(entity, shape, &json!({id_key: "1", "currency_code": "IQD"}).to_string());
            assert!(!record.fields.contains_key("exchange_rate"), "{entity}");
            let blank = json!({id_key: "1", "currency_code": "IQD", "exchange_rate": ""}).to_string();
            assert_eq!(decoded(entity, shape, &blank).fields["exchange_rate"], Value::Null, "{entity}");
        }
    }
}

#[test]
fn a_list_row_says_nothing_about_lines_and_allocations() {
    for (entity, id_key) in TYPES {
        let row = json!({id_key: "1", "line_items": [], "invoices": [], "bills": []}).to_string();
        assert!(decoded(entity, Shape::List, &row).children.is_empty(), "{entity}");
    }
}

#[test]
fn one_payment_of_several_invoices_gives_a_row_for_each() {
    let payment = r#"{"payment_id":"1","payment_number":"7","amount":"250000.10","unused_amount":0.10,
      "invoices":[{"invoice_id":"11","invoice_number":"INV-1","invoice_amount":200000.00,"balance_amount":0.00,
        "amount_applied":200000.00,"tax_amount_withheld":0.00},
       {"invoice_id":12,"invoice_number":"INV-2","invoice_amount":90000.00,"balance_amount":40000.00,
        "amount_applied":50000.00,"tax_amount_withheld":""}]}"#;
    let record = decoded("customer_payments", Shape::Detail, payment);
    assert_eq!(literal(&record.fields), r#"{"amount":250000.10,"number":"7"}"#);
    assert_eq!(literal(&record.volatile), r#"{"unused_amount":0.10}"#);
    let rows: Vec<String> = record.children["customer_payment_allocations"].iter().map(literal).collect();
    let expected = [
        concat!(
            r#"{"amount_applied":200000.00,"document_balance":0.00,"document_number":"INV-1","#,
            r#""document_total":200000.00,"document_zoho_id":"11","position":1,"tax_amount_withheld":0.00}"#
        ),
        concat!(
            r#"{"amount_applied":50000.00,"document_balance":40000.00,"document_number":"INV-2","#,
            r#""document_total":90000.00,"document_zoho_id":"12","position":2,"tax_amount_withheld":null}"#
        ),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_number_that_zoho_writes_as_a_number_is_text() {
    let payment = r#"{"payment_id":"1","payment_number":7,"paid_through_account_id":"5","bills":[]}"#;
    let record = decoded("vendor_payments", Shape::Detail, payment);
    assert_eq!((&record.fields["number"], &record.fields["account_zoho_id"]), (&json!("7"), &json!("5")));
    assert_eq!(record.children["vendor_payment_allocations"], Vec::new());
}

#[test]
fn what_other_documents_move_is_no_change_of_an_order() {
    let order = |status: &str, shipped: u32| {
        let order = json!({"salesorder_id": "1", "status": status, "invoiced_status": status, "balance": shipped,
            "paid_status": status, "shipped_status": status, "order_status": status});
        decoded("sales_orders", Shape::Detail, &order.to_string())
    };
    let (open, closed) = (order("open", 1), order("closed", 2));
    assert_eq!(content_hash(&open), content_hash(&closed));
    assert_ne!(open.volatile, closed.volatile);
}

#[test]
fn quantities_of_lines_are_read_by_their_literal_text() {
    let order = r#"{"salesorder_id":"1","line_items":[{"line_item_id":"2","quantity":3.00,"quantity_invoiced":1.50,
      "quantity_packed":"","quantity_shipped":"1.0","quantity_cancelled":0}]}"#;
    let record = decoded("sales_orders", Shape::Detail, order);
    let line = &record.children["sales_order_lines"][0];
    let found: Vec<String> =
        ["quantity", "quantity_invoiced", "quantity_packed", "quantity_shipped", "quantity_cancelled"]
            .iter()
            .map(|column| line[*column].to_string())
            .collect();
    assert_eq!(found, ["3.00", "1.50", "null", "1.0", "0"]);
    let odd = r#"{"purchaseorder_id":"1","line_items":[{"quantity_billed":"ten"}]}"#;
    let error = decode("purchase_orders", Shape::Detail, odd).expect_err("no number");
    assert_eq!(error.to_string(), r#"purchase_orders 1: line_items[0].quantity_billed: "ten" is no number"#);
}
