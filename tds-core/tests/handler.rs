//! Tests of the handler of a mirror: by what an item is judged whose payload cannot be decoded.
#![cfg(feature = "testkit")]

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
    guard::{RereadReason, SyncState},
    handler::{BatchHandler as _, Handled, MirrorHandler},
    memory::MemoryStore,
    mirror::{Applied, Mirror, MirrorSchema},
    queue::{ClaimRequest, Claimed, Lane, NewItem, Outcome, Queue as _, Work, WorkerId},
    record::{EntityType, Payload, Read, Record, RecordBuilder, RecordId, RecordKey, SourcePayload},
    retry::{Decision, RetryPolicy},
    source::{ListPage, ListRequest, Source, SourceProfile},
    testkit::{ManualClock, ScriptedSource},
};
use time::macros::datetime;

const PRODUCTS: EntityType = EntityType::from_static("products");

/// A source whose payloads nobody can decode, and whose records can be read by id.
struct Undecodable(ScriptedSource);

#[async_trait]
impl Source for Undecodable {
    fn schema(&self) -> &MirrorSchema {
        self.0.schema()
    }

    fn profile(&self) -> &SourceProfile {
        self.0.profile()
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        self.0.list(request).await
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        self.0.fetch(ids, lane).await
    }

    fn decode(&self, _payload: &SourcePayload) -> Result<Record> {
        Err(Error::invalid("no parser reads this payload"))
    }
}

/// A mirror that answers as the test says, and afterwards as the store does.
struct Answering {
    store: MemoryStore,
    next: Mutex<VecDeque<Result<Applied>>>,
}

#[async_trait]
impl Mirror for Answering {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.store.states(entity, ids).await
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let answer = self.next.lock().expect("no panic while held").pop_front();
        match answer {
            Some(answer) => vec![answer],
            None => self.store.apply(schema, reads).await,
        }
    }
}

struct Setup {
    source: Arc<Undecodable>,
    handler: MirrorHandler,
    item: Claimed,
}

/// Returns a claimed item whose payload cannot be decoded, of a record that can be read.
async fn setup(answers: impl IntoIterator<Item = Result<Applied>>) -> Setup {
    let clock: Arc<dyn Clock> =
        Arc::new(ManualClock::default().ticking(std::time::Duration::from_millis(10)));
    let store = MemoryStore::new(clock.clone());
    let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
    let source = ScriptedSource::new(schema, clock.clone());
    source.put(RecordBuilder::new(&PRODUCTS, "1").version(datetime!(2026-01-01 12:00 UTC)));
    let source = Arc::new(Undecodable(source));
    let key = RecordKey::new(PRODUCTS, RecordId::new("1"));
    let work = Work::pushed(datetime!(2026-01-01 12:00 UTC), clock.now(), Payload::new("{}"));
    store.enqueue(vec![NewItem::new(key, Lane::Webhook, work)]).await.expect("enqueued");
    let request = ClaimRequest::new(WorkerId("test".to_owned()), 1, std::time::Duration::from_secs(60));
    let item = store.claim(&request).await.expect("claimed").remove(0);
    let mirror = Answering { store, next: Mutex::new(answers.into_iter().collect()) };
    let handler = MirrorHandler::new(source.clone(), Arc::new(mirror), clock);
    Setup { source, handler, item }
}

impl Setup {
    async fn handle(&self) -> Result<Handled> {
        self.handler.handle_batch(std::slice::from_ref(&self.item)).await.remove(0)
    }
}

#[tokio::test]
async fn a_record_that_was_read_is_judged_by_the_failure_of_the_mirror_and_not_by_its_payload() {
    let setup = setup([Err(Error::unavailable("the mirror is away"))]).await;
    let error = setup.handle().await.expect_err("the mirror is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let decision = RetryPolicy::default().decide(setup.item.retry_count, &error, 0.0);
    assert!(matches!(decision, Decision::Retry(_)), "{decision:?}");
    let again = setup.handle().await;
    assert!(matches!(again, Ok(Handled::Done(Outcome::Applied))), "{again:?}");
}

#[tokio::test]
async fn a_record_whose_reads_all_tie_is_read_again_later_whatever_its_payload() {
    let tie = || Ok(Applied::Reread(RereadReason::Tie));
    let setup = setup([tie(), tie(), tie()]).await;
    let handled = setup.handle().await;
    assert!(matches!(handled, Ok(Handled::Reread)), "{handled:?}");
    assert_eq!(setup.source.0.fetches(), 3);
    let again = setup.handle().await;
    assert!(matches!(again, Ok(Handled::Done(Outcome::Applied))), "{again:?}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_either_is_judged_by_the_read() {
    let setup = setup([]).await;
    setup.source.0.fail_next(Error::unavailable("the source is away"));
    let error = setup.handle().await.expect_err("the source is away");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, "the source is away"));
}
