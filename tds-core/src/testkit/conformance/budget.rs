//! Cases of [`crate::limits::budget::CallBudget`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::{collections::HashSet, time::Duration};

use super::harness::*;
use crate::{
    limits::budget::{
        BudgetRequest, BudgetStatus, CallCount, CallLimit, Grant, LeasedPermit, LimitSignal, Limits,
        SettledCall,
    },
    queue::{Lane, WorkerId},
};

const ACCOUNT: &str = "shop";

fn limits(per_minute: u32, per_day: Option<u32>) -> Limits {
    Limits { per_minute: Some(per_minute), concurrent: 5, per_day, call_time: Duration::from_secs(30) }
}

fn ask(holder: &str) -> BudgetRequest {
    BudgetRequest::of(WorkerId(holder.to_owned()))
}

fn request(holder: &str, lane: Lane, calls: u32) -> BudgetRequest {
    let mut ask = ask(holder);
    ask.wants[lane] = calls;
    ask
}

async fn exchange(harness: &dyn Harness, limits: &Limits, ask: &BudgetRequest) -> Grant {
    harness.stores().budget().exchange(ACCOUNT, limits, ask).await.expect("exchange")
}

async fn status(harness: &dyn Harness, limits: &Limits) -> BudgetStatus {
    harness.stores().budget().status(ACCOUNT, limits).await.expect("status")
}

fn ended(permit: &LeasedPermit, lane: Lane) -> SettledCall {
    SettledCall { permit: permit.number, lane, age: Duration::ZERO }
}

fn refused(limit: CallLimit) -> LimitSignal {
    LimitSignal::Refused { limit, issued: Duration::ZERO, retry_after: None, reset: None, chance: 0 }
}

pub async fn a_minute_gives_no_more_permits_than_its_ceiling(harness: &dyn Harness) {
    let limits = limits(3, None);
    let grant = exchange(harness, &limits, &request("one", Lane::Webhook, 5)).await;
    assert_eq!(grant.permits.len(), 3);
    let numbers: HashSet<u64> = grant.permits.iter().map(|permit| permit.number).collect();
    assert_eq!(numbers.len(), 3, "each permit is leased once");
    let other = exchange(harness, &limits, &request("other", Lane::Webhook, 5)).await;
    assert!(other.permits.is_empty() && other.ask_again > Duration::ZERO);
    assert_eq!(other.status.minute_left, Some(0));
}

pub async fn holders_that_ask_at_once_get_no_more_than_the_ceiling(harness: &dyn Harness) {
    let (limits, mut tasks) = (limits(10, None), tokio::task::JoinSet::new());
    for holder in 0..8 {
        let (budget, limits) = (harness.stores().budget().clone(), limits.clone());
        tasks.spawn(async move {
            let request = request(&format!("holder {holder}"), Lane::Webhook, 4);
            budget.exchange(ACCOUNT, &limits, &request).await.expect("exchange")
        });
    }
    let grants = tasks.join_all().await;
    let numbers: Vec<u64> =
        grants.iter().flat_map(|grant| &grant.permits).map(|permit| permit.number).collect();
    assert!(numbers.len() <= 10, "{} permits", numbers.len());
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
    let places: u32 = grants.iter().map(|grant| grant.slots).sum();
    assert!(places <= limits.concurrent, "{places} places");
}

pub async fn a_permit_that_was_given_back_makes_room_and_one_whose_call_ended_does_not(
    harness: &dyn Harness,
) {
    let limits = limits(2, None);
    let grant = exchange(harness, &limits, &request("one", Lane::Webhook, 2)).await;
    let [first, second] = &grant.permits[..] else { panic!("two permits") };
    let mut settled = request("one", Lane::Webhook, 1);
    settled.settled = vec![ended(first, Lane::Webhook)];
    assert!(exchange(harness, &limits, &settled).await.permits.is_empty());
    let mut unused = request("one", Lane::Webhook, 1);
    unused.unused = vec![second.number];
    assert_eq!(exchange(harness, &limits, &unused).await.permits.len(), 1);
}

pub async fn reporting_twice_what_became_of_a_permit_changes_nothing(harness: &dyn Harness) {
    let limits = limits(10, Some(1_000));
    let grant = exchange(harness, &limits, &request("one", Lane::Webhook, 2)).await;
    let mut report = ask("one");
    report.settled = vec![ended(&grant.permits[0], Lane::Operator)];
    report.unused = vec![grant.permits[1].number, 4_711];
    for _time in 0..2 {
        let status = exchange(harness, &limits, &report).await.status;
        assert_eq!((status.day.spent[Lane::Operator], status.day.spent[Lane::Webhook]), (1, 0));
        assert_eq!(status.minute_left, Some(9));
    }
}

pub async fn urgent_lanes_find_room_that_the_others_leave(harness: &dyn Harness) {
    let limits = limits(50, None);
    while status(harness, &limits).await.minute_left > Some(1) {
        let left = status(harness, &limits).await.minute_left.unwrap_or(0);
        exchange(harness, &limits, &request("one", Lane::Webhook, left - 1)).await;
    }
    assert!(exchange(harness, &limits, &request("one", Lane::Full, 1)).await.permits.is_empty());
    assert_eq!(exchange(harness, &limits, &request("one", Lane::Webhook, 1)).await.permits.len(), 1);
}

