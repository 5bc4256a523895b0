use std::time::Duration;

use serde_json::json;
use tds_zoho::testkit::TokenRules;

use crate::support::Caller;

const ITEMS: &str = "/books/v3/items";

#[tokio::test]
async fn a_call_without_a_right_token_is_refused() {
    let caller = Caller::new().await;
    let bare = caller.http.get(format!("{}{ITEMS}", caller.fake.api_url())).send().await.expect("an answer");
    assert_eq!(bare.status().as_u16(), 401);
    assert_eq!(bare.json::<serde_json::Value>().await.expect("JSON")["code"], 14);
    let unknown = caller.http.get(format!("{}{ITEMS}", caller.fake.api_url()));
    let unknown = unknown.header("authorization", "Zoho-oauthtoken no").send().await.expect("an answer");
    assert_eq!(unknown.json::<serde_json::Value>().await.expect("JSON")["code"], 57);
}

#[tokio::test]
async fn another_organization_is_refused() {
    let caller = Caller::new().await;
    let (status, body) = caller.get(ITEMS, &[("organization_id", "1")]).await;
    assert_eq!((status, &body["code"]), (400, &json!(6041)));
}

#[tokio::test]
async fn a_token_dies_after_its_calls() {
    let fake = tds_zoho::testkit::FakeZoho::start().await;
    fake.set_token_rules(TokenRules { calls: Some(3), ..TokenRules::default() });
    let mut caller = Caller::of(fake).await;
    for _ in 0..3 {
        caller.ok(ITEMS, &[]).await;
    }
    assert_eq!(caller.get(ITEMS, &[]).await.1["code"], 57);
    caller.sign_in().await;
    caller.ok(ITEMS, &[]).await;
    assert_eq!(caller.fake.mints(), 2);
}

#[tokio::test]
async fn a_token_dies_of_age() {
    let fake = tds_zoho::testkit::FakeZoho::start().await;
    fake.set_token_rules(TokenRules {
        lifetime: Duration::ZERO,
        stated_lifetime: Some(3_600),
        ..TokenRules::default()
    });
    let caller = Caller::of(fake).await;
    assert_eq!(caller.get(ITEMS, &[]).await.0, 401);
    assert_eq!(caller.mint().await.1["expires_in"], 3_600);
}

#[tokio::test]
async fn all_tokens_can_be_ended() {
    let caller = Caller::new().await;
    caller.fake.expire_tokens();
    assert_eq!(caller.get(ITEMS, &[]).await.0, 401);
}

#[tokio::test]
async fn more_than_ten_tokens_in_ten_minutes_are_throttled() {
    let caller = Caller::new().await;
    for _ in 0..9 {
        assert!(caller.mint().await.1["access_token"].is_string());
    }
    let (status, body) = caller.mint().await;
    assert_eq!((status, &body["error"]), (400, &json!("Access Denied")));
    assert_eq!((caller.fake.mints(), caller.fake.token_requests()), (10, 11));
    caller.fake.set_token_rules(TokenRules { throttle_status: 200, ..TokenRules::default() });
    assert_eq!(caller.mint().await.0, 200, "the other status that has been seen");
}

#[tokio::test]
async fn a_revoked_refresh_token_is_an_error_under_status_200() {
    let caller = Caller::new().await;
    caller.fake.revoke_refresh_token(true);
    assert_eq!(caller.mint().await, (200, json!({"error": "invalid_code"})));
    caller.fake.revoke_refresh_token(false);
    assert!(caller.mint().await.1["access_token"].is_string());
}

#[tokio::test]
async fn a_json_body_is_not_read_and_get_is_refused() {
    let caller = Caller::new().await;
    let url = format!("{}/oauth/v2/token", caller.fake.accounts_url());
    let credentials = caller.fake.credentials();
    let body = json!({"client_id": credentials.client_id, "grant_type": "refresh_token"});
    let answer = caller.http.post(&url).json(&body).send().await.expect("an answer");
    assert_eq!(answer.json::<serde_json::Value>().await.expect("JSON")["error"], "invalid_client");
    assert_eq!(caller.http.get(&url).send().await.expect("an answer").status().as_u16(), 405);
}
