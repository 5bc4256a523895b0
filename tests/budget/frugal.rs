//! A day with few calls: workers, queue and budget run together, on virtual time. Every event is completed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use tds_core::{
    clock::Clock,
    engine::{Engine, Stores},
    error::{Error, ErrorKind, Result, Retry},
    inbox::{Disposition, EventFilter, EventStatus, Inbox, InboxOperator, NewEvent},
    limits::budget::{CallBudget, Denied, Limits, PermitPool, Throttle},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::{Lane, Work},
    record::{EntityType, Read, Record, RecordBuilder, RecordId, RecordKey, SourcePayload},
    source::{ListPage, ListRequest, Source, SourceProfile},
    testkit::ScriptedSource,
};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::{Instant, sleep};

use crate::world::virtual_time;

const PRODUCTS: EntityType = EntityType::from_static("products");
const SIX: OffsetDateTime = datetime!(2026-03-02 06:00 UTC);
const EVENTS: usize = 360;
/// 160 of these calls are for this program, and 152 of the 160 for all lanes except the operators' lane.
const PLAN: u32 = 200;

/// The clock of the virtual runtime, which starts at six in the morning.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> OffsetDateTime {
        SIX + self.0.elapsed()
    }
}

/// A source of which every read takes a permit.
struct Metered {
    inner: ScriptedSource,
    pool: PermitPool,
}

#[async_trait]
impl Source for Metered {
    fn schema(&self) -> &MirrorSchema {
        self.inner.schema()
    }

    fn profile(&self) -> &SourceProfile {
        self.inner.profile()
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        self.inner.list(request).await
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        let mut reads = Vec::new();
        for id in ids {
            reads.push(match self.pool.enter(lane).await {
                Ok(permit) => {
                    let permit = permit.start().expect("fresh");
                    let read = self.inner.fetch(std::slice::from_ref(id), lane).await.remove(0);
                    drop(permit);
                    read
                }
                Err(Denied::Refused(refusal)) => {
                    let retry = Retry::Throttled { retry_after: refusal.wait };
                    Err(Error::new(ErrorKind::Unavailable, retry, "no call is left"))
                }
                Err(Denied::Unknown(error)) => Err(error),
            });
        }
        reads
    }

    fn reads_wait(&self, lane: Lane) -> Duration {
        let patience = self.pool.last_status().filter(|_| lane == Lane::Webhook);
        Duration::from_secs(60) * patience.map_or(0, |status| status.patience())
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        self.inner.decode(payload)
    }
}

fn event(number: usize) -> NewEvent {
    let id = if number.is_multiple_of(2) { "1" } else { "2" };
    NewEvent {
        event_id: format!("event {number}"),
        source_type: "shop".to_owned(),
        entity_type: PRODUCTS,
        entity_id: Some(id.to_owned()),
        event_type: "updated".to_owned(),
        raw_payload: Vec::new(),
        headers: json!({}),
        disposition: Disposition::Work(vec![(RecordKey::new(PRODUCTS, RecordId::new(id)), Work::fetch())]),
    }
}

#[test]
fn on_a_day_with_too_few_calls_every_event_is_still_applied() {
    virtual_time().block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
        let limits = Limits {
            per_minute: Some(100),
            concurrent: 5,
            per_day: Some(PLAN),
            call_time: Duration::from_secs(60),
        };
        let pool = PermitPool::new(CallBudget::local(&clock), "shop".to_owned(), limits, None);
        let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
        let inner = ScriptedSource::new(schema, clock.clone());
        let mut profile = inner.profile().clone();
        (profile.records_per_call, profile.fetch_batch) = (1, 1);
        let source = Arc::new(Metered { inner: inner.with_profile(profile), pool: pool.clone() });
        let store = MemoryStore::new(clock.clone());
        let stores = Stores::new(&store, store.clone());
        let engine = Engine::builder(stores).clock(clock.clone()).source(source.clone()).start();

        let (mut steps, mut last) = (Vec::new(), OffsetDateTime::UNIX_EPOCH);
        for number in 0..EVENTS {
            last = clock.now();
            let id = if number.is_multiple_of(2) { "1" } else { "2" };
            let record = RecordBuilder::new(&PRODUCTS, id).version(last).fields(json!({"number": number}));
            source.inner.put(record);
            store.accept(event(number)).await.expect("accepted");
            sleep(Duration::from_secs(20)).await;
            let step = pool.last_status().expect("a status").throttle();
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        }
        sleep(Duration::from_secs(600)).await;
        engine.stop().await;

        let events = store.list_events(&EventFilter::default(), 1_000, None).await.expect("events").items;
        assert_eq!(events.len(), EVENTS);
        let waits = events.iter().filter_map(|event| Some(event.processed_at? - event.received_at));
        let longest = waits.max().expect("events");
        println!("{EVENTS} events, {} reads, at most {longest} each, {steps:?}", source.inner.fetches());
        assert!(events.iter().all(|event| event.status == EventStatus::Completed), "{events:?}");
        assert!(steps.contains(&Throttle::Frugal) && !steps.contains(&Throttle::JournalOnly), "{steps:?}");
        assert!(source.inner.fetches() < 152, "{} reads", source.inner.fetches());
        assert!(longest <= Duration::from_secs(310), "{longest}");
        let row = store.row(&PRODUCTS, &RecordId::new("2")).expect("a row");
        assert_eq!(row.fields.get("number"), Some(&json!(EVENTS - 1)), "the newest state, of {last}");
    });
}
