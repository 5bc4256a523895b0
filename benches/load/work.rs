//! Fills and drains the queue with everything that the engine does to an item: claim with lease and fencing token,
//! dispatch, settling, and archive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    engine::{Engine, RunningEngine, Stores},
    error::Result,
    handler::{BatchHandler, Handled},
    queue::{ClaimRequest, Claimed, Lease, NewItem, Outcome, Queue, Settled, Settlement},
    record::EntityType,
};
use tds_postgres::{Database, PgMirror, PgStore, StoreSettings};
use tokio::{sync::Notify, time::Instant};

use crate::cluster::{self, count};

static PRODUCTS: EntityType = EntityType::from_static("products");

/// A handler that does nothing.
struct NoOp;

#[async_trait]
impl BatchHandler for NoOp {
    fn entity(&self) -> &EntityType {
        &PRODUCTS
    }

    async fn handle_batch(&self, batch: &[Claimed]) -> Vec<Result<Handled>> {
        batch.iter().map(|_| Ok(Handled::Done(Outcome::Unchanged))).collect()
    }
}

/// A queue that counts the items which are still to be settled.
struct Watched {
    queue: PgStore,
    left: AtomicI64,
    claimed: AtomicI64,
    done: Notify,
    empty: Notify,
}

impl Watched {
    fn new(queue: PgStore, items: i64) -> Arc<Self> {
        Arc::new(Self {
            queue,
            left: AtomicI64::new(items),
            claimed: AtomicI64::new(0),
            done: Notify::new(),
            empty: Notify::new(),
        })
    }

    /// Returns when all items are settled.
    async fn done(&self) {
        tokio::time::timeout(Duration::from_secs(600), self.done.notified()).await.expect("an end");
    }
}

#[async_trait]
impl Queue for Watched {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.queue.enqueue(items).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        assert!(request.scope.is_everything(), "the benches take everything");
        let claimed = self.queue.claim(request).await?;
        let now = i64::try_from(claimed.len()).expect("small");
        if self.claimed.fetch_add(now, Ordering::Relaxed) + now == 0 {
            self.empty.notify_one();
        }
        Ok(claimed)
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        self.queue.renew(leases, lease).await
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        self.queue.held(leases).await
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        self.queue.mark_processing(leases).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        let settled = self.queue.settle(settlements).await?;
        assert_eq!(settled.fenced, 0, "no claim was lost");
        let now = i64::try_from(settled.accepted).expect("small");
        self.claimed.fetch_sub(now, Ordering::Relaxed);
        if self.left.fetch_sub(now, Ordering::Relaxed) <= now {
            self.done.notify_one();
        }
        Ok(settled)
    }

    async fn wait(&self, timeout: Duration) {
        self.queue.wait(timeout).await;
    }
}

/// Inserts items of as many records into the queue, and updates the statistics of the table.
pub(crate) async fn fill(url: &str, items: i64) {
    cluster::run(
        url,
        format!(
            "INSERT INTO tds_queue_live (entity_type, zoho_entity_id)
             SELECT 'products', (460000000000 + n)::text FROM generate_series(1, {items}) AS n"
        ),
    )
    .await;
    cluster::run(url, "VACUUM (ANALYZE) tds_queue_live".to_owned()).await;
}

/// Drains `items` items with a handler that does nothing. Returns the items per second.
pub(crate) async fn drain(url: &str, items: i64) -> f64 {
    let database = cluster::database(url, 10).await;
    let rate = work(&database, Arc::new(NoOp), items).await;
    database.close().await;
    assert_eq!(count(url, "SELECT count(*) FROM tds_queue_live").await, 0, "nothing is left");
    rate
}

/// Works until a claim finds nothing while no item is claimed.
pub(crate) async fn work_until_empty(database: &Database) {
    let (engine, queue) = start(database, Arc::new(NoOp), i64::MAX);
    queue.empty.notified().await;
    engine.stop().await;
}

/// Processes `items` items. Returns the items per second.
pub(crate) async fn work(database: &Database, handler: Arc<dyn BatchHandler>, items: i64) -> f64 {
    let began = Instant::now();
    let (engine, queue) = start(database, handler, items);
    queue.done().await;
    let elapsed = began.elapsed();
    engine.stop().await;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let rate = items as f64 / elapsed.as_secs_f64();
    rate
}

/// Starts an engine with this handler on a queue with `items` items.
fn start(database: &Database, handler: Arc<dyn BatchHandler>, items: i64) -> (RunningEngine, Arc<Watched>) {
    let store = PgStore::new(database.clone(), StoreSettings::default());
    let mut stores = Stores::new(&store, PgMirror::new(database.clone()));
    let queue = Watched::new(store, items);
    stores.queue = queue.clone();
    (Engine::builder(stores).handler(handler).start(), queue)
}
