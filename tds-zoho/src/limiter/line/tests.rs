use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::Lane;
use tokio::time::{Instant, advance, sleep};

use super::{Line, Pace};

fn line(per_minute: u32, slots: usize) -> Arc<Line> {
    Arc::new(Line::new(Pace::new(per_minute, slots), slots))
}

/// Lets every task that can go on do so.
async fn settle() {
    for _turn in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn urgent_lanes_go_first_and_each_lane_in_the_order_of_arrival() {
    let line = line(60, 1);
    let holder = line.enter(Lane::Full).await.expect("first");
    let order = Arc::new(Mutex::new(Vec::new()));
    for (number, lane) in
        [(1, Lane::Verify), (2, Lane::Full), (3, Lane::Webhook), (4, Lane::Operator), (5, Lane::Webhook)]
    {
        let (line, order) = (Arc::clone(&line), Arc::clone(&order));
        tokio::spawn(async move {
            let _slot = line.enter(lane).await;
            order.lock().expect("order").push(number);
        });
        settle().await;
    }
    drop(holder);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(*order.lock().expect("order"), [4, 3, 5, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_full_sync_that_waited_long_goes_before_a_person() {
    let line = line(60, 1);
    let holder = line.enter(Lane::Operator).await.expect("first");
    let order = Arc::new(Mutex::new(Vec::new()));
    for lane in [Lane::Full, Lane::Operator] {
        let (line, order) = (Arc::clone(&line), Arc::clone(&order));
        tokio::spawn(async move {
            let _slot = line.enter(lane).await;
            order.lock().expect("order").push(lane);
        });
        settle().await;
        advance(Duration::from_secs(90)).await;
    }
    drop(holder);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(*order.lock().expect("order"), [Lane::Full, Lane::Operator]);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_there_are_slots() {
    let line = line(100_000, 3);
    let peak = Arc::new(Mutex::new((0_usize, 0_usize)));
    let tasks: Vec<_> = (0..64)
        .map(|_call| {
            let (line, peak) = (Arc::clone(&line), Arc::clone(&peak));
            tokio::spawn(async move {
                let _slot = line.enter(Lane::Webhook).await.expect("turn");
                {
                    let mut peak = peak.lock().expect("peak");
                    peak.0 += 1;
                    peak.1 = peak.1.max(peak.0);
                }
                sleep(Duration::from_millis(10)).await;
                peak.lock().expect("peak").0 -= 1;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("task");
    }
    assert_eq!(*peak.lock().expect("peak"), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn waiters_that_go_away_cost_no_slot() {
    let line = line(100_000, 1);
    let holder = line.enter(Lane::Full).await.expect("first");
    for _call in 0..20 {
        assert!(tokio::time::timeout(Duration::from_millis(5), line.enter(Lane::Operator)).await.is_err());
    }
    drop(holder);
    assert!(tokio::time::timeout(Duration::from_secs(1), line.enter(Lane::Full)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_cleared_sends_everybody_away_at_once() {
    let line = line(60, 1);
    let _holder = line.enter(Lane::Full).await.expect("first");
    let waiter = tokio::spawn({
        let line = Arc::clone(&line);
        async move { line.enter(Lane::Full).await.is_none() }
    });
    settle().await;
    line.clear();
    assert!(waiter.await.expect("task"));
}

#[tokio::test(start_paused = true)]
async fn a_complaint_of_concurrency_takes_a_slot_for_a_minute() {
    let line = line(100_000, 2);
    line.narrow();
    let first = line.enter(Lane::Full).await.expect("first");
    assert!(tokio::time::timeout(Duration::from_secs(1), line.enter(Lane::Full)).await.is_err());
    line.widen();
    assert!(tokio::time::timeout(Duration::from_secs(1), line.enter(Lane::Full)).await.is_err());
    let since = Instant::now();
    advance(Duration::from_secs(60)).await;
    line.widen();
    let second = tokio::time::timeout(Duration::from_secs(1), line.enter(Lane::Full)).await;
    assert!(second.is_ok() && since.elapsed() < Duration::from_secs(62));
    drop(first);
}
