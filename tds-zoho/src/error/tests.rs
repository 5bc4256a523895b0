use tds_core::{ErrorKind, Retry};

use super::{Fault, Limit, judge};

fn fault(status: u16, body: &str) -> Fault {
    judge(status, body.as_bytes()).expect_err("a fault")
}

#[test]
fn every_recorded_answer_of_the_api_has_its_class() {
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../tests/data/zoho-samples/errors.json")).expect("samples");
    let mut classes = Vec::new();
    for row in rows.iter().filter(|row| row["where"].as_str().is_some_and(|place| place.starts_with("API"))) {
        let status = u16::try_from(row["http"].as_u64().expect("status")).expect("status");
        let name = match fault(status, &row["body"].to_string()) {
            Fault::Limit(Limit::Day, _) => "day",
            Fault::Limit(Limit::Minute, _) => "minute",
            Fault::Limit(Limit::Concurrency, _) => "concurrency",
            Fault::Token(_) => "token",
            Fault::NotFound(_) => "not found",
            Fault::Server(_) => "server",
            Fault::Refused(_) => "refused",
            other => panic!("{other:?}"),
        };
        classes.push(name);
    }
    assert_eq!(classes, ["day", "minute", "concurrency", "token", "token", "not found", "server", "refused"]);
}

#[test]
fn a_body_that_is_not_in_zohos_form_under_200_breaks_the_protocol() {
    for body in [
        "",
        "  \n",
        "<html>busy</html>",
        "{\"code\":0,\"items\":[{\"it",
        "[]",
        "\"code\"",
        "{}",
        "{\"code\":null}",
        "{\"code\":\"x\"}",
        "\u{feff}{\"code\":0}",
        "plain",
    ] {
        let fault = fault(200, body);
        assert!(matches!(fault, Fault::Protocol(_)), "{body:?}: {fault:?}");
        assert!(matches!(fault.into_error(None).retry(), Retry::Transient { .. }));
    }
    assert!(matches!(judge(200, b"\xff\xfe{\x00"), Err(Fault::Protocol(_))));
}

#[test]
fn a_code_under_200_decides() {
    assert!(judge(200, br#"{"code":0,"message":"success"}"#).is_ok());
    assert!(judge(201, br#"{"code":"0"}"#).is_ok());
    assert!(matches!(fault(200, r#"{"code":1002}"#), Fault::NotFound(_)));
    assert!(matches!(fault(200, r#"{"code":57}"#), Fault::Token(_)));
    assert!(matches!(fault(400, r#"{"code":57}"#), Fault::Token(_)));
    assert!(matches!(fault(200, r#"{"code":44}"#), Fault::Limit(Limit::Minute, _)));
    assert!(matches!(fault(200, r#"{"code":1000}"#), Fault::Server(_)));
    assert!(matches!(fault(200, r#"{"code":2}"#), Fault::Refused(_)));
}

#[test]
fn only_zohos_own_404_means_that_a_record_is_gone() {
    assert!(matches!(fault(404, r#"{"code":1002,"message":"Item does not exist."}"#), Fault::NotFound(_)));
    assert!(matches!(fault(404, "<html>not found</html>"), Fault::Protocol(_)));
    assert!(matches!(fault(404, ""), Fault::Protocol(_)));
    let wrong_address = fault(404, r#"{"code":5,"message":"Invalid URL Passed"}"#).into_error(None);
    assert_eq!((wrong_address.kind(), wrong_address.retry()), (ErrorKind::Config, Retry::Permanent));
}

#[test]
fn statuses_decide_where_there_is_no_code() {
    for status in [500, 502, 503, 504, 408] {
        assert!(matches!(fault(status, "<html>"), Fault::Server(_)), "{status}");
    }
    assert!(matches!(fault(429, ""), Fault::Limit(Limit::Minute, _)));
    assert!(matches!(fault(429, r#"{"code":99}"#), Fault::Limit(Limit::Minute, _)));
    assert!(matches!(fault(401, ""), Fault::Token(_)));
    assert!(matches!(fault(302, ""), Fault::Protocol(_)));
    assert!(matches!(fault(405, "<html>"), Fault::Refused(_)));
    assert!(matches!(fault(422, r#"{"code":0}"#), Fault::Refused(_)));
}

#[test]
fn errors_carry_zohos_message_in_one_line_and_nothing_else_of_the_body() {
    let body = serde_json::json!({"code": 2, "message": format!("first\nsecond {}", "x".repeat(1000)), "email": "canary"});
    let error = fault(400, &body.to_string()).into_error(None);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, Retry::Permanent));
    let text = error.chain();
    assert!(text.starts_with("Zoho answered HTTP 400, code 2: first second x"), "{text}");
    assert!(text.len() < 350 && !text.contains("canary"), "{text}");
}

proptest::proptest! {
    #[test]
    fn any_answer_is_judged_without_a_panic(status in 0u16..1000, body: Vec<u8>) {
        let _judged = judge(status, &body);
    }
}
