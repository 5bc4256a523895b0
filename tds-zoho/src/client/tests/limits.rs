use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use tds_core::{
    clock::SystemClock,
    error::{Error, ErrorKind, Retry},
    memory::MemoryStore,
    queue::Lane,
    testkit::ManualClock,
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use wiremock::ResponseTemplate;

use super::support::{Zoho, call, client, refusal, success};
use crate::{ZohoClient, health::ZohoState};

fn wait(error: &Error) -> u64 {
    match error.retry() {
        Retry::Throttled { retry_after } => (retry_after + Duration::from_millis(500)).as_secs(),
        other => panic!("{other:?}"),
    }
}

async fn refused(answer: ResponseTemplate) -> Error {
    let zoho = Zoho::new().await;
    zoho.api(move |_| answer.clone()).await;
    let client = zoho.client();
    let error = client.get(call(Lane::Webhook)).await.expect_err("limited");
    let again = client.get(call(Lane::Webhook)).await.expect_err("paused");
    assert!(matches!(again.retry(), Retry::Throttled { .. }));
    assert_eq!(zoho.calls().await, 1, "nothing is sent during a pause");
    assert_eq!(client.status().await.expect("status").minute_left, Some(0));
    assert!(matches!(client.health().await.state, ZohoState::Throttled { .. }));
    error
}

#[tokio::test]
async fn a_429_of_any_form_pauses_all_callers_for_a_minute() {
    for answer in [refusal(429, 44), refusal(429, 43), refusal(429, 99), ResponseTemplate::new(429)] {
        let error = refused(answer).await;
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!((59..=66).contains(&wait(&error)), "{error:?}");
    }
}

#[tokio::test]
async fn retry_after_wins_in_seconds_and_as_a_date() {
    let error = refused(refusal(429, 44).insert_header("retry-after", "17")).await;
    assert_eq!(wait(&error), 17);
    let now = OffsetDateTime::from_unix_timestamp(1_772_366_400).expect("time");
    let date = |at: OffsetDateTime| at.format(&Rfc2822).expect("date").replace("+0000", "GMT");
    let later = now + Duration::from_secs(90);
    let answer = refusal(429, 44).insert_header("date", date(now)).insert_header("retry-after", date(later));
    assert_eq!(wait(&refused(answer).await), 90);
}

#[tokio::test]
async fn a_spent_day_waits_for_the_reset_and_lets_operators_through() {
    let error = refused(refusal(429, 45).insert_header("x-rate-limit-reset", "7200")).await;
    assert_eq!((error.kind(), wait(&error)), (ErrorKind::QuotaExhausted, 7200));

    let zoho = Zoho::new().await;
    let count = AtomicUsize::new(0);
    zoho.api(move |_| if count.fetch_add(1, Ordering::SeqCst) == 0 { refusal(429, 45) } else { success() })
        .await;
    let client = zoho.client();
    assert!((1800..=3600).contains(&wait(&client.get(call(Lane::Full)).await.expect_err("spent"))));
    // Pauses are measured in milliseconds. A call that was sent in the first millisecond of a pause proves nothing.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    client.get(call(Lane::Operator)).await.expect("a person's call");
    client.get(call(Lane::Full)).await.expect("the quota is back");
}

#[tokio::test]
async fn a_spent_day_is_not_asked_again_at_once_and_the_named_wait_counts() {
    let zoho = Zoho::new().await;
    zoho.api(|_| refusal(429, 45).insert_header("retry-after", "3600")).await;
    let error = zoho.client().get(call(Lane::Operator)).await.expect_err("spent");
    assert_eq!((error.kind(), wait(&error), zoho.calls().await), (ErrorKind::QuotaExhausted, 3600, 1));
    assert!(error.to_string().contains("next try in 3600 s"), "{error}");
}

#[tokio::test]
async fn a_storm_of_429_costs_no_more_calls_than_were_in_flight() {
    let zoho = Zoho::new().await;
    zoho.api(|_| refusal(429, 44).set_delay(Duration::from_millis(30))).await;
    let mut config = zoho.config();
    config.max_concurrency = 4;
    let client = client(config);
    let answers = join_all((0..64).map(|_| client.get(call(Lane::Webhook)))).await;
    for error in answers.into_iter().map(|answer| answer.expect_err("limited")) {
        assert!(wait(&error) <= 66, "the storm counts once: {error:?}");
    }
    assert!(zoho.calls().await <= 4);
}

#[tokio::test]
async fn the_day_of_a_plan_is_kept_and_a_share_of_it_is_for_what_is_urgent() {
    let zoho = Zoho::new().await;
    zoho.api(|_| success()).await;
    let mut config = zoho.config();
    config.daily_limit = Some(50);
    // The simulated time is noon, because the shares of the day depend on the time.
    let client = ZohoClient::new(config, Arc::new(ManualClock::default())).expect("client");
    for _call in 0..23 {
        client.get(call(Lane::Full)).await.expect("answer");
    }
    let error = client.get(call(Lane::Full)).await.expect_err("spent");
    assert_eq!(error.kind(), ErrorKind::QuotaExhausted);
    assert!(error.to_string().contains("its share of the day's calls so far"), "17 are left: {error}");
    assert!(wait(&error) <= 24 * 3600);
    assert_eq!(client.status().await.expect("status").day.left, Some(17));
    for _call in 0..15 {
        client.get(call(Lane::Webhook)).await.expect("answer");
    }
    assert!(client.get(call(Lane::Webhook)).await.is_err());
    for _call in 0..2 {
        client.get(call(Lane::Operator)).await.expect("kept for people");
    }
    assert!(client.get(call(Lane::Operator)).await.is_err());
    assert_eq!(zoho.calls().await, 40);
}

#[tokio::test]
async fn a_429_of_one_process_pauses_the_others() {
    let zoho = Zoho::new().await;
    zoho.api(|_| refusal(429, 43)).await;
    let store = MemoryStore::new(Arc::new(SystemClock));
    let [one, other] = [(); 2].map(|()| {
        let shared = || Arc::new(store.clone());
        ZohoClient::shared(zoho.config(), Arc::new(SystemClock), shared(), shared()).expect("client")
    });
    one.get(call(Lane::Full)).await.expect_err("limited");
    let error = other.get(call(Lane::Operator)).await.expect_err("paused");
    assert!((55..=66).contains(&wait(&error)), "{error:?}");
    assert_eq!(zoho.calls().await, 1);
}

#[tokio::test]
async fn zohos_own_count_of_the_day_is_asked_for_and_counts() {
    let zoho = Zoho::new().await;
    let data = json!({"maximum_api_count": 1000, "total_api_count": 760, "remaining_api_count": 240});
    zoho.api(move |_| ResponseTemplate::new(200).set_body_json(json!({"code": 0, "data": data}))).await;
    let client = zoho.client();
    client.refresh_quota().await.expect("told");
    let day = client.status().await.expect("status").day;
    // A fifth of the plan is not for this program, and 40 calls of the rest are for operators' requests.
    assert_eq!((day.limit, day.left, day.reported_left), (Some(1000), Some(40), Some(240)));
    assert_eq!(client.get(call(Lane::Full)).await.expect_err("kept back").kind(), ErrorKind::QuotaExhausted);
}

#[tokio::test]
async fn the_headers_of_an_answer_correct_the_day() {
    let zoho = Zoho::new().await;
    zoho.api(|_| {
        success()
            .insert_header("x-rate-limit-limit", "1000")
            .insert_header("x-rate-limit-remaining", "0")
            .insert_header("x-rate-limit-reset", "600")
    })
    .await;
    let client = zoho.client();
    client.get(call(Lane::Full)).await.expect("answer");
    assert_eq!(client.status().await.expect("status").day.left, Some(0));
    assert!((590..=600).contains(&wait(&client.get(call(Lane::Webhook)).await.expect_err("spent"))));
}

#[tokio::test]
async fn no_more_calls_are_in_flight_than_configured() {
    let zoho = Zoho::new().await;
    let starts: Arc<std::sync::Mutex<Vec<std::time::Duration>>> = Arc::default();
    let began = tokio::time::Instant::now();
    let seen = Arc::clone(&starts);
    zoho.api(move |_| {
        seen.lock().expect("starts").push(began.elapsed());
        success().set_delay(Duration::from_millis(100))
    })
    .await;
    let mut config = zoho.config();
    config.max_concurrency = 3;
    let client = client(config);
    let answers = join_all((0..12).map(|_| client.get(call(Lane::Webhook)))).await;
    assert!(answers.iter().all(Result::is_ok));
    let starts = starts.lock().expect("starts");
    for window in starts.windows(4) {
        assert!(window[3] - window[0] >= Duration::from_millis(95), "{starts:?}");
    }
}
