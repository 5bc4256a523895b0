//! Tests the client against a whole organization, by what the organization counts.

mod support;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tds_core::{
    clock::SystemClock,
    error::{Error, ErrorKind, Retry},
    hint::Hint,
    queue::Lane,
    source::{Capability, ListOrder, ListRequest, Source},
};
use tds_zoho::{
    DataCenter, ZohoClient, ZohoConfig, ZohoState,
    testkit::{FakeZoho, Fault, Limits, TokenRules},
};
use tokio::time::Instant;

fn config(zoho: &FakeZoho) -> ZohoConfig {
    let credentials = zoho.credentials();
    let mut config = ZohoConfig::new(
        credentials.client_id,
        credentials.client_secret,
        credentials.refresh_token,
        credentials.organization_id,
        DataCenter::Us,
    );
    config.accounts_url = zoho.accounts_url();
    config.api_url = Some(zoho.api_url());
    config.requests_per_minute = 100_000;
    config
}

fn client(config: ZohoConfig) -> ZohoClient {
    ZohoClient::new(config, Arc::new(SystemClock)).expect("client")
}

async fn list(source: &Arc<dyn Source>, lane: Lane) -> Option<Error> {
    source
        .list(&ListRequest {
            since: None,
            dates: None,
            order: ListOrder::Whole,
            capability: Capability::UNKNOWN,
            cursor: None,
            lane,
        })
        .await
        .err()
}

#[tokio::test]
async fn good_credentials_are_reported_and_cost_one_token() {
    let zoho = FakeZoho::start().await;
    let client = client(config(&zoho));
    assert_eq!(client.health().await.state, ZohoState::Unknown);
    let report = client.check_credentials().await.expect("report");
    assert_eq!(report.organization.id, zoho.credentials().organization_id);
    assert!(!report.organization.currency.is_empty());
    client.check_credentials().await.expect("report");
    assert_eq!((zoho.mints(), client.health().await.state), (1, ZohoState::Ok));
}

#[tokio::test]
async fn revoked_credentials_say_what_an_operator_has_to_do() {
    let zoho = FakeZoho::start().await;
    zoho.revoke_refresh_token(true);
    let client = client(config(&zoho));
    for _call in 0..5 {
        let error = client.check_credentials().await.expect_err("revoked");
        assert_eq!(error.hint(), Some(&Hint::Settings(&["refresh_token"])), "{error}");
    }
    assert_eq!((zoho.token_requests(), zoho.calls()), (1, 0));
}

#[tokio::test]
async fn tokens_that_die_after_three_calls_are_minted_once_each() {
    let zoho = FakeZoho::start().await;
    zoho.set_token_rules(TokenRules { calls: Some(3), ..TokenRules::default() });
    let client = client(config(&zoho));
    for _call in 0..20 {
        client.check_credentials().await.expect("report");
    }
    assert_eq!(zoho.mints(), 7);
}

#[tokio::test]
async fn the_pace_holds_under_a_backlog_and_stays_below_the_limit() {
    let zoho = FakeZoho::start().await;
    zoho.set_limits(Limits { per_minute: Some(100), ..Limits::default() });
    let mut config = config(&zoho);
    config.requests_per_minute = 100;
    let client = client(config);
    let source = support::source(&client, "products");
    let began = Instant::now();
    let calls = (0..40).map(|_| tokio::time::timeout(Duration::from_secs(4), list(&source, Lane::Full)));
    let done = join_all(calls).await.into_iter().filter(Result::is_ok).count();
    let (seconds, seen) = (began.elapsed().as_secs(), zoho.calls());
    assert!(done >= 8 && seen <= 6 + 2 * (seconds + 1), "{done} done, {seen} seen in {seconds} s");
}

#[tokio::test]
async fn no_more_calls_are_in_flight_than_configured() {
    let zoho = FakeZoho::start().await;
    zoho.set_latency(Duration::from_millis(40));
    zoho.set_limits(Limits { concurrent: Some(4), ..Limits::default() });
    let mut config = config(&zoho);
    config.max_concurrency = 3;
    let client = client(config);
    let source = support::source(&client, "products");
    let errors = join_all((0..24).map(|_| list(&source, Lane::Webhook))).await;
    assert!(errors.iter().all(Option::is_none), "{errors:?}");
    assert!((1..=4).contains(&zoho.max_concurrent()), "{}", zoho.max_concurrent());
}

#[tokio::test]
async fn a_storm_of_429_leaves_only_pauses_behind_and_no_lost_attempt() {
    let forms = ["1", "7", "Wed, 21 Oct 2015 07:28:00 GMT", "nonsense"];
    join_all(forms.map(storm)).await;
}

async fn storm(retry_after: &str) {
    let zoho = FakeZoho::start().await;
    let fault = Fault::RetryAfter429 { retry_after: retry_after.to_owned(), code: 44 };
    zoho.faults().percent("/items", 80, fault);
    let client = client(config(&zoho));
    let source = support::source(&client, "products");
    for error in join_all((0..8).map(|_| list(&source, Lane::Webhook))).await.into_iter().flatten() {
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(matches!(error.retry(), Retry::Throttled { .. }), "{error:?}");
    }
}
