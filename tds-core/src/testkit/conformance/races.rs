//! Cases in which deliveries, pages, claims and settlements happen at the same time. Every waiter of an item is
//! notified of its end, including a waiter that was added while the item was ending.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    harness::*,
    run::{commit, page, run, started},
};
use crate::{
    inbox::{EventFilter, EventStatus, Inbox},
    queue::{ItemStatus, Outcome, Queue, Settle, Settlement, Work},
    runs::{Run, RunId, RunStatus},
};

const SENDERS: u64 = 4;
const WORKERS: usize = 3;
/// The number of deliveries of each sender.
const DELIVERIES: u64 = 60;
const RECORDS: u64 = 3;
/// The number of consecutive runs, each of which lists `LISTED` records.
const RUNS: u32 = 12;
const LISTED: usize = 8;
/// The maximum time that a run may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settles everything that is due until it is stopped.
fn work_until(queue: &Arc<dyn Queue>, stop: &Arc<AtomicBool>) -> impl Future<Output = ()> + Send + use<> {
    let (queue, stop) = (Arc::clone(queue), Arc::clone(stop));
    async move {
        while !stop.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
            let claimed = queue.claim(&request(10, LONG)).await.expect("claim");
            if claimed.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            // Yielding here lets other tasks add waiters during the claim, even in a store that never waits itself.
            tokio::task::yield_now().await;
            let ends = claimed
                .iter()
                .map(|item| Settlement::new(item, Settle::Complete(Outcome::Applied)))
                .collect();
            queue.settle(ends).await.expect("settle");
        }
    }
}

/// Sends deliveries about a few records. Their versions are newer than, older than, or equal to the one that is
/// being settled.
fn send(inbox: &Arc<dyn Inbox>, sender: u64, records: u64) -> impl Future<Output = ()> + Send + use<> {
    let inbox = Arc::clone(inbox);
    async move {
        for number in 0..DELIVERIES {
            let version =
                i64::try_from([number, number, number / 2, 0][usize::try_from(number % 4).expect("small")]);
            let record = (number + sender) % records;
            let work = pushed(version.expect("small"), "{}");
            let delivery = event(&format!("{sender}-{number}"), vec![(product(&record.to_string()), work)]);
            inbox.accept(delivery).await.expect("accept");
            tokio::task::yield_now().await;
        }
    }
}

/// Waits until the workers have ended a run.
async fn ended(case: &Case<'_>, id: RunId) -> Run {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let now = run(case.0, id).await;
        if now.status == RunStatus::Completed {
            return now;
        }
        assert!(tokio::time::Instant::now() < deadline, "the run does not end: {now:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until no event and no queue item is open.
async fn all_ended(case: &Case<'_>) {
    let events = &case.0.stores().inbox_operator;
    case.until("the end of everything", async || {
        let items = case.items().await;
        let in_queue =
            |status| matches!(status, ItemStatus::Pending | ItemStatus::Processing | ItemStatus::Failed);
        if items.iter().any(|item| in_queue(item.status)) {
            return None;
        }
        for status in [EventStatus::Pending, EventStatus::Processing] {
            let filter = EventFilter { status: Some(status), ..EventFilter::default() };
            if !events.list_events(&filter, 1, None).await.expect("list_events").items.is_empty() {
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// Settles what the stopped workers left in the queue.
async fn drained(case: &Case<'_>) {
    let queue = &case.0.stores().queue;
    loop {
        let claimed = case.claim_now(100).await;
        if claimed.is_empty() {
            return;
        }
        let ends =
            claimed.iter().map(|item| Settlement::new(item, Settle::Complete(Outcome::Applied))).collect();
        queue.settle(ends).await.expect("settle");
    }
}

pub async fn every_event_ends_however_deliveries_of_a_record_meet_its_settling(harness: &dyn Harness) {
    let (case, stores) = (Case(harness), harness.stores());
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = tokio::task::JoinSet::new();
    (0..WORKERS).for_each(|_| drop(workers.spawn(work_until(&stores.queue, &stop))));
    let mut senders = tokio::task::JoinSet::new();
    (0..SENDERS).for_each(|sender| drop(senders.spawn(send(&stores.inbox, sender, RECORDS))));
    senders.join_all().await;
    stop.store(true, Ordering::Relaxed);
    workers.join_all().await;
    drained(&case).await;
    all_ended(&case).await;
}

pub async fn every_run_ends_however_its_pages_are_overtaken_by_deliveries(harness: &dyn Harness) {
    let (case, stores) = (Case(harness), harness.stores());
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = tokio::task::JoinSet::new();
    (0..WORKERS).for_each(|_| drop(workers.spawn(work_until(&stores.queue, &stop))));
    let mut senders = tokio::task::JoinSet::new();
    (0..SENDERS).for_each(|sender| drop(senders.spawn(send(&stores.inbox, sender, LISTED as u64))));
    let ids: Vec<String> = (0..LISTED).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for _ in 0..RUNS {
        let lease = started(harness, LONG).await;
        let mut listing = page(lease.run.id, &ids, LISTED, true);
        listing.items.iter_mut().step_by(2).for_each(|item| item.work = pushed(0, "{}"));
        listing.items.iter_mut().skip(1).step_by(4).for_each(|item| item.work = Work::fetch());
        commit(harness, &lease, listing).await;
        let ended = ended(&case, lease.run.id).await;
        assert_eq!(ended.processed_items, ended.total_items);
    }
    senders.join_all().await;
    stop.store(true, Ordering::Relaxed);
    workers.join_all().await;
    drained(&case).await;
    all_ended(&case).await;
}
