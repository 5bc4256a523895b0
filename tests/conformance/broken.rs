//! Stores that are broken on purpose: the cases notice.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    Accepted, Applied, ClaimRequest, Claimed, Content, EntityType, Inbox, InboxId, Interval, ItemId, Lease,
    LeaseToken, Mirror, MirrorSchema, NewEvent, NewItem, Observed, Queue, Read, RecordId, Result, Settled,
    Settlement, SyncState,
    memory::MemoryStore,
    testkit::conformance::{Harness, inbox, mirror, queue},
};
use time::macros::datetime;

use crate::memory::{Memory, memory};

/// Answers before anything is stored.
struct ForgetfulInbox;

#[async_trait]
impl Inbox for ForgetfulInbox {
    async fn accept(&self, _event: NewEvent) -> Result<Accepted> {
        Ok(Accepted { id: InboxId(1), duplicate: false })
    }
}

/// Takes every settlement, whoever sends it.
struct FencelessQueue {
    store: MemoryStore,
    current: Mutex<HashMap<ItemId, LeaseToken>>,
}

#[async_trait]
impl Queue for FencelessQueue {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.store.enqueue(items).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let claimed = self.store.claim(request).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.extend(claimed.iter().map(|item| (item.id, item.token)));
        Ok(claimed)
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        self.store.renew(leases, lease).await
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<Settled> {
        for settlement in &mut settlements {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(token) = current.get(&settlement.lease.id) {
                settlement.lease.token = *token;
            }
        }
        self.store.settle(settlements).await
    }

    async fn wait(&self, timeout: Duration) {
        self.store.wait(timeout).await;
    }
}

/// Writes whatever comes last, however old it is.
struct GullibleMirror {
    store: MemoryStore,
    reads: AtomicI64,
}

impl GullibleMirror {
    /// The read, made to look newer than everything before it.
    fn flattered(&self, mut read: Read) -> Read {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        let at = datetime!(2200-01-01 00:00 UTC) + time::Duration::minutes(reads);
        read.observed = Observed::Call(Interval { began: at, ended: at });
        if let Content::Present(record) = &mut read.content {
            record.version = Some(at);
        }
        read
    }
}

#[async_trait]
impl Mirror for GullibleMirror {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.store.states(entity, ids).await
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        self.store.apply(schema, reads.into_iter().map(|read| self.flattered(read)).collect()).await
    }
}

async fn forgetful() -> Memory {
    let mut intact = memory().await;
    intact.stores.inbox = Arc::new(ForgetfulInbox);
    intact
}

async fn fenceless() -> Memory {
    let mut intact = memory().await;
    intact.stores.queue = Arc::new(FencelessQueue { store: intact.store.clone(), current: Mutex::default() });
    intact
}

async fn gullible() -> Memory {
    let mut intact = memory().await;
    intact.stores.mirror =
        Arc::new(GullibleMirror { store: intact.store.clone(), reads: AtomicI64::default() });
    intact
}

/// Expects that a case fails on a broken store. The intact store passes it in the suite.
macro_rules! notices {
    ($name:ident, $make:ident, $case:path) => {
        #[test]
        fn $name() {
            let run = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async { $case(&$make().await as &dyn Harness).await });
            });
            assert!(run.join().is_err(), "the broken store passed {}", stringify!($case));
        }
    };
}

notices!(
    a_store_that_answers_without_storing_is_noticed,
    forgetful,
    inbox::an_accepted_event_and_its_work_are_there_when_accept_returns
);
notices!(
    a_store_that_forgets_deliveries_is_noticed,
    forgetful,
    inbox::a_delivery_that_is_there_already_changes_nothing_and_queues_nothing
);
notices!(a_store_without_fence_is_noticed, fenceless, queue::settling_with_an_old_token_changes_nothing);
notices!(
    a_store_that_applies_stale_reads_is_noticed,
    gullible,
    mirror::a_newer_read_is_written_and_an_older_one_is_not
);
notices!(
    a_store_that_takes_the_last_of_equal_versions_is_noticed,
    gullible,
    mirror::equal_versions_with_other_content_go_by_the_time_of_the_sighting
);
