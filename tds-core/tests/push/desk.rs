//! The desk: a store, a source, and a running engine between them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tds_core::{
    engine::{Engine, RunningEngine, Stores, WorkerSettings},
    memory::MemoryStore,
    outbound::{
        Conflict, ConflictPolicy, EntryStatus, Mode, ModeChange, Modes as _, OutboxEntry, OutboxFilter,
        OutboxOperator as _,
    },
    queue::{ItemFilter, ItemStatus, Lane, NewItem, Queue as _, QueueOperator as _, Work},
    record::{Fields, RecordId, RecordKey},
    retry::RetryPolicy,
};

use crate::remote::{INVOICES, LINES, Remote, SCHEMA, fields};

/// The store, the source, and a running engine between them.
pub(crate) struct Desk {
    pub(crate) store: MemoryStore,
    pub(crate) remote: Arc<Remote>,
    _engine: RunningEngine,
}

impl Desk {
    pub(crate) async fn new(mode: Mode, policy: ConflictPolicy) -> Self {
        let remote = Arc::new(Remote::new());
        let store = MemoryStore::new(Arc::new(remote.clock.clone()));
        let engine = Self::start(&store, &remote);
        let desk = Self { store, remote, _engine: engine };
        desk.mode(mode, policy).await;
        desk
    }

    fn start(store: &MemoryStore, remote: &Arc<Remote>) -> RunningEngine {
        let policy =
            RetryPolicy { max_attempts: 4, base: Duration::from_millis(1), max: Duration::from_millis(2) };
        let settings = WorkerSettings { policy, poll: Duration::from_millis(5), ..WorkerSettings::default() };
        Engine::builder(Stores::new(store, store.clone()).outbound(store))
            .clock(Arc::new(remote.clock.clone()))
            .source(remote.clone())
            .writer(remote.clone())
            .worker(settings)
            .start()
    }

    pub(crate) async fn mode(&self, mode: Mode, policy: ConflictPolicy) {
        let change = ModeChange {
            entity: INVOICES,
            mode: Some(mode),
            policy: Some(policy),
            fields: None,
            epoch: None,
        };
        self.store.set_mode(&change).await.expect("the mode is set");
    }

    /// Returns the local id of an invoice that both sides have.
    pub(crate) async fn mirrored(&self, columns: Value) -> i64 {
        self.remote.edit("1", columns);
        self.pull().await;
        self.store.local_id(&INVOICES, &RecordId::new("1")).expect("a local id")
    }

    /// Lets the target read invoice 1 again.
    pub(crate) async fn pull(&self) {
        let key = RecordKey::new(INVOICES, RecordId::new("1"));
        self.store.enqueue(vec![NewItem::new(key, Lane::Webhook, Work::fetch())]).await.expect("enqueued");
        self.rest().await;
    }

    pub(crate) fn insert(&self, columns: Value, lines: &[Value]) -> i64 {
        let lines: Vec<Fields> = lines.iter().cloned().map(fields).collect();
        self.store.insert_local(&SCHEMA, fields(columns), BTreeMap::from([(LINES.to_owned(), lines)]))
    }

    pub(crate) fn change(&self, id: i64, columns: Value) {
        assert!(self.store.update_local(&SCHEMA, id, fields(columns), BTreeMap::new()), "a row to change");
    }

    pub(crate) fn change_lines(&self, id: i64, lines: Vec<Fields>) {
        let lines = BTreeMap::from([(LINES.to_owned(), lines)]);
        assert!(self.store.update_local(&SCHEMA, id, Fields::new(), lines), "a row to change");
    }

    /// Waits until no change is on its way: each is settled, parked, or has a dead letter.
    pub(crate) async fn rest(&self) {
        for _ in 0..2_000 {
            let queue = self.store.stats().await.expect("stats").queue;
            let filter = OutboxFilter { status: Some(EntryStatus::Pending), entity: None };
            let pending = self.store.entries(&filter, None, 50).await.expect("entries").items;
            let waits = |entry: &OutboxEntry| entry.item_status.as_deref() != Some("dead_letter");
            if queue.live() == 0 && !pending.iter().any(waits) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the desk does not come to rest: {:?}", self.store.stats().await);
    }

    pub(crate) async fn entries(&self) -> Vec<OutboxEntry> {
        let page = self.store.entries(&OutboxFilter::default(), None, 50).await.expect("entries");
        page.items.into_iter().rev().collect()
    }

    pub(crate) async fn statuses(&self) -> Vec<EntryStatus> {
        self.entries().await.iter().map(|entry| entry.status).collect()
    }

    pub(crate) async fn dead_letter(&self) -> String {
        let filter = ItemFilter { status: Some(ItemStatus::DeadLetter), ..ItemFilter::default() };
        let page = self.store.list(&filter, 10, None).await.expect("items");
        assert_eq!(page.items.len(), 1, "one dead letter");
        page.items[0].error_message.clone().expect("an error")
    }

    pub(crate) async fn conflicts(&self) -> Vec<Conflict> {
        self.store.conflicts(None, None, None, 9).await.expect("conflicts").items
    }

    pub(crate) fn here(&self, id: i64, column: &str) -> Value {
        let row = self.store.local_row(&INVOICES, id).expect("a row");
        row.fields.get(column).cloned().unwrap_or_default()
    }

    pub(crate) fn there(&self, id: &str, column: &str) -> Value {
        self.remote.state().records[id].fields.get(column).cloned().unwrap_or_default()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.remote.state().calls)
    }
}

pub(crate) fn line(id: Option<&str>, quantity: i64) -> Value {
    json!({"line_zoho_id": id, "product_zoho_id": "p", "quantity": quantity, "rate": 5})
}
