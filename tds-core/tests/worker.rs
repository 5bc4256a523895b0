//! Tests of the worker over the store in memory: the results of items for every outcome of their handlers.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    clock::{Clock as _, SystemClock},
    engine::{Engine, SourceGate, Stores, WorkerSettings},
    error::{Error, ErrorKind, Result, Retry},
    handler::{BatchHandler, Handled},
    inbox::{Disposition, EventStatus, Inbox, InboxOperator, NewEvent},
    memory::MemoryStore,
    queue::{
        Claimed, Direction, ItemFilter, ItemStatus, ItemView, Lane, NewItem, Outcome, Queue, QueueOperator,
        Waiter, Work, WorkKey,
    },
    record::{EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
    retry::RetryPolicy,
    shutdown::ShutdownTrigger,
};
use tokio::{sync::Semaphore, task::JoinHandle};

const PRODUCTS: EntityType = EntityType::from_static("products");
const INVOICES: EntityType = EntityType::from_static("invoices");

/// A handler whose result depends on the id of the record.
struct Scripted {
    entity: EntityType,
    direction: Direction,
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl BatchHandler for Scripted {
    fn entity(&self) -> &EntityType {
        &self.entity
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    async fn handle_batch(&self, batch: &[Claimed]) -> Vec<Result<Handled>> {
        let mut results = Vec::new();
        for item in batch {
            assert_eq!(item.key.direction, self.direction);
            let id = item.key.id.as_str();
            self.seen.lock().expect("no panic while held").push(id.to_owned());
            if id.starts_with("gated") {
                self.gate.acquire().await.expect("open").forget();
            }
            assert!(!id.starts_with("panic"), "the handler was told to panic");
            // A record that was rerouted to invoices is handled like a record without the prefix.
            let id = if self.entity == INVOICES { id.trim_start_matches("moved-") } else { id };
            results.push(result_of(id, item.retry_count));
        }
        results
    }
}

fn result_of(id: &str, failed_before: u32) -> Result<Handled> {
    match id.split('-').next().unwrap_or_default() {
        "invalid" => Err(Error::invalid("rate is no number: abc")),
        "flaky" if failed_before < 2 => Err(Error::unavailable("the source is away")),
        "broken" => Err(Error::unavailable("the source is away for good")),
        "throttled" => Err(Error::new(
            ErrorKind::RateLimited,
            Retry::Throttled { retry_after: Duration::from_millis(20) },
            "too many requests",
        )),
        "moved" => Ok(Handled::Reroute { entity: INVOICES, work: Work::fetch() }),
        _ => Ok(Handled::Done(Outcome::Applied)),
    }
}

struct Setup {
    store: MemoryStore,
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<String>>>,
    trigger: ShutdownTrigger,
    worker: JoinHandle<()>,
}

fn start(concurrency: usize) -> Setup {
    let store = MemoryStore::new(Arc::new(SystemClock));
    start_on(store, concurrency)
}

fn start_on(store: MemoryStore, concurrency: usize) -> Setup {
    start_with(store, concurrency, Arc::new(|| true))
}

fn start_with(store: MemoryStore, concurrency: usize, may_ask: SourceGate) -> Setup {
    let (gate, seen) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let mut builder = Engine::builder(Stores::new(&store, store.clone())).gate(may_ask);
    let handled =
        [(PRODUCTS, Direction::Inbound), (INVOICES, Direction::Inbound), (PRODUCTS, Direction::Outbound)];
    for (entity, direction) in handled {
        let (gate, seen) = (Arc::clone(&gate), Arc::clone(&seen));
        builder = builder.handler(Arc::new(Scripted { entity, direction, gate, seen }));
    }
    let settings = WorkerSettings {
        concurrency,
        lease: Duration::from_secs(5),
        policy: RetryPolicy {
            max_attempts: 4,
            base: Duration::from_millis(1),
            max: Duration::from_millis(5),
        },
        grace: Duration::from_millis(300),
        poll: Duration::from_millis(20),
        ..WorkerSettings::default()
    };
    let (trigger, shutdown) = ShutdownTrigger::new();
    let worker = builder.worker(settings).build().worker;
    let worker = tokio::spawn(async move { worker.run(shutdown).await });
    Setup { store, gate, seen, trigger, worker }
}

fn item(entity: EntityType, id: &str, lane: Lane) -> NewItem {
    NewItem {
        key: RecordKey::new(entity, RecordId::new(id)).into(),
        lane,
        work: Work::fetch(),
        waiter: Waiter::Operator,
    }
}

fn products<const N: usize>(ids: [&str; N]) -> Vec<NewItem> {
    ids.map(|id| item(PRODUCTS, id, Lane::Webhook)).to_vec()
}

impl Setup {
    async fn all(&self) -> Vec<ItemView> {
        self.store.list(&ItemFilter::default(), 200, None).await.expect("list").items
    }

    /// Waits until the condition holds for the items; panics after about five seconds and shows them.
    async fn until(&self, what: &str, condition: impl Fn(&[ItemView]) -> bool) -> Vec<ItemView> {
        for _ in 0..500 {
            let items = self.all().await;
            if condition(&items) {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not come true: {:#?}", self.all().await);
    }

    async fn stop(self) -> MemoryStore {
        self.trigger.shutdown();
        self.worker.await.expect("the worker ends");
        self.store
    }
}

fn by_id<'a>(items: &'a [ItemView], id: &str) -> &'a ItemView {
    items.iter().find(|item| item.record.as_str() == id).unwrap_or_else(|| panic!("no item of {id}"))
}

fn count(items: &[ItemView], status: ItemStatus) -> usize {
    items.iter().filter(|item| item.status == status).count()
}

#[tokio::test]
async fn a_bad_record_goes_to_the_dead_letters_alone_with_its_reason() {
    let setup = start(2);
    setup.store.enqueue(products(["good-1", "invalid-1", "good-2"])).await.expect("enqueue");
    let items = setup.until("three ends", |items| {
        count(items, ItemStatus::Completed) == 2 && count(items, ItemStatus::DeadLetter) == 1
    });
    let items = items.await;
    assert_eq!(by_id(&items, "invalid-1").error_message.as_deref(), Some("rate is no number: abc"));
    setup.stop().await;
}

#[tokio::test]
async fn a_transient_fault_is_retried_and_a_lasting_one_is_a_dead_letter_after_the_last_attempt() {
    let setup = start(2);
    setup.store.enqueue(products(["flaky-1", "broken-1"])).await.expect("enqueue");
    let items = setup
        .until("both ends", |items| {
            count(items, ItemStatus::Completed) == 1 && count(items, ItemStatus::DeadLetter) == 1
        })
        .await;
    assert_eq!(by_id(&items, "flaky-1").retry_count, 2);
    let attempts = setup.seen.lock().unwrap().iter().filter(|id| *id == "broken-1").count();
    assert_eq!(attempts, 4, "TDS_MAX_ATTEMPTS counts attempts");
    setup.stop().await;
}

#[tokio::test]
async fn throttling_spends_no_attempt() {
    let setup = start(1);
    setup.store.enqueue(products(["throttled-1"])).await.expect("enqueue");
    for _ in 0..500 {
        if setup.seen.lock().unwrap().len() >= 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let item = setup.all().await.remove(0);
    assert!(setup.seen.lock().unwrap().len() >= 6, "it is tried again and again");
    assert_eq!(item.retry_count, 0);
    assert_ne!(item.status, ItemStatus::DeadLetter);
    setup.stop().await;
}

#[tokio::test]
async fn a_panic_fails_only_the_record_that_caused_it() {
    let setup = start(1);
    setup.store.enqueue(products(["good-1", "panic-1", "good-2"])).await.expect("enqueue");
    let items = setup
        .until("three ends", |items| {
            count(items, ItemStatus::Completed) == 2 && count(items, ItemStatus::DeadLetter) == 1
        })
        .await;
    assert!(by_id(&items, "panic-1").error_message.as_deref().is_some_and(|text| text.contains("panicked")));
    setup.stop().await;
}

#[tokio::test]
async fn a_record_of_another_type_moves_there() {
    let setup = start(1);
    setup.store.enqueue(products(["moved-1"])).await.expect("enqueue");
    let items = setup.until("two ends", |items| count(items, ItemStatus::Completed) == 2).await;
    let types: BTreeSet<&str> = items.iter().map(|item| item.entity_type.as_str()).collect();
    assert_eq!(types, BTreeSet::from(["invoices", "products"]));
    setup.stop().await;
}

#[tokio::test]
async fn an_item_without_a_handler_waits_for_a_process_that_has_one() {
    let setup = start(1);
    let stranger = item(EntityType::from_static("projects"), "1", Lane::Webhook);
    setup.store.enqueue(vec![stranger]).await.expect("enqueue");
    let items = setup.until("a reason", |items| items[0].error_message.is_some()).await;
    assert_eq!((items[0].status, items[0].retry_count), (ItemStatus::Pending, 0));
    setup.stop().await;
}

#[tokio::test]
async fn a_webhook_does_not_wait_behind_bulk_batches() {
    let setup = start(2);
    let bulk = (0..300).map(|n| item(PRODUCTS, &format!("gated-{n}"), Lane::Full)).collect();
    setup.store.enqueue(bulk).await.expect("enqueue");
    setup.until("a batch is being processed", |_| !setup.seen.lock().unwrap().is_empty()).await;
    setup.store.enqueue(vec![item(INVOICES, "urgent-1", Lane::Webhook)]).await.expect("enqueue");
    let urgent = |items: &[ItemView]| {
        items.iter().any(|item| item.record.as_str() == "urgent-1" && item.status == ItemStatus::Completed)
    };
    let store = setup.store.clone();
    for _ in 0..300 {
        let filter = ItemFilter { entity: Some(INVOICES), ..ItemFilter::default() };
        if urgent(&store.list(&filter, 10, None).await.expect("list").items) {
            setup.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the webhook waited behind the bulk batch");
}

#[tokio::test]
async fn a_shutdown_releases_items_that_were_not_begun_and_spends_no_attempt() {
    let setup = start(1);
    let items = (0..250).map(|n| item(PRODUCTS, &format!("gated-{n}"), Lane::Full)).collect();
    setup.store.enqueue(items).await.expect("enqueue");
    setup.until("a batch is being processed", |_| !setup.seen.lock().unwrap().is_empty()).await;
    setup.gate.add_permits(1_000);
    let store = setup.stop().await;
    let left = store.list(&ItemFilter::default(), 300, None).await.expect("list").items;
    assert_eq!(count(&left, ItemStatus::Processing), 0, "nothing stays claimed");
    assert!(left.iter().all(|item| item.retry_count == 0));
}

#[tokio::test]
async fn no_worker_runs_with_a_concurrency_of_zero() {
    let setup = start(0);
    setup.store.enqueue(products(["good-1"])).await.expect("enqueue");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(count(&setup.all().await, ItemStatus::Pending), 1);
    setup.stop().await;
}

#[tokio::test]
async fn an_event_shows_as_processing_where_its_work_takes_longer_than_a_moment() {
    let setup = start(2);
    let id = RecordId::new("gated-1");
    let event = NewEvent {
        event_id: "a".to_owned(),
        source_type: "zoho".to_owned(),
        entity_type: PRODUCTS,
        entity_id: Some(id.to_string()),
        event_type: "updated".to_owned(),
        raw_payload: Vec::new(),
        headers: serde_json::json!({}),
        disposition: Disposition::Work(vec![(RecordKey::new(PRODUCTS, id), Work::fetch())]),
    };
    let event = setup.store.accept(event).await.expect("accepted").id;
    let reaches = async |status: EventStatus| {
        for _ in 0..500 {
            let view = setup.store.get_event(event).await.expect("an answer").expect("the event");
            if view.status == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the event never became {status:?}");
    };
    reaches(EventStatus::Processing).await;
    setup.gate.add_permits(1);
    reaches(EventStatus::Completed).await;
    setup.stop().await;
}

#[tokio::test]
async fn a_process_with_a_closed_gate_leaves_items_that_need_the_source_due_for_others() {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let payload = SourcePayload {
        shape: Shape::Webhook,
        observed: Observed::Push(SystemClock.now()),
        json: Payload::new("{}"),
    };
    let with = |id: &str| NewItem {
        work: Work { version: None, payload: Some(payload.clone()), recheck: false },
        ..item(PRODUCTS, id, Lane::Webhook)
    };
    store
        .enqueue(vec![item(PRODUCTS, "named", Lane::Webhook), with("whole"), with("throttled-1")])
        .await
        .expect("queued");
    let without_a_token = start_with(store.clone(), 2, Arc::new(|| false));
    let released = async || {
        let page = store.list(&ItemFilter::default(), 10, None).await.expect("a page");
        let of =
            |id: &str| page.items.iter().find(|item| item.record.as_str() == id).cloned().expect("there");
        (of("named"), of("whole"), of("throttled-1"))
    };
    let (named, throttled) = loop {
        let (named, whole, throttled) = released().await;
        if whole.status == ItemStatus::Completed && throttled.error_message.is_some() {
            break (named, throttled);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((named.status, named.error_message), (ItemStatus::Pending, None), "it was not touched");
    assert_eq!((throttled.status, throttled.retry_count), (ItemStatus::Pending, 0));
    assert!(throttled.run_at.expect("it waits") <= SystemClock.now(), "due for whoever may ask");
    // The process that may not read does not claim the released item again and again.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let seen = without_a_token.seen.lock().expect("whole").clone();
    assert_eq!(seen.iter().filter(|id| *id == "throttled-1").count(), 1, "{seen:?}");
    without_a_token.trigger.shutdown();
    without_a_token.worker.await.expect("an end");
}

#[tokio::test]
async fn work_goes_to_the_handler_of_its_direction() {
    let setup = start(2);
    let key = WorkKey::outbound(PRODUCTS, "7");
    let outbound = NewItem { key, lane: Lane::Outbound, work: Work::fetch(), waiter: Waiter::Operator };
    let unknown = NewItem { key: WorkKey::outbound(INVOICES, "8"), ..outbound.clone() };
    let inbound = item(PRODUCTS, "7", Lane::Webhook);
    setup.store.enqueue(vec![outbound, unknown, inbound]).await.expect("queued");
    let items = setup
        .until("the known ones end", |items| {
            items.iter().filter(|item| item.status == ItemStatus::Completed).count() == 2
                && items.iter().any(|item| item.error_message.is_some())
        })
        .await;
    let waits = items.iter().find(|item| item.error_message.is_some()).expect("one waits");
    assert_eq!((waits.entity_id.as_deref(), waits.status), (Some("8"), ItemStatus::Pending));
    setup.stop().await;
}
