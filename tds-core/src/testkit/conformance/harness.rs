//! The interface between a store and the cases, and the helpers that cases share.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use crate::{
    engine::Schedule,
    engine::VerifyStores,
    history::RecordHistory,
    inbox::{Disposition, EventStatus, EventView, Inbox, InboxId, InboxOperator, NewEvent},
    limits::{
        budget::{CallBudget, CallLog},
        credentials::CredentialLeases,
        shared_state::SharedState,
    },
    mirror::{Mirror, MirrorSchema},
    outbound::{Modes, Outbox, OutboxOperator},
    privacy::Eraser,
    queue::{
        ClaimRequest, Claimed, ItemFilter, Lane, NewItem, Queue, QueueMaintenance, QueueOperator, Settle,
        Settled, Settlement, Waiter, Work, WorkKey, WorkerId,
    },
    record::{EntityType, Fields, Interval, Observed, Payload, RecordId, RecordKey},
    runs::{SyncRun, SyncRunOperator},
    verify::{VerifyOperator, VerifyStore},
};

/// The traits of one fresh store.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is named after its trait")]
pub struct Stores {
    pub inbox: Arc<dyn Inbox>,
    pub inbox_operator: Arc<dyn InboxOperator>,
    pub queue: Arc<dyn Queue>,
    pub queue_operator: Arc<dyn QueueOperator>,
    pub queue_maintenance: Arc<dyn QueueMaintenance>,
    pub runs: Arc<dyn Runs>,
    pub schedule: Arc<dyn Schedule>,
    pub mirror: Arc<dyn Mirror>,
    pub shared: Arc<dyn SharedState>,
    pub calls: Arc<dyn CallLog>,
    /// `None`: the store has no verifications, and their cases are not run.
    pub verify: Option<VerifyStores>,
    /// `None`: the store has no histories, and their cases are not run.
    pub history: Option<Arc<dyn RecordHistory>>,
    /// `None`: the store has no outbox, and its cases are not run.
    pub outbound: Option<OutboundStores>,
    /// `None`: the store erases nothing, and its cases are not run. Its mirror and its eraser are created with
    /// [`persons`](super::privacy::persons).
    pub eraser: Option<Arc<dyn Eraser>>,
}

/// The traits of an outbox.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is named after its trait")]
pub struct OutboundStores {
    pub outbox: Arc<dyn Outbox>,
    pub modes: Arc<dyn Modes>,
    pub operator: Arc<dyn OutboxOperator>,
}

/// The store of runs, for processes and for operators.
pub trait Runs: SyncRun + SyncRunOperator {}

impl<T: SyncRun + SyncRunOperator> Runs for T {}

impl Stores {
    /// Creates the traits of one store for everything but the mirror. The mirror may be another store.
    #[must_use]
    pub fn new<S>(store: &S, mirror: impl Mirror + 'static) -> Self
    where
        S: Inbox + InboxOperator + Queue + QueueOperator + QueueMaintenance + Clone + 'static,
        S: SyncRun + SyncRunOperator + Schedule + SharedState + CallLog,
    {
        let store = Arc::new(store.clone());
        Self {
            inbox: store.clone(),
            inbox_operator: store.clone(),
            queue: store.clone(),
            queue_operator: store.clone(),
            queue_maintenance: store.clone(),
            runs: store.clone(),
            schedule: store.clone(),
            mirror: Arc::new(mirror),
            shared: store.clone(),
            calls: store,
            verify: None,
            history: None,
            outbound: None,
            eraser: None,
        }
    }

    /// Adds the verifications of the store.
    #[must_use]
    pub fn with_verify(self, store: impl VerifyStore + VerifyOperator + 'static) -> Self {
        let store = Arc::new(store);
        Self { verify: Some(VerifyStores { store: store.clone(), operator: store, money: None }), ..self }
    }

    /// Adds the histories of the store.
    #[must_use]
    pub fn with_history(self, history: impl RecordHistory + 'static) -> Self {
        Self { history: Some(Arc::new(history)), ..self }
    }

    /// Adds the outbox of the store.
    #[must_use]
    pub fn with_outbound(self, store: impl Outbox + Modes + OutboxOperator + 'static) -> Self {
        let store = Arc::new(store);
        let outbound = OutboundStores { outbox: store.clone(), modes: store.clone(), operator: store };
        Self { outbound: Some(outbound), ..self }
    }

    /// Adds the erasures of the store.
    #[must_use]
    pub fn with_eraser(self, eraser: impl Eraser + 'static) -> Self {
        Self { eraser: Some(Arc::new(eraser)), ..self }
    }

    /// Returns the budget of calls over the store.
    #[must_use]
    pub fn budget(&self) -> CallBudget {
        CallBudget::new(Arc::clone(&self.shared), Arc::clone(&self.calls))
    }

    /// Returns the leases of credentials over the store.
    #[must_use]
    pub fn leases(&self) -> CredentialLeases {
        CredentialLeases::new(Arc::clone(&self.shared))
    }
}

/// A fresh store and its environment.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Returns the store.
    fn stores(&self) -> &Stores;

