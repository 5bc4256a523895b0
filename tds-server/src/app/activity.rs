//! Figures of the queue, of each entity type and of the budget of calls. Those of the entity types are looked up at most
//! every few seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tds_core::{
    error::Result,
    inbox::EventFilter,
    queue::QueueStats,
    record::EntityType,
    runs::{RunFilter, RunStatus},
};
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::Instant};

use super::{
    budget::{self, Budget},
    services::Services,
};

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(3);

/// What happened last with an entity type.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntityActivity {
    /// When a run last ended well.
    pub(crate) last_success_at: Option<OffsetDateTime>,
    /// When a run last ended, however.
    pub(crate) last_run_at: Option<OffsetDateTime>,
    /// How that run ended.
    pub(crate) last_run_status: Option<RunStatus>,
    /// When a webhook last came.
    pub(crate) last_received_at: Option<OffsetDateTime>,
    /// Since when it is paused.
    pub(crate) paused_since: Option<OffsetDateTime>,
}

/// All figures of one moment.
pub(crate) struct Figures {
    /// The queue, with zeros for entity types without items.
    pub(crate) queue: QueueStats,
    pub(crate) budget: Budget,
    /// Each registered entity type; up to three seconds old.
    pub(crate) entities: BTreeMap<EntityType, EntityActivity>,
}

/// Figures of a moment that was looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The queue, with zeros for entity types without items.
    pub(crate) stats: QueueStats,
    /// Each registered entity type.
    pub(crate) entities: BTreeMap<EntityType, EntityActivity>,
}

/// Looks the figures up.
pub(crate) struct Activity {
    services: Services,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Activity {
    /// Nothing is looked up yet.
    pub(crate) fn new(services: Services) -> Self {
        Self { services, latest: Mutex::new(None) }
    }

    /// The figures of this moment.
    pub(crate) async fn figures(&self) -> Result<Figures> {
        let queue = self.stats().await?;
        let budget = self.budget(&queue).await?;
        Ok(Figures { queue, budget, entities: self.recent().await?.entities.clone() })
    }

    /// Figures at most three seconds old. Concurrent callers share one look.
    pub(crate) async fn recent(&self) -> Result<Arc<Snapshot>> {
        let mut latest = self.latest.lock().await;
        if let Some((at, snapshot)) = latest.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            tracing::trace!(age = ?at.elapsed(), "figures are fresh");
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(self.look().await?);
        *latest = Some((Instant::now(), Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    /// The queue's figures of this moment, with zeros for entity types without items.
    async fn stats(&self) -> Result<QueueStats> {
        let mut stats = self.services.queue.stats().await?;
        for entity in self.services.registry.entities() {
            stats.by_entity.entry(entity.clone()).or_default();
        }
        if let Some((reason, wait)) = self.services.zoho.lacks_token() {
            // Nothing that needs a call is taken meanwhile: all that waits, waits for this.
            let deferred = &mut stats.deferred;
            deferred.count = stats.queue.pending + stats.queue.failed;
            deferred.until = deferred.until.max(Some(self.services.clock.now() + wait));
            deferred.reason = Some(reason);
        }
        Ok(stats)
    }

    /// What the limits of Zoho leave, while the queue has these items.
    pub(crate) async fn budget(&self, queue: &QueueStats) -> Result<Budget> {
        let Services { zoho, catalogue, registry, clock, .. } = &self.services;
        budget::look(zoho, queue, catalogue, registry, clock.now()).await
    }

    async fn look(&self) -> Result<Snapshot> {
        let paused = self.services.queue.paused().await?;
        let lookups = self.services.registry.entities().map(|entity| self.entity(entity));
        let mut entities = BTreeMap::new();
        for (entity, found) in
            self.services.registry.entities().zip(futures_util::future::join_all(lookups).await)
        {
            let activity = EntityActivity { paused_since: paused.get(entity).copied(), ..found? };
            entities.insert(entity.clone(), activity);
        }
        Ok(Snapshot { stats: self.stats().await?, entities })
    }

    async fn entity(&self, entity: &EntityType) -> Result<EntityActivity> {
        let of = |status| RunFilter { entity: Some(entity.clone()), status };
        let succeeded = self.services.runs.list_runs(&of(Some(RunStatus::Completed)), 1, None).await?.items;
        let recent = self.services.runs.list_runs(&of(None), 5, None).await?.items;
        let ended = recent.into_iter().find(|run| !run.status.is_active());
        let filter = EventFilter { entity: Some(entity.clone()), ..EventFilter::default() };
        let received = self.services.events.list_events(&filter, 1, None).await?;
        Ok(EntityActivity {
            last_success_at: succeeded.first().and_then(|run| run.completed_at),
            last_run_at: ended.as_ref().and_then(|run| run.completed_at),
            last_run_status: ended.map(|run| run.status),
            last_received_at: received.items.first().map(|event| event.received_at),
            paused_since: None,
        })
    }
}
