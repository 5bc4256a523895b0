//! Inboxes that lose or duplicate deliveries.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    inbox::{Accepted, Inbox, InboxId, NewEvent},
    memory::MemoryStore,
    testkit::conformance::Stores,
};

use crate::memory::Memory;

/// Answers before anything is stored.
pub(super) fn answers_early(_: &Memory, stores: &mut Stores) {
    struct Early;
    #[async_trait]
    impl Inbox for Early {
        async fn accept(&self, _event: NewEvent) -> Result<Accepted> {
            Ok(Accepted { id: InboxId(1), duplicate: false })
        }
    }
    stores.inbox = Arc::new(Early);
}

/// An inbox that changes the identity of each delivery before it is stored.
struct Renaming {
    store: MemoryStore,
    rename: fn(&NewEvent, u64) -> String,
    deliveries: AtomicU64,
}

#[async_trait]
impl Inbox for Renaming {
    async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        let number = self.deliveries.fetch_add(1, Ordering::Relaxed);
        let event_id = (self.rename)(&event, number);
        self.store.accept(NewEvent { event_id, ..event }).await
    }
}

fn renaming(intact: &Memory, stores: &mut Stores, rename: fn(&NewEvent, u64) -> String) {
    stores.inbox =
        Arc::new(Renaming { store: intact.store.clone(), rename, deliveries: AtomicU64::default() });
}

/// Treats every delivery as a new one.
pub(super) fn forgets_deliveries(intact: &Memory, stores: &mut Stores) {
    renaming(intact, stores, |event, number| format!("{}-{number}", event.event_id));
}

/// Identifies deliveries by entity type, record and kind of event, so that a later change counts as a duplicate.
pub(super) fn knows_records_only(intact: &Memory, stores: &mut Stores) {
    renaming(intact, stores, |event, _| {
        format!(
            "{}:{}:{}",
            event.entity_type,
            event.entity_id.as_deref().unwrap_or_default(),
            event.event_type
        )
    });
}