    /// Advances the store's clock.
    async fn advance(&self, by: Duration);

    /// Returns a column of the rows of a record. With `owner`, the table is a child table, and `owner` is its column
    /// with the record's id. Without `owner`, the table is a head table. A row that lacks the column has no value in
    /// the result.
    async fn values(&self, table: &str, owner: Option<&str>, id: &str, column: &str) -> Vec<Value>;

    /// Changes a text column of a head row without using the store, as an operator with a database client would.
    async fn change_column(&self, table: &str, id: &str, column: &str, value: &str);

    /// Returns columns that the target refuses for this product.
    async fn refused_columns(&self, id: &str) -> Fields;

    /// Writes a record of the target in one transaction, as another program would: inserts it, or changes the columns that
    /// are given. `rows` replace the rows of the first child table. Returns the local id of the record.
    async fn write_local(
        &self,
        schema: &MirrorSchema,
        _local_id: Option<i64>,
        _fields: Fields,
        _rows: Option<Vec<Fields>>,
    ) -> i64 {
        panic!("{} has no local rows: implement the local methods of the harness", schema.entity)
    }

    /// Inserts a record in a transaction that is rolled back. A store whose writes cannot be rolled back does nothing.
    async fn abandon_local(&self, _schema: &MirrorSchema, _fields: Fields) {}

    /// Removes a record of the target, as another program would: its row goes or, as a tombstone, stays.
    async fn delete_local(&self, schema: &MirrorSchema, _local_id: i64, _tombstone: bool) {
        panic!("{} has no local rows: implement the local methods of the harness", schema.entity)
    }

    /// Returns the local id of a record of the source.
    async fn local_id(&self, schema: &MirrorSchema, _id: &str) -> Option<i64> {
        panic!("{} has no local rows: implement the local methods of the harness", schema.entity)
    }

    /// Returns a column of the head row of a local record or, with `child`, of its rows in the first child table.
    async fn local_values(
        &self,
        schema: &MirrorSchema,
        _local_id: i64,
        _child: bool,
        _column: &str,
    ) -> Vec<Value> {
        panic!("{} has no local rows: implement the local methods of the harness", schema.entity)
    }

    /// Returns a column of the head row of a local record as text. `None` means that the column is null, or that there is
    /// no row.
    async fn local_column(&self, schema: &MirrorSchema, local_id: i64, column: &str) -> Option<String> {
        texts(self.local_values(schema, local_id, false, column).await).pop()
    }

    /// Returns a column of the child rows of a local record as texts, sorted.
    async fn local_child_column(&self, schema: &MirrorSchema, local_id: i64, column: &str) -> Vec<String> {
        texts(self.local_values(schema, local_id, true, column).await)
    }

    /// Returns a column of a head row as text. `None` means that the column is null, or that there is no row.
    async fn column(&self, table: &str, id: &str, column: &str) -> Option<String> {
        texts(self.values(table, None, id, column).await).pop()
    }

    /// Returns a column of a record's child rows as texts, sorted.
    async fn child_column(&self, table: &str, owner: &str, id: &str, column: &str) -> Vec<String> {
        texts(self.values(table, Some(owner), id, column).await)
    }
}

/// Returns the values that are not null as texts, sorted.
fn texts(values: Vec<Value>) -> Vec<String> {
    let text = |value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let mut texts: Vec<String> = values.into_iter().filter_map(text).collect();
    texts.sort();
    texts
}

pub(super) const PRODUCTS: EntityType = EntityType::from_static("products");
pub(super) const CUSTOMERS: EntityType = EntityType::from_static("customers");
pub(super) const VENDORS: EntityType = EntityType::from_static("vendors");
pub(super) const INVOICES: EntityType = EntityType::from_static("invoices");

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// A lease that a case lets expire, and a time after which this lease has surely expired.
pub(super) const SHORT: Duration = Duration::from_millis(150);
pub(super) const LONGER: Duration = Duration::from_millis(250);
/// The number of times that a case looks for a change before it fails.
const LOOKS: u32 = 200;
const BETWEEN: Duration = Duration::from_millis(50);

/// Returns the time that lies this number of seconds after a fixed time.
pub(super) fn at(seconds: i64) -> OffsetDateTime {
    datetime!(2020-01-01 00:00 UTC) + time::Duration::seconds(seconds)
}

/// Returns the observation of a call that took one second.
pub(super) fn call(began: i64) -> Observed {
    Observed::Call(Interval { began: at(began), ended: at(began + 1) })
}

