//! An outage that concerns every process spends no attempt, causes few calls, and ends without an operator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tds_core::{
    error::{ErrorKind, Retry},
    queue::Lane,
};
use wiremock::ResponseTemplate;

use super::support::{Zoho, call, client, refusal, success};
use crate::{
    answer::{Api, Call},
    client::ZohoClient,
    health::ZohoState,
};

fn record(number: usize) -> Call {
    Call { path: format!("/contacts/{number}"), query: Vec::new(), ..call(Lane::Webhook) }
}

/// Creates a client that probes an account every quarter of a second.
fn quick(zoho: &Zoho) -> ZohoClient {
    let mut config = zoho.config();
    config.outage_probe = Duration::from_millis(250);
    client(config)
}

/// Reads one record after the other. Returns the errors.
async fn ask(client: &ZohoClient, records: std::ops::Range<usize>) -> Vec<tds_core::error::Error> {
    let mut errors = Vec::new();
    for number in records {
        errors.extend(client.get(record(number)).await.err());
    }
    errors
}

async fn works_again(client: &ZohoClient, number: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while let Err(error) = client.get(record(number)).await {
        assert!(tokio::time::Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_organization_that_is_refused_is_asked_once_and_everything_waits_and_goes_on() {
    for (answer, words) in [
        (refusal(400, 6041), "6041"),
        (refusal(400, 9017), "9017"),
        (refusal(400, 103_001), "103001"),
        (
            ResponseTemplate::new(400)
                .set_body_string(r#"{"code":8,"message":"Use the zohoapis domain for API requests"}"#),
            "zohoapis domain",
        ),
    ] {
        let zoho = Zoho::new().await;
        let refused = Arc::new(AtomicBool::new(true));
        let switch = Arc::clone(&refused);
        zoho.api(move |_| if switch.load(Ordering::SeqCst) { answer.clone() } else { success() }).await;
        let mut config = zoho.config();
        config.outage_probe = Duration::from_secs(3600);
        let slow = client(config);
        for error in ask(&slow, 0..50).await {
            assert!(matches!(error.retry(), Retry::AuthPaused { .. }), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(zoho.calls().await, 1, "{words}");
        let ZohoState::AuthPaused { reason, .. } = slow.health().await.state else { panic!("not paused") };
        assert!(reason.contains(words) && reason.contains("books"), "{reason}");
        let quick = quick(&zoho);
        ask(&quick, 0..3).await;
        refused.store(false, Ordering::SeqCst);
        works_again(&quick, 1).await;
        assert_eq!(ask(&quick, 0..10).await.len(), 0);
        assert_eq!(quick.health().await.state, ZohoState::Ok);
    }
}

#[tokio::test]
async fn books_goes_on_while_inventory_is_refused() {
    let zoho = Zoho::new().await;
    zoho.api(
        |request| {
            if request.url.path().starts_with("/inventory") { refusal(400, 9017) } else { success() }
        },
    )
    .await;
    let client = zoho.client();
    for number in 0..5 {
        let call = Call { api: Api::Inventory, ..record(number) };
        assert!(matches!(client.get(call).await.expect_err("refused").retry(), Retry::AuthPaused { .. }));
        client.get(record(number)).await.expect("an answer of Books");
    }
    assert_eq!(zoho.calls().await, 6);
    assert!(matches!(client.health().await.state, ZohoState::AuthPaused { .. }));
}

#[tokio::test]
async fn after_three_failed_calls_a_service_is_only_probed() {
    for answer in [
        ResponseTemplate::new(503),
        ResponseTemplate::new(403).set_body_raw("<html>Blocked</html>", "text/html"),
        ResponseTemplate::new(200).set_body_raw("<html>Busy</html>", "text/html"),
        ResponseTemplate::new(400),
    ] {
        let zoho = Zoho::new().await;
        let down = Arc::new(AtomicBool::new(true));
        let switch = Arc::clone(&down);
        zoho.api(move |_| if switch.load(Ordering::SeqCst) { answer.clone() } else { success() }).await;
        let mut config = zoho.config();
        config.outage_probe = Duration::from_secs(6);
        let client = client(config);
        for error in ask(&client, 0..30).await {
            assert!(matches!(error.retry(), Retry::Throttled { .. }), "{error:?}");
        }
        assert!(zoho.calls().await <= 3 * 3 + 3, "{}", zoho.calls().await);
        assert!(matches!(client.health().await.state, ZohoState::Unreachable { .. }));
        down.store(false, Ordering::SeqCst);
        works_again(&client, 7).await;
        assert_eq!(ask(&client, 0..30).await.len(), 0);
    }
}

#[tokio::test]
async fn details_that_fail_spend_no_attempt_while_the_list_works() {
    let zoho = Zoho::new().await;
    zoho.api(
        |request| {
            if request.url.path().contains("/contacts/") { refusal(503, 1000) } else { success() }
        },
    )
    .await;
    let client = quick(&zoho);
    for round in 0..6 {
        client.get(call(Lane::Incremental)).await.expect("the list works");
        for error in ask(&client, 0..12).await {
            assert!(matches!(error.retry(), Retry::Throttled { .. }), "round {round}: {error:?}");
        }
    }
    client.get(call(Lane::Incremental)).await.expect("the list works");
}

#[tokio::test]
async fn a_record_that_alone_fails_spends_attempts_and_delays_no_other() {
    let zoho = Zoho::new().await;
    zoho.api(|request| if request.url.path().ends_with("/13") { refusal(500, 1000) } else { success() })
        .await;
    let client = zoho.client();
    let mut attempts = 0;
    for _ in 0..4 {
        let error = client.get(record(13)).await.expect_err("it fails for ever");
        attempts += usize::from(matches!(error.retry(), Retry::Transient { .. }));
        assert_eq!(ask(&client, 0..13).await.len(), 0, "the others are read");
    }
    assert_eq!(attempts, 3, "all but the first, after which nothing else had been asked for");
}

#[tokio::test]
async fn a_record_that_fails_for_ever_while_nothing_else_is_asked_for_spends_attempts() {
    let zoho = Zoho::new().await;
    zoho.api(|request| if request.url.path().ends_with("/13") { refusal(500, 1000) } else { success() })
        .await;
    let client = zoho.client();
    client.get(record(1)).await.expect("it can be read");
    let mut attempts = 0;
    for _ in 0..4 {
        let error = client.get(record(13)).await.expect_err("it fails for ever");
        attempts += usize::from(matches!(error.retry(), Retry::Transient { .. }));
    }
    assert_eq!(attempts, 3, "all but the first, after which another record was read again each time");
}

#[tokio::test]
async fn a_throttle_without_a_code_pauses_for_as_long_as_it_says() {
    const TEXT: &str = r#"{"message":"Cannot execute more than 100 requests per API in 2 minutes. Try again after 22 minutes"}"#;
    for header in [true, false] {
        let zoho = Zoho::new().await;
        zoho.api(move |_| {
            let answer = ResponseTemplate::new(400).set_body_raw(TEXT, "application/json");
            if header { answer.insert_header("retry-after", "1320") } else { answer }
        })
        .await;
        let client = zoho.client();
        for number in 0..10 {
            let error = client.get(record(number)).await.expect_err("a limit");
            let Retry::Throttled { retry_after } = error.retry() else { panic!("{error:?}") };
            assert!((1_300..=1_320).contains(&retry_after.as_secs()), "{error:?}");
            assert_eq!(error.kind(), ErrorKind::RateLimited);
        }
        assert_eq!(zoho.calls().await, 1);
    }
}

#[tokio::test]
async fn an_outage_and_its_end_that_one_process_found_are_known_to_the_others() {
    let zoho = Zoho::new().await;
    let down = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&down);
    zoho.api(move |_| if switch.load(Ordering::SeqCst) { refusal(400, 6041) } else { success() }).await;
    let store = tds_core::memory::MemoryStore::new(Arc::new(tds_core::clock::SystemClock));
    let [one, other] = [(); 2].map(|()| {
        let mut config = zoho.config();
        config.outage_probe = Duration::from_millis(500);
        let shared = || Arc::new(store.clone());
        ZohoClient::shared(config, Arc::new(tds_core::clock::SystemClock), shared(), shared())
            .expect("client")
    });
    ask(&one, 0..5).await;
    assert!(matches!(other.health().await.state, ZohoState::AuthPaused { .. }), "without a call of its own");
    down.store(false, Ordering::SeqCst);
    works_again(&one, 1).await;
    works_again(&other, 2).await;
    assert!(other.status().await.expect("status").breakers.is_empty());
}
