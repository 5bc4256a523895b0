//! What is refused before a call is spent, and what waits.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tds_core::{
    error::ErrorKind,
    outbound::{LocalRecord, WriteError},
};
use tds_zoho::write::contracts;

use crate::local::{Ids, UNIQUE, contract, digits, local};

/// Returns the text of a refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, WriteError>) -> String {
    match result.expect_err("a refusal") {
        WriteError::Refused(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            error.to_string()
        }
        other => panic!("no refusal: {other:?}"),
    }
}

fn update(entity: &str, record: &LocalRecord, changed: &[&str]) -> Result<usize, WriteError> {
    let changed: BTreeSet<String> = changed.iter().map(|name| (*name).to_owned()).collect();
    contract(entity).update(record, &changed, UNIQUE).map(|calls| calls.len())
}

fn with(entity: &str, column: &str, value: Value) -> LocalRecord {
    let mut record = local(entity, 1, &Ids::default());
    record.fields.insert(column.to_owned(), value);
    record
}

#[test]
fn a_record_waits_for_the_records_that_it_refers_to() {
    let mut invoice = with("invoices", "customer_zoho_id", Value::Null);
    invoice.fields.insert("customer_id".to_owned(), json!(17));
    invoice.fields.insert("currency_zoho_id".to_owned(), Value::Null);
    let lines = invoice.children.get_mut("invoice_lines").expect("lines");
    for line in lines {
        line.insert("product_zoho_id".to_owned(), Value::Null);
        line.insert("product_id".to_owned(), json!(4));
    }
    let error = contract("invoices").create(&invoice, UNIQUE).expect_err("a wait");
    assert_eq!(error.to_string(), "waits for customers 17, currencies USD, products 4");
    let WriteError::WaitsFor(awaited) = error else { panic!("{error}") };
    assert_eq!((awaited[0].entity.as_str(), awaited[0].local_id.as_str()), ("customers", "17"));

    let mut payment = local("customer_payments", 1, &Ids::default());
    let rows = payment.children.get_mut("customer_payment_allocations").expect("rows");
    rows[0].insert("document_zoho_id".to_owned(), Value::Null);
    rows[0].insert("document_id".to_owned(), json!(9));
    let error = contract("customer_payments").create(&payment, UNIQUE).expect_err("a wait");
    assert_eq!(error.to_string(), "waits for invoices 9");
    // Waiting would not mend a fault of the record itself.
    payment.fields.insert("date".to_owned(), json!("28.11.2026"));
    assert!(refused(contract("customer_payments").create(&payment, UNIQUE)).contains("is not a date"));
}

#[test]
fn a_record_without_what_zoho_requires_is_refused_with_everything_that_it_lacks() {
    let mut invoice = with("invoices", "customer_zoho_id", Value::Null);
    invoice.children.clear();
    let text = refused(contract("invoices").create(&invoice, UNIQUE));
    let expected = "the invoice cannot be written to Zoho: customer_zoho_id or customer_id is missing: enter it; \
                    it has no lines in invoice_lines: enter at least one";
    assert_eq!(text, expected);
    for (entity, column) in [
        ("customers", "name"),
        ("products", "rate"),
        ("credit_notes", "number"),
        ("bills", "number"),
        ("customer_payments", "payment_mode"),
        ("vendor_payments", "amount"),
        ("stock", "reason"),
        ("prices", "pricebook_type"),
    ] {
        let text = refused(contract(entity).create(&with(entity, column, Value::Null), UNIQUE));
        assert!(text.contains(&format!("{column} is missing")), "{text}");
    }
    let mut order = local("sales_orders", 1, &Ids::default());
    order.children.get_mut("sales_order_lines").expect("lines")[0].remove("rate");
    let text = refused(contract("sales_orders").create(&order, UNIQUE));
    assert!(text.ends_with("line 2: rate is missing: enter it"), "{text}");
}