pub(super) fn record(entity: EntityType, id: &str) -> RecordKey {
    RecordKey::new(entity, RecordId::new(id))
}

/// Returns the key of the inbound work on a record.
pub(super) fn key(entity: EntityType, id: &str) -> WorkKey {
    record(entity, id).into()
}

pub(super) fn product(id: &str) -> WorkKey {
    key(PRODUCTS, id)
}

/// Returns work with a pushed body.
pub(super) fn pushed(version: i64, json: &str) -> Work {
    Work::pushed(at(version), at(version + 10), Payload::new(json))
}

pub(super) fn new_item(id: &str, work: Work) -> NewItem {
    NewItem::new(product(id), Lane::Webhook, work)
}

/// Returns the outbound work on a local product.
pub(super) fn outbound(local_id: &str) -> NewItem {
    let key = WorkKey::outbound(PRODUCTS, local_id);
    NewItem { key, lane: Lane::Outbound, work: Work::fetch(), waiter: Waiter::Operator }
}

/// Returns what becomes of an event with this inbound work.
pub(super) fn disposition(work: Vec<(WorkKey, Work)>) -> Disposition {
    let records = work.into_iter().map(|(key, work)| (record(key.entity, key.id.as_str()), work));
    Disposition::Work(records.collect())
}

/// Returns an event about these records, with its own body.
pub(super) fn event(event_id: &str, work: Vec<(WorkKey, Work)>) -> NewEvent {
    NewEvent {
        event_id: event_id.to_owned(),
        source_type: "zoho".to_owned(),
        entity_type: PRODUCTS,
        entity_id: work.first().map(|(key, _)| key.id.to_string()),
        event_type: "updated".to_owned(),
        raw_payload: format!("body of {event_id}").into_bytes(),
        headers: json!({"content-type": "application/json"}),
        disposition: disposition(work),
    }
}

pub(super) fn request(limit: usize, lease: Duration) -> ClaimRequest {
    ClaimRequest::new(WorkerId("case".to_owned()), limit, lease)
}

/// The steps that cases repeat.
pub(super) struct Case<'a>(pub(super) &'a dyn Harness);

impl Case<'_> {
    /// Calls `look` until it returns a value.
    pub(super) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..LOOKS {
            if let Some(seen) = look().await {
                return seen;
            }
            self.0.advance(BETWEEN).await;
        }
        panic!("never seen: {what}");
    }

    pub(super) async fn accept(&self, event: NewEvent) -> InboxId {
        self.0.stores().inbox.accept(event).await.expect("accept").id
    }

    pub(super) async fn enqueue(&self, items: Vec<NewItem>) {
        self.0.stores().queue.enqueue(items).await.expect("enqueue");
    }

    /// Claims the items that are due now.
    pub(super) async fn claim_now(&self, limit: usize) -> Vec<Claimed> {
        self.0.stores().queue.claim(&request(limit, LONG)).await.expect("claim")
    }

    /// Claims one item, which must exist.
    pub(super) async fn claim(&self) -> Claimed {
        self.claim_for(LONG).await
    }

    pub(super) async fn claim_for(&self, lease: Duration) -> Claimed {
        let queue = &self.0.stores().queue;
        self.until("an item to claim", async || queue.claim(&request(1, lease)).await.expect("claim").pop())
            .await
    }

    pub(super) async fn settle(&self, item: &Claimed, settle: Settle) -> Settled {
        self.0.stores().queue.settle(vec![Settlement::new(item, settle)]).await.expect("settle")
    }

    /// Asserts that nothing can be claimed.
    pub(super) async fn nothing_to_claim(&self) {
        let claimed = self.claim_now(100).await;
        assert!(claimed.is_empty(), "claimed {claimed:?}");
    }

    pub(super) async fn event(&self, id: InboxId) -> EventView {
        self.0.stores().inbox_operator.get_event(id).await.expect("get_event").expect("the event exists")
    }

    pub(super) async fn event_reaches(&self, id: InboxId, status: EventStatus) -> EventView {
        self.until(&format!("event {id} {}", status.as_str()), async || {
            Some(self.event(id).await).filter(|event| event.status == status)
        })
        .await
    }

    /// Returns every item of the store, newest first.
    pub(super) async fn items(&self) -> Vec<crate::queue::ItemView> {
        let operator = &self.0.stores().queue_operator;
        operator.list(&ItemFilter::default(), 100, None).await.expect("list").items
    }

    /// Returns the states of these records.
    pub(super) async fn states(
        &self,
        entity: &EntityType,
        ids: &[&str],
    ) -> HashMap<RecordId, crate::guard::SyncState> {
        let ids: Vec<RecordId> = ids.iter().map(|id| RecordId::new(*id)).collect();
        self.0.stores().mirror.states(entity, &ids).await.expect("states")
    }
}
