//! Tests of the permits of one process, on virtual time: their order, pauses, and refusals while nothing may be sent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    clock::{Clock, SystemClock},
    error::{Error, Result},
    limits::{
        budget::{
            CallBudget, CallCount, CallLimit, CallLog, Denied, LimitSignal, Limits, Permit, PermitPool, Usage,
        },
        shared_state::{Document, SharedState},
    },
    queue::Lane,
};
use tokio::time::{advance, sleep, timeout};

fn limits(concurrent: u32) -> Limits {
    Limits { per_minute: None, concurrent, per_day: None, call_time: Duration::from_secs(30) }
}

fn pool(limits: Limits) -> PermitPool {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    PermitPool::new(CallBudget::local(&clock), "shop".to_owned(), limits, None)
}

async fn enter(pool: &PermitPool, lane: Lane) -> Permit {
    pool.enter(lane).await.unwrap_or_else(|denied| panic!("{denied:?}"))
}

/// Lets every task run that can run.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn refusal(limit: CallLimit) -> LimitSignal {
    LimitSignal::Refused { limit, issued: Duration::ZERO, retry_after: None, reset: None, chance: 0 }
}

#[tokio::test(start_paused = true)]
async fn urgent_lanes_go_first_and_each_lane_in_the_order_of_arrival() {
    let pool = pool(limits(1));
    let holder = enter(&pool, Lane::Full).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    for (number, lane) in
        [(1, Lane::Verify), (2, Lane::Full), (3, Lane::Webhook), (4, Lane::Operator), (5, Lane::Webhook)]
    {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            let permit = enter(&pool, lane).await.start().expect("fresh");
            order.lock().expect("order").push(number);
            sleep(Duration::from_secs(1)).await;
            drop(permit);
        });
        settle().await;
    }
    drop(holder);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(*order.lock().expect("order"), [4, 3, 5, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_that_waited_long_goes_before_an_operator() {
    let pool = pool(limits(1));
    let holder = enter(&pool, Lane::Operator).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    for lane in [Lane::Full, Lane::Operator] {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            let permit = enter(&pool, lane).await.start().expect("fresh");
            order.lock().expect("order").push(lane);
            sleep(Duration::from_secs(1)).await;
            drop(permit);
        });
        settle().await;
        advance(Duration::from_secs(90)).await;
    }
    drop(holder);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(*order.lock().expect("order"), [Lane::Full, Lane::Operator]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiters_take_no_permits() {
    let pool = pool(limits(1));
    let holder = enter(&pool, Lane::Full).await;
    for _call in 0..20 {
        assert!(timeout(Duration::from_millis(5), pool.enter(Lane::Operator)).await.is_err());
    }
    drop(holder);
    assert!(timeout(Duration::from_secs(3), pool.enter(Lane::Full)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_denies_all_waiters_and_an_admitted_call_ends_the_pause() {
    let pool = pool(limits(2));
    let permit = enter(&pool, Lane::Full).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { (pool.enter(Lane::Full).await.map(drop), pool.enter(Lane::Full).await.map(drop)) }
    });
    let wait = pool.refused(refusal(CallLimit::Day), Lane::Full).await.expect("a pause");
    assert!(wait >= Duration::from_secs(1_800));
    drop(permit);
    let (_, second) = waiter.await.expect("task");
    assert!(
        matches!(second, Err(Denied::Refused(refusal)) if refusal.limit == CallLimit::Day && refusal.paused)
    );
    let operator = enter(&pool, Lane::Operator).await;
    pool.signal(LimitSignal::Admission { issued: Duration::ZERO });
    drop(operator);
    assert!(pool.enter(Lane::Full).await.is_ok(), "the quota is back");
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_signal_takes_away_one_slot_for_a_minute() {
    let pool = pool(limits(2));
    pool.refused(refusal(CallLimit::Concurrency), Lane::Full).await;
    sleep(Duration::from_secs(5)).await;
    let first = enter(&pool, Lane::Full).await;
    assert!(timeout(Duration::from_secs(3), pool.enter(Lane::Full)).await.is_err());
    sleep(Duration::from_secs(60)).await;
    assert!(timeout(Duration::from_secs(5), pool.enter(Lane::Full)).await.is_ok());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_too_old_is_not_used_and_is_given_back() {
    let pool = pool(Limits { per_day: Some(1_000), ..limits(2) });
    let permit = enter(&pool, Lane::Webhook).await;
    sleep(Duration::from_secs(6)).await;
    assert!(permit.start().is_none());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(pool.status().await.expect("status").day.spent.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_leaves_its_places_to_the_others() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let budget: CallBudget = CallBudget::local(&clock);
    let [one, other] = [(); 2].map(|()| PermitPool::new(budget.clone(), "shop".to_owned(), limits(2), None));
    let permits = [enter(&one, Lane::Full).await, enter(&one, Lane::Full).await];
    drop(permits);
    one.close().await;
    let both = async { (enter(&other, Lane::Full).await, enter(&other, Lane::Full).await) };
    assert!(timeout(Duration::from_millis(100), both).await.is_ok());
}

/// A store that is unavailable.
struct Unreachable;

#[async_trait]
impl SharedState for Unreachable {
    async fn load(&self, _name: &str) -> Result<Document> {
        Err(Error::unavailable("the database is away"))
    }

    async fn swap(&self, _name: &str, _version: u64, _text: &str) -> Result<bool> {
        Err(Error::unavailable("the database is away"))
    }
}

#[async_trait]
impl CallLog for Unreachable {
    async fn count(&self, _account: &str, _calls: &[CallCount]) -> Result<()> {
        Ok(())
    }

    async fn usage(&self, _account: &str) -> Result<Usage> {
        Ok(Usage::default())
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_budget_cannot_be_asked_nothing_is_sent() {
    let pool = PermitPool::new(
        CallBudget::new(Arc::new(Unreachable), Arc::new(Unreachable)),
        "shop".to_owned(),
        limits(5),
        None,
    );
    for lane in Lane::ALL {
        assert!(matches!(pool.enter(lane).await, Err(Denied::Unknown(_))));
    }
}