#[test]
fn values_that_zoho_would_refuse_are_refused_first() {
    let cases = [
        ("invoices", "date", json!("2026-02-30"), "date \"2026-02-30\" is not a date"),
        ("invoices", "shipping_charge", json!("5,00"), "shipping_charge 5,00 is not a plain number"),
        ("invoices", "location_zoho_id", json!("main"), "location_zoho_id \"main\" is not an id"),
        ("customers", "name", json!("x".repeat(201)), "name has 201 characters, and Zoho takes 200"),
        ("customers", "payment_terms", digits("15.5"), "payment_terms 15.5 is not a whole number"),
        ("customers", "billing_address", json!("1 River St"), "billing_address is not a JSON object"),
        ("customers", "contact_persons", json!({}), "contact_persons is not a JSON list"),
        ("products", "custom_fields", json!({"cf_shelf": {"a": 1}}), "cf_shelf is an object"),
        ("prices", "is_increase", json!("yes"), "is_increase is not true or false"),
        ("purchase_orders", "discount", json!("five%"), "discount five% is not a percentage"),
    ];
    for (entity, column, value, expected) in cases {
        let text = refused(contract(entity).create(&with(entity, column, value), UNIQUE));
        assert!(text.contains(expected), "{text}");
    }
    let text = refused(
        contract("customer_payments").create(&with("customer_payments", "amount", digits("14.99")), UNIQUE),
    );
    assert!(text.contains("15.00 is applied to documents, but the payment has only 14.99"), "{text}");
    let two_prices = with("prices", "pricing_scheme", json!("unit"));
    assert!(refused(contract("prices").create(&two_prices, UNIQUE)).contains("has two prices"));
    let elsewhere = with("stock", "location_zoho_id", json!("46000000000000001"));
    assert!(refused(contract("stock").create(&elsewhere, UNIQUE)).contains("several locations"));
}

#[test]
fn read_only_columns_say_what_to_change_instead() {
    for contract in contracts() {
        let record = local(contract.entity.as_str(), 1, &Ids::default()).at_source("460000000099001", None);
        // Adjustments never change, whatever the column.
        for read_only in contract.read_only.iter().filter(|_| contract.schema.is_none()) {
            let text = refused(update(contract.entity.as_str(), &record, &[read_only.column]));
            assert!(
                text.contains(&format!("{} cannot be written: {}", read_only.column, read_only.reason)),
                "{text}"
            );
        }
    }
    let product = local("products", 1, &Ids::default()).at_source("460000000099001", Some("active"));
    let cases = [
        ("item_type", "item_type cannot be written: it cannot change once the product exists"),
        ("raw", "raw cannot be written: TDS itself keeps it"),
        ("colour", "colour cannot be written: it is not a column that Zoho knows"),
    ];
    for (column, expected) in cases {
        let text = refused(update("products", &product, &[column]));
        assert!(text.contains(expected), "{text}");
    }
    let mut emptied = product.clone();
    emptied.fields.insert("purchase_rate".to_owned(), Value::Null);
    assert!(refused(update("products", &emptied, &["purchase_rate"])).contains("Zoho has no empty value"));
    let unborn = local("products", 1, &Ids::default());
    assert!(refused(update("products", &unborn, &["name"])).contains("has to be created first"));
    assert!(refused(contract("products").remove(&unborn)).contains("nothing to remove"));
    assert!(refused(contract("stock").remove(&product)).contains("enter the opposite difference"));
}

#[test]
fn a_status_that_no_call_reaches_is_refused() {
    let mut invoice = with("invoices", "status", json!("paid")).at_source("460000000099001", Some("sent"));
    assert!(refused(update("invoices", &invoice, &["status"])).contains("enter a payment or a credit"));
    invoice.fields.insert("status".to_owned(), json!("draft"));
    let text = refused(update("invoices", &invoice, &["status"]));
    assert!(
        text.contains("status cannot change from sent to draft: Zoho has calls to sent, void, draft"),
        "{text}"
    );
    invoice.fields.insert("status".to_owned(), Value::Null);
    assert!(refused(update("invoices", &invoice, &["status"])).contains("status is empty"));
}
