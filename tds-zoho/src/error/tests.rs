use std::time::Duration;

use tds_core::error::ErrorKind;

use super::{About, Fault, Limit, judge, judge_file};

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
        assert_eq!(fault.about(), About::Connection);
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
    assert!(matches!(fault(404, r#"{"code":404,"message":"Not Found"}"#), Fault::Protocol(_)));
    assert!(matches!(fault(404, r#"{"code":2006,"message":"The item is not found."}"#), Fault::NotFound(_)));
    assert!(matches!(fault(404, r#"{"code":7,"message":"No route"}"#), Fault::Refused(_)));
    let wrong_address = fault(404, r#"{"code":5,"message":"Invalid URL Passed"}"#);
    assert!(wrong_address.to_string().contains("the URL of the API"), "{wrong_address}");
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
    assert!(matches!(fault(405, "<html>"), Fault::Protocol(_)));
    assert!(matches!(fault(422, r#"{"code":0}"#), Fault::Protocol(_)));
}

#[test]
fn errors_carry_zohos_message_in_one_line_and_nothing_else_of_the_body() {
    let body = serde_json::json!({"code": 2, "message": format!("first\nsecond {}", "x".repeat(1000)), "email": "canary"});
    let text = fault(400, &body.to_string()).to_string();
    assert!(text.starts_with("Zoho answered HTTP 400, code 2: first second x"), "{text}");
    assert!(text.len() < 350 && !text.contains("canary"), "{text}");
}

/// The table of answers: the status, the body, and what the answer concerns.
const TABLE: &[(u16, &str, About)] = {
    const RECORD: About = About::Record;
    const ACCOUNT: About = About::Account { everywhere: false };
    const ORGANIZATION: About = About::Account { everywhere: true };
    const LIMIT: About = About::Limit;
    const CONNECTION: About = About::Connection;
    &[
        // Answers that concern the record.
        (404, r#"{"code":1002,"message":"Invoice does not exist."}"#, RECORD),
        (200, r#"{"code":1002,"message":"Invoice does not exist."}"#, RECORD),
        (404, r#"{"code":2006,"message":"The item is not found."}"#, RECORD),
        (400, r#"{"code":2,"message":"Invalid value passed for item_id"}"#, RECORD),
        (400, r#"{"code":11,"message":"Enter a valid date"}"#, RECORD),
        (400, r#"{"code":15,"message":"The note is too long"}"#, RECORD),
        (400, r#"{"code":1001,"message":"The item exists"}"#, RECORD),
        (400, r#"{"code":1038,"message":"JSON is not well formed"}"#, RECORD),
        (400, r#"{"code":1099,"message":"Throttle is no unit"}"#, RECORD),
        (422, r#"{"code":9999,"message":"The currency of the document differs"}"#, RECORD),
        // Answers that concern the account, for this kind of call.
        (401, r#"{"code":57,"message":"You are not authorized to perform this operation"}"#, ACCOUNT),
        (401, r#"{"code":14,"message":"Invalid value passed for authtoken."}"#, ACCOUNT),
        (400, r#"{"code":57,"message":"You are not authorized to perform this operation"}"#, ACCOUNT),
        (401, r#"{"code":9,"message":"no"}"#, ACCOUNT),
        (403, r#"{"code":1,"message":"no"}"#, ACCOUNT),
        (400, r#"{"code":7777,"message":"You do not have permission for this module"}"#, ACCOUNT),
        (404, r#"{"code":5,"message":"Invalid URL Passed"}"#, ACCOUNT),
        // Answers that concern the organization, for the whole product.
        (
            400,
            r#"{"code":6041,"message":"This user is not associated with the CompanyID/CompanyName:10234695."}"#,
            ORGANIZATION,
        ),
        (400, r#"{"code":9017,"message":"This organization is not of this plan"}"#, ORGANIZATION),
        (400, r#"{"code":103001,"message":"The organization has moved"}"#, ORGANIZATION),
        (401, r#"{"code":6041}"#, ACCOUNT),
        (400, r#"{"code":8,"message":"Please use the zohoapis domain for API requests"}"#, ORGANIZATION),
        (400, r#"{"message":"Use the ZohoAPIs domain"}"#, ORGANIZATION),
        (400, r#"{"error":"invalid_client"}"#, ORGANIZATION),
        (400, r#"{"code":2,"message":"Invalid value passed for organization_id"}"#, ORGANIZATION),
        // Answers that concern a limit.
        (429, "", LIMIT),
        (429, "<html>", LIMIT),
        (429, r#"{"code":43}"#, LIMIT),
        (429, r#"{"code":44}"#, LIMIT),
        (429, r#"{"code":45}"#, LIMIT),
        (429, r#"{"code":1070}"#, LIMIT),
        (429, r#"{"code":6041}"#, LIMIT),
        (400, r#"{"code":44}"#, LIMIT),
        (
            400,
            r#"{"message":"Cannot execute more than 100 requests per API in 2 minutes. Try again after 22 minutes"}"#,
            LIMIT,
        ),
        (400, "Cannot execute more than 100 requests per API in 2 minutes.", LIMIT),
        (403, r#"{"message":"The request was throttled"}"#, LIMIT),
        (200, r#"{"message":"Too many requests"}"#, LIMIT),
        // Answers that concern the connection to Zoho.
        (500, r#"{"code":1000,"message":"Internal error"}"#, CONNECTION),
        (400, r#"{"code":1000,"message":"Internal error"}"#, CONNECTION),
        (500, "", CONNECTION),
        (502, "<html>Bad Gateway</html>", CONNECTION),
        (503, "busy", CONNECTION),
        (504, "", CONNECTION),
        (408, "", CONNECTION),
        (200, "<html>Login</html>", CONNECTION),
        (400, "<html>Blocked</html>", CONNECTION),
        (401, "<html>Proxy</html>", CONNECTION),
        (403, "<html>Blocked by the firewall</html>", CONNECTION),
        (404, "<html>Not found</html>", CONNECTION),
        (200, "", CONNECTION),
        (204, "", CONNECTION),
        (400, "", CONNECTION),
        (401, "", CONNECTION),
        (403, "", CONNECTION),
        (404, "", CONNECTION),
        (200, r#"{"code":0,"items":[{"it"#, CONNECTION),
        (400, r#"{"code":2,"mess"#, CONNECTION),
        (200, r#"{"items":[]}"#, CONNECTION),
        (400, r#"{"message":"no"}"#, CONNECTION),
        (404, r#"{"code":0}"#, CONNECTION),
        (400, r#"{"code":400,"message":"Bad Request"}"#, CONNECTION),
        (404, r#"{"code":404,"message":"Not Found"}"#, CONNECTION),
        (301, "", CONNECTION),
        (307, r#"{"code":2}"#, CONNECTION),
    ]
};

#[test]
fn every_answer_is_about_the_record_the_account_the_limit_or_the_connection() {
    for (status, body, about) in TABLE {
        let fault = fault(*status, body);
        assert_eq!(fault.about(), *about, "HTTP {status} {body}: {fault:?}");
    }
}

#[test]
fn the_wait_that_a_text_names_is_read() {
    for (text, seconds) in [
        (
            "Cannot execute more than 100 requests per API in 2 minutes. Try again after 22 minutes",
            Some(1_320),
        ),
        ("throttled, try again after 30 seconds.", Some(30)),
        ("Throttled: try again in 1 hour", Some(3_600)),
        ("Try again after 99999999999999999999 minutes", None),
        ("Try again after a while, throttled", None),
        ("throttled", None),
    ] {
        let body = serde_json::json!({"message": text}).to_string();
        let Fault::Limit(Limit::Minute, words) = fault(400, &body) else { panic!("no limit: {text}") };
        assert_eq!(words.named_wait(), seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn a_file_is_what_came_with_a_success_and_is_neither_json_nor_a_page() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0";
    for (content_type, body) in [
        ("image/png", PNG),
        ("", PNG),
        ("application/octet-stream", b"%PDF-1.7".as_slice()),
        ("image/svg+xml", b"<svg/>"),
    ] {
        assert_eq!(judge_file(200, content_type, body), Ok(()), "{content_type}");
    }
    let json = |code: i64| format!(r#" {{"code":{code},"message":"Image refused"}}"#).into_bytes();
    for (status, content_type, body, about) in [
        // Errors come as JSON whatever the status and the content type say.
        (200, "image/png", json(2006), About::Record),
        (400, "application/json", json(2006), About::Record),
        (404, "application/json", json(1002), About::Record),
        (200, "image/png", json(57), About::Account { everywhere: false }),
        (401, "application/json", json(57), About::Account { everywhere: false }),
        (400, "application/json", json(6041), About::Account { everywhere: true }),
        (429, "application/json", json(44), About::Limit),
        (200, "application/json", json(45), About::Limit),
        (500, "image/png", PNG.to_vec(), About::Connection),
        (404, "image/png", PNG.to_vec(), About::Connection),
        (200, "text/html", b"<html><body>Bad Gateway</body></html>".to_vec(), About::Connection),
        (200, "text/plain", b"busy".to_vec(), About::Connection),
        (200, "image/png", Vec::new(), About::Connection),
        (200, "application/json", json(0), About::Connection),
    ] {
        let fault = judge_file(status, content_type, &body).expect_err("no file");
        assert_eq!(fault.about(), about, "HTTP {status} {content_type}: {fault:?}");
    }
    let long = Fault::too_long(200, 10);
    assert_eq!((long.about(), long.kind()), (About::Record, ErrorKind::Invalid));
    assert!(long.to_string().contains("longer than 10 bytes"), "{long}");
}

proptest::proptest! {
    #[test]
    fn any_answer_is_judged_without_a_panic(status in 0u16..1000, body: Vec<u8>) {
        let _judged = judge(status, &body);
    }
}

#[test]
fn every_name_of_a_fault_is_listed() {
    let words = || match fault(404, r#"{"code":1002,"message":"no"}"#) {
        Fault::NotFound(words) => words,
        other => panic!("{other:?}"),
    };
    let faults = [
        Fault::NotFound(words()),
        Fault::Token(words()),
        Fault::Organization(words()),
        Fault::Forbidden(words()),
        Fault::Limit(Limit::Minute, words()),
        Fault::Limit(Limit::Day, words()),
        Fault::Limit(Limit::Concurrency, words()),
        Fault::Server(words()),
        Fault::Protocol(String::new()),
        Fault::Unreachable(String::new()),
        Fault::Refused(words()),
        Fault::WrongAddress(words()),
    ];
    assert_eq!(faults.each_ref().map(Fault::name), Fault::NAMES);
}
