use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use tds_core::{
    error::{ErrorKind, Retry},
    hint::Hint,
    queue::Lane,
};
use wiremock::ResponseTemplate;

use super::support::{TOKEN_PATH, Zoho, bearer, call, client, refusal, success, token};
use crate::health::ZohoState;

#[tokio::test]
async fn many_callers_at_once_cost_one_mint_and_the_secrets_go_in_the_body() {
    let zoho = Zoho::without_tokens().await;
    let slow =
        |_| token(json!({"access_token": "t1", "expires_in": 3600})).set_delay(Duration::from_millis(100));
    zoho.tokens(slow).await;
    zoho.api(|_| success()).await;
    let client = zoho.client();
    let answers = join_all((0..64).map(|_| client.get(call(Lane::Webhook)))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((zoho.mints(), zoho.calls().await), (1, 64));
    let requests = zoho.server.received_requests().await.expect("requests");
    let mint = requests.iter().find(|request| request.url.path() == TOKEN_PATH).expect("mint");
    assert_eq!(mint.url.query(), None);
    let body = String::from_utf8_lossy(&mint.body);
    assert!(body.contains("grant_type=refresh_token") && body.contains("client_secret=canary-secret"));
    assert!(requests.iter().all(|request| !request.url.as_str().contains("canary")));
}

#[tokio::test]
async fn when_the_token_is_rejected_for_many_callers_it_is_replaced_once() {
    let zoho = Zoho::new().await;
    zoho.api(|request| if bearer(request) == "t1" { refusal(401, 57) } else { success() }).await;
    let client = zoho.client();
    let answers = join_all((0..64).map(|_| client.get(call(Lane::Webhook)))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(zoho.mints(), 2);
}

#[tokio::test]
async fn tokens_that_work_for_three_calls_are_renewed_one_by_one() {
    let zoho = Zoho::new().await;
    let used: Mutex<HashMap<String, u32>> = Mutex::default();
    zoho.api(move |request| {
        let mut used = used.lock().expect("used");
        let count = used.entry(bearer(request)).or_default();
        *count += 1;
        if *count > 3 { refusal(401, 57) } else { success() }
    })
    .await;
    let client = zoho.client();
    for _call in 0..20 {
        client.get(call(Lane::Full)).await.expect("answer");
    }
    assert_eq!(zoho.mints(), 7);
}

#[tokio::test]
async fn a_storm_of_rejected_tokens_is_bounded_and_condemns_no_record() {
    let zoho = Zoho::new().await;
    let used: Mutex<HashMap<String, u32>> = Mutex::default();
    zoho.api(move |request| {
        let mut used = used.lock().expect("used");
        let count = used.entry(bearer(request)).or_default();
        *count += 1;
        if *count > 3 { refusal(401, 57) } else { success() }
    })
    .await;
    let client = zoho.client();
    for _round in 0..3 {
        let answers = join_all((0..64).map(|_| client.get(call(Lane::Webhook)))).await;
        for error in answers.into_iter().filter_map(Result::err) {
            assert_ne!(error.retry(), Retry::Permanent, "{error:?}");
        }
    }
    assert!(zoho.mints() <= 10, "{}", zoho.mints());
}

#[tokio::test]
async fn a_missing_scope_costs_one_refresh_and_is_named() {
    let zoho = Zoho::new().await;
    zoho.api(|_| refusal(401, 57)).await;
    let client = zoho.client();
    for _call in 0..5 {
        let error = client.get(call(Lane::Full)).await.expect_err("no scope");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(matches!(error.retry(), Retry::AuthPaused { .. }), "{error:?}");
        assert!(error.to_string().contains("ZohoBooks.contacts.READ"), "{error}");
    }
    assert_eq!((zoho.mints(), zoho.calls().await), (2, 6));
}

#[tokio::test]
async fn revoked_credentials_pause_without_hammering_and_say_what_to_do() {
    let zoho = Zoho::without_tokens().await;
    zoho.tokens(|_| token(json!({"error": "invalid_code"}))).await;
    let client = zoho.client();
    for _call in 0..10 {
        let error = client.get(call(Lane::Webhook)).await.expect_err("revoked");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(matches!(error.retry(), Retry::AuthPaused { .. }));
        assert_eq!(error.hint(), Some(&Hint::Settings(&["refresh_token"])));
    }
    assert_eq!((zoho.mints(), zoho.calls().await), (1, 0));
    let ZohoState::AuthPaused { reason, what_to_do, hint } = client.health().await.state else {
        panic!("not paused")
    };
    assert!(reason.contains("invalid_code") && what_to_do.contains("make a new one"));
    assert_eq!(hint, Some(Hint::Settings(&["refresh_token"])));
    assert!(client.check_credentials().await.expect_err("revoked").to_string().contains("invalid_code"));
}

#[tokio::test]
async fn a_throttled_token_server_is_not_called_for_ten_minutes() {
    let zoho = Zoho::without_tokens().await;
    let body = json!({"error_description": "You have made too many requests continuously.", "error": "Access Denied"});
    zoho.tokens(move |_| token(body.clone())).await;
    let client = zoho.client();
    for _call in 0..5 {
        let error = client.get(call(Lane::Webhook)).await.expect_err("throttled");
        let Retry::Throttled { retry_after } = error.retry() else { panic!("{error:?}") };
        assert!((590..=600).contains(&retry_after.as_secs()));
    }
    assert_eq!(zoho.mints(), 1);
    assert!(matches!(client.health().await.state, ZohoState::Throttled { .. }));
}

#[tokio::test]
async fn a_broken_token_server_is_asked_again_after_a_moment() {
    for broken in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(200),
        ResponseTemplate::new(200).set_body_string("<html>"),
        ResponseTemplate::new(302).insert_header("location", "https://attacker.invalid/"),
    ] {
        let zoho = Zoho::without_tokens().await;
        let good = token(json!({"access_token": "t", "expires_in": 3600}));
        zoho.tokens(move |number| if number == 1 { broken.clone() } else { good.clone() }).await;
        zoho.api(|_| success()).await;
        let client = zoho.client();
        let first = client.get(call(Lane::Webhook)).await.expect_err("broken");
        assert!(matches!(first.retry(), Retry::Throttled { .. }), "{first:?}");
        assert!(matches!(client.health().await.state, ZohoState::Unreachable { .. }));
        let second = client.get(call(Lane::Webhook)).await.expect_err("still waiting");
        assert!(matches!(second.retry(), Retry::Throttled { .. }), "nothing was tried: {second:?}");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while client.get(call(Lane::Webhook)).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!((zoho.mints(), client.health().await.state), (2, ZohoState::Ok));
    }
}

#[tokio::test]
async fn an_endless_answer_of_the_token_server_is_given_up() {
    let zoho = Zoho::without_tokens().await;
    zoho.tokens(|_| ResponseTemplate::new(200).set_body_string("x".repeat(100_000))).await;
    let error = zoho.client().get(call(Lane::Webhook)).await.expect_err("too long");
    assert!(matches!(error.retry(), Retry::Throttled { .. }), "{error:?}");
    assert_eq!(zoho.calls().await, 0);
}

/// Creates two processes over one store. They have the same credentials, and each may have a key to share the token
/// with.
fn two(zoho: &Zoho, keys: [Option<&str>; 2]) -> [crate::ZohoClient; 2] {
    let store = tds_core::memory::MemoryStore::new(Arc::new(tds_core::clock::SystemClock));
    keys.map(|key| {
        let mut config = zoho.config();
        config.token_key = key.map(|key| crate::TokenKey::from_base64(key).expect("a key"));
        let shared = || Arc::new(store.clone());
        crate::ZohoClient::shared(config, Arc::new(tds_core::clock::SystemClock), shared(), shared())
            .expect("client")
    })
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

#[tokio::test]
async fn processes_with_the_same_key_share_the_token_and_its_replacement() {
    let zoho = Zoho::new().await;
    zoho.api(|request| if bearer(request) == "t1" { refusal(401, 57) } else { success() }).await;
    let clients = two(&zoho, [Some(KEY), Some(KEY)]);
    let calls = (0..32).map(|number: usize| clients[number % 2].get(call(Lane::Webhook)));
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(zoho.mints(), 2, "one, and one in place of the rejected one");
}

#[tokio::test]
async fn processes_with_another_key_or_none_have_tokens_of_their_own() {
    for keys in [[Some(KEY), Some(OTHER_KEY)], [Some(KEY), None], [None, None]] {
        let zoho = Zoho::new().await;
        zoho.api(|_| success()).await;
        for client in two(&zoho, keys) {
            client.get(call(Lane::Webhook)).await.expect("answer");
        }
        assert_eq!(zoho.mints(), 2, "{keys:?}");
    }
}

#[tokio::test]
async fn a_crash_loop_of_processes_mints_ten_tokens_and_no_more() {
    let zoho = Zoho::new().await;
    zoho.api(|_| success()).await;
    let store = tds_core::memory::MemoryStore::new(Arc::new(tds_core::clock::SystemClock));
    let mut refused = 0;
    for _start in 0..14 {
        let shared = || Arc::new(store.clone());
        let clock = Arc::new(tds_core::clock::SystemClock);
        let client = crate::ZohoClient::shared(zoho.config(), clock, shared(), shared()).expect("client");
        if let Err(error) = client.get(call(Lane::Webhook)).await {
            assert!(matches!(error.retry(), Retry::Throttled { .. }), "{error:?}");
            refused += 1;
        }
    }
    assert_eq!((zoho.mints(), refused), (10, 4));
}

#[tokio::test]
async fn a_command_that_leaves_tokens_to_servers_says_when_to_run_it_again() {
    let zoho = Zoho::new().await;
    zoho.api(|_| success()).await;
    let store = tds_core::memory::MemoryStore::new(Arc::new(tds_core::clock::SystemClock));
    let client = |most| {
        let shared = || Arc::new(store.clone());
        let config = crate::ZohoConfig { most_mints: most, ..zoho.config() };
        crate::ZohoClient::shared(config, Arc::new(tds_core::clock::SystemClock), shared(), shared())
            .expect("client")
    };
    client(10).get(call(Lane::Operator)).await.expect("a token");
    let command = client(1);
    for _try in 0..2 {
        let error = command.get(call(Lane::Operator)).await.expect_err("the rest is left to servers");
        let text = error.to_string();
        assert!(text.contains("1 of the 10") && text.contains("run the command again in 1"), "{text}");
        assert!(!text.contains("servers try again"), "{text}");
        assert_eq!(error.hint(), Some(&Hint::Settings(&["token_key"])));
        let Retry::Throttled { retry_after } = error.retry() else { panic!("{error:?}") };
        assert!((540..=660).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
    let (error, _) = command.lacks_token().expect("no token");
    assert!(error.to_string().contains("run the command again"), "{error}");
}

#[tokio::test]
async fn wrong_credentials_that_one_process_found_stop_the_other() {
    let zoho = Zoho::without_tokens().await;
    zoho.tokens(|_| token(json!({"error": "invalid_client"}))).await;
    for client in two(&zoho, [None, None]) {
        let error = client.get(call(Lane::Webhook)).await.expect_err("refused");
        assert!(matches!(error.retry(), Retry::AuthPaused { .. }), "{error:?}");
        let ZohoState::AuthPaused { hint, .. } = client.health().await.state else { panic!("not paused") };
        assert_eq!(hint, Some(Hint::Settings(&["client_id", "data_center"])));
    }
    assert_eq!(zoho.mints(), 1);
}

#[tokio::test]
async fn a_hostile_api_domain_gets_no_bearer() {
    let attacker = Zoho::without_tokens().await;
    for followed in [false, true] {
        let zoho = Zoho::without_tokens().await;
        let domain = attacker.server.uri();
        zoho.tokens(move |_| {
            token(json!({"access_token": "canary", "expires_in": 3600, "api_domain": domain}))
        })
        .await;
        zoho.api(|_| success()).await;
        let mut config = zoho.config();
        if followed {
            config.api_url = None;
            let token = client(config).inner.tokens.token().await.expect("token");
            assert_eq!(token.api_url(), None);
            continue;
        }
        client(config).get(call(Lane::Full)).await.expect("answer");
    }
    assert_eq!(attacker.calls().await + attacker.mints(), 0);
}

#[tokio::test]
async fn zohos_own_api_domain_is_followed_unless_an_address_is_configured() {
    let zoho = Zoho::without_tokens().await;
    zoho.tokens(|_| token(json!({"access_token": "t", "api_domain": "https://www.zohoapis.eu"}))).await;
    let mut config = zoho.config();
    let configured = client(config.clone()).inner.tokens.token().await.expect("token");
    assert_eq!(configured.api_url(), None);
    config.api_url = None;
    let followed = client(config).inner.tokens.token().await.expect("token");
    assert_eq!(followed.api_url().map(|url| url.as_str()), Some("https://www.zohoapis.eu/"));
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_waste_the_mint() {
    let zoho = Zoho::without_tokens().await;
    let slow =
        |_| token(json!({"access_token": "t", "expires_in": 3600})).set_delay(Duration::from_millis(200));
    zoho.tokens(slow).await;
    zoho.api(|_| success()).await;
    let client = Arc::new(zoho.client());
    let hasty = tokio::time::timeout(Duration::from_millis(50), client.get(call(Lane::Webhook))).await;
    assert!(hasty.is_err());
    client.get(call(Lane::Webhook)).await.expect("answer");
    assert_eq!(zoho.mints(), 1);
}
