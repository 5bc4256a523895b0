use serde_json::{Value, json};
use tds_core::{
    error::{ErrorKind, Retry},
    record::Shape,
};

use crate::support::{decode, decoded, literal, sample};

fn detail(name: &str) -> String {
    sample(name)["pricebook"].to_string()
}

#[test]
fn a_recorded_list_of_single_prices_gives_one_row_each() {
    let record = decoded("prices", Shape::Detail, &detail("books-pricebook-detail-unit.json"));
    let rows: Vec<String> = record.children["price_list_items"].iter().map(literal).collect();
    let expected = [
        r#"{"discount":null,"end_quantity":null,"product_zoho_id":"982000000880001","rate":64.41,"start_quantity":null}"#,
        r#"{"discount":null,"end_quantity":null,"product_zoho_id":"982000000880002","rate":120,"start_quantity":null}"#,
    ];
    assert_eq!(rows, expected);
    let head = concat!(
        r#"{"currency_code":"INR","description":null,"is_increase":false,"name":"Retail Partner A","percentage":null,"#,
        r#""pricebook_type":"per_item","pricing_scheme":"unit","rounding_type":"no_rounding","#,
        r#""sales_or_purchase_type":"sales","status":"active"}"#
    );
    assert_eq!(literal(&record.fields), head);
    assert_eq!(record.version, None, "the detail of a price list has no time of change");
}

#[test]
fn a_recorded_volume_list_gives_a_row_for_each_bracket() {
    let record = decoded("prices", Shape::Detail, &detail("books-pricebook-detail-volume.json"));
    let brackets: Vec<[String; 3]> = record.children["price_list_items"]
        .iter()
        .map(|row| ["start_quantity", "end_quantity", "rate"].map(|name| row[name].to_string()))
        .collect();
    assert_eq!(brackets, [["10.0", "19.0", "19.0"], ["20.0", "49.0", "18.0"], ["50.0", "null", "15.84"]]);
}

#[test]
fn recorded_list_rows_carry_the_version_and_no_items() {
    for row in sample("books-pricebooks-list.json")["pricebooks"].as_array().expect("rows") {
        let record = decoded("prices", Shape::List, &row.to_string());
        assert!(record.version.is_some());
        assert!(record.children.is_empty());
    }
}

#[test]
fn a_percentage_list_has_no_items_and_an_inactive_one_is_a_list_too() {
    let list = sample("books-pricebooks-list.json")["pricebooks"][2].clone();
    let record = decoded("prices", Shape::Detail, &list.to_string());
    assert_eq!(record.children["price_list_items"], Vec::new());
    assert_eq!(record.fields["percentage"].to_string(), "35.71");
    assert_eq!(record.fields["is_increase"], true);
    assert_eq!(record.fields["currency_code"], Value::Null);
    assert_eq!(record.fields["status"], "inactive");
    assert_eq!(record.fields["rounding_type"], "round_to_dollar");
}

/// A production incident: the base rate was shown as the price of a list.
#[test]
fn an_absent_price_is_null_and_never_the_base_rate() {
    let list = json!({"pricebook_id":"1","pricebook_type":"per_item","rounding_type":"round_to_dollor","pricebook_items":[
        {"item_id":"7","rate":9.99,"sales_rate":9.99,"pricebook_rate":"","pricebook_discount":"5%"},
        {"item_id":8,"rate":9.99}]});
    let record = decoded("prices", Shape::Detail, &list.to_string());
    let rows = &record.children["price_list_items"];
    assert_eq!((&rows[0]["rate"], &rows[0]["discount"]), (&Value::Null, &json!("5%")));
    assert_eq!((&rows[1]["rate"], &rows[1]["product_zoho_id"]), (&Value::Null, &json!("8")));
    assert_eq!(record.fields["rounding_type"], "round_to_dollor");
}

/// A production incident: an empty set replaced a good price table.
#[test]
fn a_list_of_prices_that_came_without_its_items_is_an_error_and_no_empty_set() {
    for json in [
        r#"{"pricebook_id":"1","pricebook_type":"per_item"}"#,
        r#"{"pricebook_id":"1","pricebook_type":"per_item","pricebook_items":""}"#,
        r#"{"pricebook_id":"1"}"#,
    ] {
        let error = decode("prices", Shape::Detail, json).expect_err(json);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.retry(), Retry::Transient { retry_after: None });
    }
}

#[test]
fn a_price_of_no_product_is_an_error_of_its_list() {
    for item in [json!({"pricebook_rate":1}), json!({"item_id":"","pricebook_rate":1}), json!(5)] {
        let list = json!({"pricebook_id":"1","pricebook_items":[item]}).to_string();
        assert_eq!(
            decode("prices", Shape::Detail, &list).expect_err("no product").kind(),
            ErrorKind::Invalid
        );
    }
}

#[test]
fn sentinel_prices_and_40_digits_keep_their_literal_text() {
    let text = "1234567890123456789012345678901234567890.5";
    for rate in ["55555", text, "1e+999", "-0"] {
        let list = format!(
            r#"{{"pricebook_id":"1","pricebook_items":[{{"item_id":"7","pricebook_rate":{rate}}}]}}"#
        );
        let record = decoded("prices", Shape::Detail, &list);
        assert_eq!(record.children["price_list_items"][0]["rate"].to_string(), rate);
    }
}
