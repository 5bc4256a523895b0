//! Tests of records that move between two entity types.
#![cfg(feature = "testkit")]

use std::sync::Arc;

use serde_json::json;
use tds_core::{
    clock::Clock,
    error::Result,
    handler::{BatchHandler, Handled, MirrorHandler},
    memory::MemoryStore,
    mirror::{Mirror, MirrorSchema},
    queue::{ClaimRequest, Lane, NewItem, Queue, Waiter, Work, WorkerId},
    record::{EntityType, Read, Record, RecordBuilder, RecordId, RecordKey, SourcePayload},
    source::{Source, SourceProfile},
    testkit::{ManualClock, ScriptedSource},
};
use time::{Duration, OffsetDateTime, macros::datetime};

const BUYERS: EntityType = EntityType::from_static("buyers");
const SELLERS: EntityType = EntityType::from_static("sellers");
const CHANGED: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

/// A source of buyers that reads the records of its sibling. The content of a read has the record's true entity type.
struct Contacts {
    own: ScriptedSource,
    sibling: Arc<ScriptedSource>,
}

#[async_trait::async_trait]
impl Source for Contacts {
    fn schema(&self) -> &MirrorSchema {
        self.own.schema()
    }

    fn profile(&self) -> &SourceProfile {
        self.own.profile()
    }

    async fn list(&self, request: &tds_core::source::ListRequest) -> Result<tds_core::source::ListPage> {
        self.own.list(request).await
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        let mut reads = self.sibling.fetch(ids, lane).await;
        for read in reads.iter_mut().flatten() {
            read.key.entity = BUYERS;
        }
        reads
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        self.own.decode(payload)
    }
}

fn schema(entity: EntityType, head: &'static str) -> MirrorSchema {
    MirrorSchema { entity, head: Some(head), children: &[] }
}

struct Setup {
    clock: ManualClock,
    store: MemoryStore,
    sellers: Arc<ScriptedSource>,
    buyers: MirrorHandler,
}

fn setup() -> Setup {
    let clock = ManualClock::default().ticking(std::time::Duration::from_millis(10));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let store = MemoryStore::new(shared.clone());
    let sellers = Arc::new(ScriptedSource::new(schema(SELLERS, "sellers"), shared.clone()));
    let profile = SourceProfile {
        fetch_batch: 1,
        records_per_call: 1,
        records_per_page: 200,
        sibling: Some(SELLERS),
        ..SourceProfile::default()
    };
    let own = ScriptedSource::new(schema(BUYERS, "buyers"), shared.clone()).with_profile(profile);
    let source = Arc::new(Contacts { own, sibling: sellers.clone() });
    let buyers = MirrorHandler::new(source, Arc::new(store.clone()), shared);
    Setup { clock, store, sellers, buyers }
}

impl Setup {
    async fn seen(&self, entity: EntityType, head: &'static str) {
        let now = self.clock.now();
        let record = RecordBuilder::new(&entity, "1").version(CHANGED).fields(json!({"a": 1}));
        let read = record.read(now, now + Duration::SECOND);
        self.clock.advance(std::time::Duration::from_secs(2));
        self.store.apply(&schema(entity, head), vec![read]).await.remove(0).expect("applied");
    }

    async fn handle(&self, work: Work) -> Result<Handled> {
        let key = RecordKey::new(BUYERS, RecordId::new("1"));
        let item = NewItem { key: key.into(), lane: Lane::Webhook, work, waiter: Waiter::Operator };
        self.store.enqueue(vec![item]).await.expect("queued");
        let (worker, lease) = (WorkerId("test".to_owned()), std::time::Duration::from_secs(60));
        let request = ClaimRequest::new(worker, 1, lease);
        let items = self.store.claim(&request).await.expect("claimed");
        self.buyers.handle_batch(&items).await.remove(0)
    }

    fn is_live(&self, entity: &EntityType) -> Option<bool> {
        Some(self.store.row(entity, &RecordId::new("1"))?.deleted_at.is_none())
    }
}

#[tokio::test]
async fn a_record_that_moved_to_the_sibling_type_is_deleted_from_its_old_type() {
    let setup = setup();
    setup.seen(BUYERS, "buyers").await;
    setup.sellers.put(RecordBuilder::new(&SELLERS, "1").version(CHANGED).fields(json!({"a": 1})));
    let handled = setup.handle(Work::fetch()).await;
    assert!(matches!(handled, Ok(Handled::Reroute { entity: to, .. }) if to == SELLERS));
    assert_eq!(setup.is_live(&BUYERS), Some(false));
}

#[tokio::test]
async fn an_earlier_read_that_is_applied_after_the_record_moved_is_stale() {
    let setup = setup();
    let early = setup.clock.now();
    let before = RecordBuilder::new(&BUYERS, "1").version(CHANGED).fields(json!({"a": 0}));
    setup.clock.advance(std::time::Duration::from_secs(5));
    setup.sellers.put(RecordBuilder::new(&SELLERS, "1").version(CHANGED).fields(json!({"a": 1})));
    let handled = setup.handle(Work::fetch()).await;
    assert!(matches!(handled, Ok(Handled::Reroute { entity: to, .. }) if to == SELLERS));
    // A worker that lost its lease continues with the state that it read before.
    let late = before.read(early, early + Duration::SECOND);
    setup.store.apply(&schema(BUYERS, "buyers"), vec![late]).await.remove(0).expect("judged");
    assert_eq!(setup.is_live(&BUYERS), None);
}

#[tokio::test]
async fn a_late_push_from_before_the_record_moved_is_checked_at_the_source() {
    let setup = setup();
    setup.seen(SELLERS, "sellers").await;
    setup.sellers.put(RecordBuilder::new(&SELLERS, "1").version(CHANGED).fields(json!({"a": 1})));
    let old = RecordBuilder::new(&BUYERS, "1").version(CHANGED - Duration::HOUR).fields(json!({"a": 0}));
    let record = old.build();
    let payload = SourcePayload {
        shape: tds_core::record::Shape::Webhook,
        observed: tds_core::record::Observed::Push(setup.clock.now()),
        json: record.raw,
    };
    let handled =
        setup.handle(Work { version: record.version, payload: Some(payload), recheck: false }).await;
    assert!(matches!(handled, Ok(Handled::Reroute { entity: to, .. }) if to == SELLERS));
    assert_eq!(setup.is_live(&BUYERS), None);
}

#[tokio::test]
async fn a_deletion_of_the_record_under_its_sibling_type_leaves_a_tombstone_here_too() {
    let setup = setup();
    setup.seen(SELLERS, "sellers").await;
    let handled = setup.handle(Work::fetch()).await;
    assert!(matches!(handled, Ok(Handled::Reroute { entity: to, .. }) if to == SELLERS));
    let states = setup.store.states(&BUYERS, &[RecordId::new("1")]).await.expect("readable");
    assert!(states.values().all(|state| state.deleted) && states.len() == 1);
}
