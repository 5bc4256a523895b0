//! A place of the source is down for an hour of virtual time: few calls are made, and all items continue without an
//! operator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tds_core::{
    clock::{Clock, SystemClock},
    limits::budget::{CallBudget, CallFault, LimitSignal, Limits, OutageCause, Passage, PermitPool, Place},
    queue::Lane,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const HOUR: Duration = Duration::from_secs(3_600);
const ITEMS: usize = 60;

fn limits() -> Limits {
    Limits { per_minute: Some(100), concurrent: 5, per_day: None, call_time: Duration::from_secs(60) }
}

fn place() -> Place {
    Place { service: "books".to_owned(), endpoint: "books /invoices/{id}".to_owned() }
}

/// Handles one item until its call is answered, and returns the time of the answer. Each wait lasts as long as the pool
/// says, and up to a tenth longer.
async fn item(
    pool: PermitPool,
    number: usize,
    cause: OutageCause,
    began: Instant,
    calls: Arc<AtomicU32>,
) -> Duration {
    let later = |wait: Duration| {
        let tenth = f64::from(u32::try_from(number * 7 % ITEMS).expect("small")) / 600.0;
        sleep(wait.max(Duration::from_millis(200)).mul_f64(1.0 + tenth))
    };
    loop {
        match pool.pass(&place()).await.expect("the budget answers") {
            Passage::Shut(shut) => later(shut.wait).await,
            passage => {
                let Ok(permit) = pool.enter(Lane::Webhook).await else {
                    later(Duration::from_secs(1)).await;
                    continue;
                };
                if passage == Passage::Free && pool.is_shut(&place()) {
                    continue;
                }
                let issued = permit.issued_at();
                let Some(permit) = permit.start() else { continue };
                sleep(Duration::from_millis(100)).await;
                drop(permit);
                if began.elapsed() >= HOUR {
                    pool.signal(LimitSignal::Admission { issued: issued.elapsed() });
                    pool.worked(&place(), issued.elapsed()).await;
                    return began.elapsed();
                }
                calls.fetch_add(1, Ordering::SeqCst);
                let fault = CallFault {
                    place: place(),
                    cause,
                    everywhere: cause == OutageCause::Account,
                    call: number as u64,
                    issued: issued.elapsed(),
                    retry_after: None,
                    first_probe: Duration::from_secs(60),
                    reason: "down".to_owned(),
                };
                match pool.faulted(fault).await {
                    Some(shut) => later(shut.wait).await,
                    None => later(Duration::from_secs(2)).await,
                }
            }
        }
    }
}

/// Simulates an outage of an hour. Returns the number of failed calls, and how long after the hour the first and the
/// last item went on.
async fn hour_of(cause: OutageCause) -> (u32, Duration, Duration) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let budget = CallBudget::local(&clock);
    // There are two processes with one permit pool each.
    let pools = [(); 2].map(|()| PermitPool::new(budget.clone(), "account".to_owned(), limits(), None));
    let (began, calls) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let mut items = JoinSet::new();
    for number in 0..ITEMS {
        items.spawn(item(pools[number % 2].clone(), number, cause, began, Arc::clone(&calls)));
    }
    let mut ends = Vec::new();
    while let Some(end) = items.join_next().await {
        ends.push(end.expect("an item ends"));
    }
    let first = ends.iter().min().copied().expect("items") - HOUR;
    let last = ends.iter().max().copied().expect("items") - HOUR;
    (calls.load(Ordering::SeqCst), first, last)
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_a_connection_costs_about_one_call_per_minute_and_ends_within_minutes() {
    let (calls, first, last) = hour_of(OutageCause::Connection).await;
    assert!(calls < 100, "{calls} useless calls");
    assert!(first < Duration::from_secs(67), "the first went on after {first:?}");
    assert!(last < Duration::from_secs(240), "the last went on after {last:?}");
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_a_refused_account_costs_a_call_every_quarter_of_an_hour() {
    let (calls, first, last) = hour_of(OutageCause::Account).await;
    assert!(calls < 24, "{calls} useless calls");
    assert!(first < Duration::from_secs(991), "the first went on after {first:?}");
    assert!(last < Duration::from_secs(1_200), "the last went on after {last:?}");
}
