use std::time::Duration;

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module};

use crate::support::Caller;

const ITEMS: &str = "/books/v3/items";

async fn stocked() -> Caller {
    let caller = Caller::new().await;
    caller.fake.generate(Module::ITEMS, 3);
    caller
}

#[tokio::test]
async fn the_next_calls_of_a_path_fail_and_then_no_more() {
    let caller = stocked().await;
    caller.fake.faults().next("/items", 2, Fault::Status(500, 1000, "Internal error".to_owned()));
    caller.ok("/books/v3/contacts", &[]).await;
    for _ in 0..2 {
        assert_eq!(caller.get(ITEMS, &[]).await.0, 500);
    }
    caller.ok(ITEMS, &[]).await;
    assert_eq!(caller.fake.faults().struck(), 2);
}

#[tokio::test]
async fn every_third_call_fails_until_cleared() {
    let caller = stocked().await;
    caller.fake.faults().every("", 3, Fault::CodeUnder200(1000));
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(caller.get(ITEMS, &[]).await.1["code"].as_i64().unwrap_or(-1));
    }
    assert_eq!(codes, [0, 0, 1000, 0, 0, 1000]);
    caller.fake.faults().clear();
    for _ in 0..3 {
        caller.ok(ITEMS, &[]).await;
    }
}

#[tokio::test]
async fn a_share_of_the_calls_fails() {
    let caller = stocked().await;
    caller.fake.faults().percent("/items", 80, Fault::Html(502));
    let mut failed = 0;
    for _ in 0..10 {
        failed += u32::from(caller.raw(ITEMS, &[]).await.status().as_u16() == 502);
    }
    assert_eq!(failed, 8);
}

#[tokio::test]
async fn bodies_can_be_html_empty_or_cut() {
    let caller = stocked().await;
    let faults = caller.fake.faults();
    faults.next("", 1, Fault::Html(502));
    faults.next("", 1, Fault::EmptyBody);
    faults.next("", 1, Fault::TruncatedJson);
    let html = caller.raw(ITEMS, &[]).await;
    assert_eq!(html.headers()["content-type"], "text/html");
    assert_eq!(caller.raw(ITEMS, &[]).await.text().await.expect("a body"), "");
    let cut = caller.raw(ITEMS, &[]).await.text().await.expect("a body");
    assert!(cut.starts_with('{') && serde_json::from_str::<Value>(&cut).is_err());
}

#[tokio::test]
async fn lists_can_have_a_wrong_form() {
    let caller = stocked().await;
    let faults = caller.fake.faults();
    faults.next("/items", 1, Fault::WrongEnvelope);
    faults.next("/items", 1, Fault::MissingPageContext);
    faults.next("/items", 1, Fault::EmptyPageWithMore);
    let wrong = caller.ok(ITEMS, &[]).await;
    assert!(wrong.get("items").is_none() && wrong["page_context"].is_object());
    let no_context = caller.ok(ITEMS, &[]).await;
    assert!(no_context["items"].is_array() && no_context.get("page_context").is_none());
    let empty = caller.ok(ITEMS, &[]).await;
    assert_eq!((&empty["items"], &empty["page_context"]["has_more_page"]), (&json!([]), &json!(true)));
}

#[tokio::test]
async fn throttling_can_carry_a_retry_after() {
    let caller = stocked().await;
    for retry_after in ["7", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        let fault = Fault::RetryAfter429 { retry_after: retry_after.to_owned(), code: 43 };
        caller.fake.faults().next("/items", 1, fault);
        let answer = caller.raw(ITEMS, &[]).await;
        assert_eq!(answer.status().as_u16(), 429);
        assert_eq!(answer.headers()["retry-after"], retry_after);
    }
}

#[tokio::test]
async fn an_answer_can_be_late() {
    let caller = stocked().await;
    caller.fake.faults().next("/items", 1, Fault::Delay(Duration::from_secs(30)));
    let late = tokio::time::timeout(Duration::from_millis(300), caller.ok(ITEMS, &[])).await;
    assert!(late.is_err());
    caller.ok(ITEMS, &[]).await;
}

#[tokio::test]
async fn tokens_can_fail_expire_and_mislead() {
    let mut caller = stocked().await;
    let faults = caller.fake.faults();
    faults.next("/oauth", 1, Fault::HostileApiDomain("https://evil.example.test".to_owned()));
    assert_eq!(caller.mint().await.1["api_domain"], "https://evil.example.test");
    faults.next("/oauth", 1, Fault::TokenError(json!({"error": "invalid_client"}), 200));
    assert_eq!(caller.mint().await, (200, json!({"error": "invalid_client"})));
    faults.next("/items", 1, Fault::ExpireToken);
    assert_eq!(caller.get(ITEMS, &[]).await.1["code"], 57);
    caller.sign_in().await;
    caller.ok(ITEMS, &[]).await;
}
