//! The health of the queue: whether items are claimed. Items that wait through no fault of their own are reported
//! here, whichever process deferred them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tds_core::{
    clock::Clock,
    handler::SAVING_CALLS,
    queue::{QueueMotion, QueueOperator},
};

use super::{ComponentHealth, Probe};

/// The time that an urgent item that was deferred may wait before the queue is degraded. Many pauses end within this
/// time.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time within which due work is claimed if a process works on the queue.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// A pause that lasts longer than this may have been forgotten.
const LONG_PAUSE: Duration = Duration::from_secs(3_600);

/// Checks the items that wait.
pub(crate) struct QueueProbe {
    pub(crate) queue: Arc<dyn QueueOperator>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The number of batches that this process processes at the same time (`TDS_WORKERS`).
    pub(crate) concurrency: usize,
}

impl QueueProbe {
    async fn troubles(&self) -> tds_core::error::Result<Vec<String>> {
        let motion = self.queue.motion().await?;
        let mut troubles: Vec<String> = held_up(&motion).into_iter().collect();
        troubles.extend(self.untaken(&motion));
        if !motion.paused.is_empty() {
            let now = self.clock.now();
            for (entity, since) in self.queue.paused().await? {
                let waiting = motion.paused.get(&entity).copied().unwrap_or(0);
                if waiting > 0 && now - since > LONG_PAUSE {
                    troubles.push(format!(
                        "{entity} has been paused since {since}, and {waiting} of its items wait; `tds-server resume \
                         {entity}` continues their processing"
                    ));
                }
            }
        }
        Ok(troubles)
    }

    fn untaken(&self, motion: &QueueMotion) -> Option<String> {
        let overdue = motion.overdue.filter(|overdue| *overdue > TAKEN_WITHIN && !motion.is_worked_on)?;
        let what_to_do = match self.concurrency {
            0 => "this process serves HTTP only (TDS_WORKERS=0); start a process with workers",
            _ => "check whether a session of the database holds a lock on the rows of these items",
        };
        Some(format!(
            "items have been due for {} s, and no process claims them: {what_to_do}",
            overdue.as_secs()
        ))
    }
}

/// Returns a message if urgent items have been deferred for too long. Items that wait so that calls are saved are not
/// reported.
fn held_up(motion: &QueueMotion) -> Option<String> {
    let held_up = motion.held_up.as_ref()?;
    let trouble = held_up.age > PATIENCE && held_up.reason != SAVING_CALLS;
    trouble.then(|| {
        format!(
            "webhooks have been waiting for {} s, and will wait until {} or longer: {}",
            held_up.age.as_secs(),
            held_up.until,
            held_up.reason
        )
    })
}

#[async_trait]
impl Probe for QueueProbe {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        let troubles = self.troubles().await.ok()?;
        Some(if troubles.is_empty() {
            ComponentHealth::healthy("moves")
        } else {
            ComponentHealth::degraded(troubles.join("; "))
        })
    }
}

#[cfg(test)]
mod tests {
    use tds_core::{
        clock::SystemClock,
        memory::MemoryStore,
        queue::{ClaimRequest, Claimed, Lane, Lease, NewItem, Queue, Settle, Settlement, Work, WorkerId},
        record::{EntityType, RecordId, RecordKey},
        testkit::ManualClock,
    };

    use super::*;
    use crate::app::health::HealthStatus;

    const PRODUCTS: EntityType = EntityType::from_static("products");

    struct Place {
        store: MemoryStore,
        clock: Arc<ManualClock>,
        probe: QueueProbe,
    }

    impl Place {
        fn new(concurrency: usize) -> Self {
            let clock = Arc::new(ManualClock::new(SystemClock.now()));
            let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
            let probe = QueueProbe {
                queue: Arc::new(store.clone()),
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                concurrency,
            };
            Self { store, clock, probe }
        }

        async fn enqueue(&self) {
            let key = RecordKey::new(PRODUCTS, RecordId::new("1"));
            let item = NewItem {
                key: key.into(),
                lane: Lane::Webhook,
                work: Work::fetch(),
                waiter: tds_core::queue::Waiter::Operator,
            };
            self.store.enqueue(vec![item]).await.expect("queued");
        }

        async fn claim(&self) -> Claimed {
            let request = ClaimRequest::new(WorkerId("test".to_owned()), 1, Duration::from_secs(60));
            self.store.claim(&request).await.expect("a claim").remove(0)
        }

        async fn settle(&self, settle: Settle) {
            let item = self.claim().await;
            let lease = Lease { id: item.id, token: item.token };
            let settlement = Settlement { lease, generation: item.generation, settle };
            self.store.settle(vec![settlement]).await.expect("settled");
        }

        /// Returns the detail if the component is degraded.
        async fn trouble_after(&self, wait: u64) -> Option<String> {
            self.clock.advance(Duration::from_secs(wait));
            let component = self.probe.check().await;
            let component = component.expect("readable");
            (component.state != HealthStatus::Healthy).then_some(component.detail)
        }
    }

    fn release(reason: &str) -> Settle {
        let after = Duration::from_secs(540);
        Settle::Release { after, fetch: false, reason: Some(reason.to_owned()) }
    }

    #[tokio::test]
    async fn a_webhook_that_is_deferred_for_long_is_reported_with_its_cause() {
        let place = Place::new(4);
        place.enqueue().await;
        place.settle(release("no new token for now")).await;
        assert_eq!(place.trouble_after(10).await, None, "many a pause is over by then");
        let trouble = place.trouble_after(30).await.expect("trouble");
        assert!(
            trouble.contains("webhooks have been waiting for 40 s") && trouble.contains("no new token"),
            "{trouble}"
        );
    }

    #[tokio::test]
    async fn items_deferred_to_save_calls_and_items_that_failed_are_no_trouble_of_the_queue() {
        let place = Place::new(4);
        place.enqueue().await;
        place.settle(release(SAVING_CALLS)).await;
        assert_eq!(place.trouble_after(200).await, None);
        let place = Place::new(4);
        place.enqueue().await;
        place.settle(Settle::Retry { after: Duration::from_secs(900), error: "HTTP 500".to_owned() }).await;
        assert_eq!(place.trouble_after(200).await, None);
    }

    #[tokio::test]
    async fn due_items_that_no_worker_claims_are_reported() {
        let place = Place::new(0);
        place.enqueue().await;
        assert_eq!(place.trouble_after(50).await, None);
        let trouble = place.trouble_after(50).await.expect("trouble");
        assert!(trouble.contains("TDS_WORKERS=0"), "{trouble}");
        place.claim().await;
        assert_eq!(place.trouble_after(10).await, None, "another process has claimed it");
    }

    #[tokio::test]
    async fn a_pause_of_over_an_hour_is_trouble_where_work_waits() {
        let place = Place::new(4);
        place.store.set_paused(&PRODUCTS, true).await.expect("paused");
        assert_eq!(place.trouble_after(4_000).await, None, "nothing waits");
        place.enqueue().await;
        let trouble = place.trouble_after(1).await.expect("trouble");
        assert!(trouble.contains("tds-server resume products"), "{trouble}");
    }
}
