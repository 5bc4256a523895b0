//! Webhooks about every change at the source, also about those that pushes make: lost, doubled, late and out of order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{
    clock::Clock,
    lock::lock,
    memory::MemoryStore,
    queue::{Lane, NewItem, Queue, Work},
    record::{RecordId, RecordKey},
};
use tokio::task::JoinSet;

use super::shop::{Entry, SCHEMAS};
use crate::world::World;

/// The webhooks on their way.
pub(crate) struct Post {
    world: Arc<World>,
    store: MemoryStore,
    on_the_way: Mutex<JoinSet<()>>,
}

impl Post {
    pub(crate) fn new(world: Arc<World>, store: MemoryStore) -> Arc<Self> {
        Arc::new(Self { world, store, on_the_way: Mutex::default() })
    }

    /// Sends the webhook of a change; without an entry, of a deletion.
    pub(crate) fn send(&self, kind: usize, id: u64, entry: Option<&Entry>) {
        let (world, plan) = (&self.world, &self.world.plan);
        if world.strikes("webhook lost", plan.webhook_lost) {
            return;
        }
        let entry = entry.filter(|_| !world.strikes("webhook in part", plan.webhook_partial));
        let record = entry.map(|entry| entry.record(id));
        let times = if world.strikes("webhook twice", plan.webhook_twice) { 2 } else { 1 };
        for _ in 0..times {
            let late = world.strikes("webhook late", plan.webhook_late);
            let delay = world.dice.millis(if late { 60_000 } else { 1_500 });
            let (store, clock, record) = (self.store.clone(), self.world.clock, record.clone());
            lock(&self.on_the_way).spawn(async move {
                tokio::time::sleep(delay).await;
                let key = RecordKey::new(SCHEMAS[kind].entity.clone(), RecordId::new(id.to_string()));
                let work = record
                    .map_or_else(Work::fetch, |record| Work::pushed(record.version, clock.now(), record.raw));
                let item = NewItem::new(key, Lane::Webhook, work);
                store.enqueue(vec![item]).await.expect("the store in memory answers");
            });
        }
    }

    /// Returns when every webhook has arrived.
    pub(crate) async fn delivered(&self) {
        loop {
            let next = lock(&self.on_the_way).try_join_next();
            if next.is_none() && lock(&self.on_the_way).is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