pub async fn lanes_that_can_wait_are_spread_over_the_minute(harness: &dyn Harness) {
    let limits = limits(60, None);
    let grant = exchange(harness, &limits, &request("one", Lane::Full, 20)).await;
    assert!((2..=5).contains(&grant.permits.len()), "{grant:?}");
    // The first two permits may start at the same time.
    for pair in grant.permits.windows(2).skip(1) {
        assert!(pair[1].after - pair[0].after >= Duration::from_millis(900), "{grant:?}");
    }
}

pub async fn all_holders_together_have_no_more_calls_in_flight_than_allowed_and_a_new_one_finds_a_place(
    harness: &dyn Harness,
) {
    let limits = limits(100, None);
    let first = exchange(harness, &limits, &request("one", Lane::Full, 9)).await;
    let second = exchange(harness, &limits, &request("two", Lane::Webhook, 9)).await;
    assert!(first.slots >= 3 && second.slots >= 1 && first.slots + second.slots <= 5);
    let mut busy = request("one", Lane::Full, 9);
    busy.in_flight = first.slots;
    assert_eq!(
        exchange(harness, &limits, &busy).await.slots,
        first.slots,
        "calls in flight keep their places"
    );
    let shared = exchange(harness, &limits, &request("one", Lane::Full, 9)).await.slots;
    assert!(shared < first.slots, "who asks beside others has a share");
    assert_eq!(exchange(harness, &limits, &ask("one")).await.slots, 0, "who wants nothing has none");
}

pub async fn a_refusal_pauses_every_holder_and_an_earlier_call_does_not_end_the_pause(harness: &dyn Harness) {
    let limits = limits(100, None);
    let mut report = ask("one");
    report.signals =
        vec![refused(CallLimit::Minute), LimitSignal::Admission { issued: Duration::from_secs(5) }];
    exchange(harness, &limits, &report).await;
    let other = exchange(harness, &limits, &request("other", Lane::Operator, 1)).await;
    assert!(other.permits.is_empty());
    let refusal = other.status.refused[Lane::Operator].expect("refused");
    assert!(refusal.paused && refusal.limit == CallLimit::Minute);
    assert!(refusal.wait > Duration::from_secs(50) && refusal.wait <= Duration::from_secs(60));
}

pub async fn a_spent_day_stops_all_lanes_but_the_operators(harness: &dyn Harness) {
    let limits = limits(100, Some(10));
    let grant = exchange(harness, &limits, &request("one", Lane::Webhook, 20)).await;
    assert_eq!(grant.permits.len(), 8, "80 % of the plan");
    let mut report = ask("one");
    report.signals = vec![refused(CallLimit::Day)];
    let status = exchange(harness, &limits, &report).await.status;
    assert_eq!(status.day.left, Some(0));
    assert!(status.refused[Lane::Outbound].is_some_and(|refusal| refusal.limit == CallLimit::Day));
    let unlimited = Limits { per_day: None, ..limits };
    assert_eq!(exchange(harness, &unlimited, &request("one", Lane::Operator, 1)).await.permits.len(), 1);
}

pub async fn a_quota_that_the_source_reports_takes_effect(harness: &dyn Harness) {
    let limits = limits(100, Some(1_000));
    let mut report = ask("one");
    let reset = Some(LONG);
    report.signals = vec![LimitSignal::Quota { limit: 1_000, remaining: 0, reset, age: Duration::ZERO }];
    let status = exchange(harness, &limits, &report).await.status;
    assert_eq!((status.day.left, status.day.reported_left), (Some(0), Some(0)));
    let refusal = status.refused[Lane::Webhook].expect("refused");
    assert!(!refusal.paused && refusal.wait <= LONG);
    assert!(status.refused[Lane::Operator].is_none(), "the source itself answers a person");
}

pub async fn reading_the_status_changes_nothing(harness: &dyn Harness) {
    let limits = limits(10, Some(1_000));
    assert_eq!(status(harness, &limits).await.minute_left, Some(10));
    exchange(harness, &limits, &request("one", Lane::Webhook, 4)).await;
    for _look in 0..3 {
        let status = status(harness, &limits).await;
        assert_eq!((status.minute_left, status.day.spent.total()), (Some(6), 4));
    }
}

pub async fn statistics_of_calls_add_up(harness: &dyn Harness) {
    let budget = &harness.stores().budget();
    let count = |lane, endpoint: &str, calls| CallCount {
        lane,
        entity: Some(PRODUCTS),
        endpoint: endpoint.to_owned(),
        result: "ok".to_owned(),
        calls,
    };
    let calls = [count(Lane::Full, "/items", 2), count(Lane::Webhook, "/items", 1)];
    for _time in 0..2 {
        budget.count(ACCOUNT, &calls).await.expect("count");
    }
    let mut usage = budget.usage(ACCOUNT).await.expect("usage").calls;
    usage.sort_by_key(|count| count.lane);
    assert_eq!(usage, [count(Lane::Webhook, "/items", 2), count(Lane::Full, "/items", 4)]);
    assert!(budget.usage("another").await.expect("usage").calls.is_empty());
}
