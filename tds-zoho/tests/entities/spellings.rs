//! Every spelling of a value that was seen, and spellings that cannot be read.

use serde_json::{Value, json};
use tds_core::{error::ErrorKind, record::Shape};

use crate::support::{decode, decoded};

fn column(entity: &str, id_key: &str, key: &str, column: &str, value: &str) -> Result<String, String> {
    let json = format!(r#"{{"{id_key}":"1","{key}":{value}}}"#);
    match decode(entity, Shape::Detail, &json) {
        Ok(record) => Ok(record.fields[column].to_string()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(key), "{error} does not name {key}");
            Err(error.to_string())
        }
    }
}

fn rate(value: &str) -> Result<String, String> {
    column("products", "item_id", "rate", "rate", value)
}

fn date(value: &str) -> Result<String, String> {
    column("invoices", "invoice_id", "date", "date", value)
}

fn created(value: &str) -> Result<String, String> {
    column("products", "item_id", "created_time", "zoho_created_at", value)
}

/// A production incident: `""` in a numeric field made a quarter of the items fail.
#[test]
fn an_empty_text_is_an_absent_number() {
    for absent in [r#""""#, "null", r#""  ""#] {
        assert_eq!(rate(absent), Ok("null".to_owned()));
        assert_eq!(date(absent), Ok("null".to_owned()));
        assert_eq!(created(absent), Ok("null".to_owned()));
    }
}

#[test]
fn a_number_keeps_its_literal_text_as_number_and_as_text() {
    for (value, read) in [
        ("360.00", "360.00"),
        ("\"360.00\"", "360.00"),
        ("\" -3 \"", "-3"),
        ("5.000000", "5.000000"),
        // The JSON parser adds the sign of an exponent.
        ("1e999", "1e+999"),
        ("\"1234567890123456789012345678901234567890.123\"", "1234567890123456789012345678901234567890.123"),
        ("9007199254740993", "9007199254740993"),
        ("\"+5\"", "5"),
        ("\"007.50\"", "7.50"),
        ("\".5\"", "0.5"),
        ("\"5.\"", "5"),
    ] {
        assert_eq!(rate(value), Ok(read.to_owned()), "{value}");
    }
}

/// A production incident: an unreadable number became 0.
#[test]
fn an_unreadable_number_is_an_error_that_shows_it() {
    for value in [
        r#""abc""#,
        r#""1,234.50""#,
        r#""NaN""#,
        r#""Infinity""#,
        r#""-""#,
        r#"".""#,
        "true",
        "[1]",
        "{}",
        r#""1 2""#,
        r#""0x10""#,
        r#""٣""#,
    ] {
        assert!(rate(value).is_err(), "{value} became {:?}", rate(value));
    }
    assert_eq!(rate(r#""abc""#), Err(r#"products 1: rate: "abc" is no number"#.to_owned()));
    let long = rate(&format!("\"{}\"", "é".repeat(500))).expect_err("no number");
    assert!(long.len() < 250, "{long}");
}

/// A production incident: an id that went through a float became the id of another record.
#[test]
fn ids_are_text_however_they_are_spelled() {
    for (value, read) in
        [("4320524000000077289", "4320524000000077289"), ("\" 7 \"", "7"), ("\"A-1_b\"", "A-1_b")]
    {
        let record = decoded("products", Shape::Detail, &format!(r#"{{"item_id":{value}}}"#));
        assert_eq!(record.id.as_str(), read);
    }
    let long = format!("\"{}\"", "9".repeat(101));
    for value in ["\"\"", "null", "4.3e18", "1.0", "true", "[]", r#""../1""#, r#""1,2""#, r#""a b""#, &long] {
        let error = decode("products", Shape::Detail, &format!(r#"{{"item_id":{value}}}"#)).expect_err(value);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with("item_id"), "{error}");
    }
    assert_eq!(column("products", "item_id", "tax_id", "tax_zoho_id", "\"\""), Ok("null".to_owned()));
    assert_eq!(column("products", "item_id", "tax_id", "tax_zoho_id", "12"), Ok("\"12\"".to_owned()));
    assert!(column("products", "item_id", "tax_id", "tax_zoho_id", &long).is_err());
}

#[test]
fn times_come_with_an_offset_in_any_form_and_are_kept_in_utc() {
    for value in [
        "2026-09-14T15:44:57+0300",
        "2026-09-14T15:44:57+03:00",
        "2026-09-14T12:44:57Z",
        "2026-09-14T05:14:57-0730",
    ] {
        assert_eq!(created(&format!("\"{value}\"")), Ok("\"2026-09-14T12:44:57Z\"".to_owned()), "{value}");
    }
    for value in ["2026-09-14T15:44:57", "2026-09-14", "14/09/2026 15:44", "soon", "9999-12-31T23:59:59-2359"]
    {
        assert!(created(&format!("\"{value}\"")).is_err(), "{value} was read");
    }
    assert!(created("1768000000").is_err());
}

#[test]
fn only_dates_that_mean_one_day_for_everybody_are_read() {
    for (value, read) in [
        ("2026-11-17", "2026-11-17"),
        ("2026/11/07", "2026-11-07"),
        ("2026-11-17T23:59:00+0300", "2026-11-17"),
        ("17/11/2026", "2026-11-17"),
        ("11/17/2026", "2026-11-17"),
        ("11/11/2026", "2026-11-11"),
        ("07 Nov 2026", "2026-11-07"),
        ("November 7, 2026", "2026-11-07"),
    ] {
        assert_eq!(date(&format!("\"{value}\"")), Ok(format!("\"{read}\"")), "{value}");
    }
    for value in [
        "05/06/2026",
        "2026-02-30",
        "17/11/26",
        "today",
        "2026-11",
        "0/0/2026",
        "32/13/2026",
        "--",
        "2026-é1-07",
    ] {
        assert!(date(&format!("\"{value}\"")).is_err(), "{value} became {:?}", date(&format!("\"{value}\"")));
    }
}

#[test]
fn flags_and_whole_numbers_may_be_texts() {
    let flag = |value: &Value| {
        let list = json!({"pricebook_id":"1","pricebook_items":[],"is_increase":value});
        decode("prices", Shape::Detail, &list.to_string())
            .map(|record| record.fields["is_increase"].clone())
            .ok()
    };
    assert_eq!(flag(&json!("true")), Some(json!(true)));
    assert_eq!(flag(&json!("False")), Some(json!(false)));
    assert_eq!(flag(&json!("")), Some(Value::Null));
    assert_eq!(flag(&json!("yes")), None);
    let terms = |value: &str| column("customers", "contact_id", "payment_terms", "payment_terms", value);
    assert_eq!(terms("\"15\""), Ok("15".to_owned()));
    assert_eq!(terms("15.00"), Ok("15".to_owned()));
    assert!(terms("15.5").is_err() && terms("99999999999999999999").is_err());
}

#[test]
fn a_text_may_be_a_number_and_nothing_may_be_an_empty_list() {
    let name = |value: &str| column("products", "item_id", "name", "name", value);
    assert_eq!(name("4.50"), Ok("\"4.50\"".to_owned()));
    assert_eq!(name("true"), Ok("\"true\"".to_owned()));
    assert_eq!(name("[]"), Ok("null".to_owned()));
    assert!(name("[1]").is_err());
    assert_eq!(
        column("products", "item_id", "upc", "upc", "12345678901234567890"),
        Ok("\"12345678901234567890\"".to_owned())
    );
}
