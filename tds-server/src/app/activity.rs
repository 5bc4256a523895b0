//! When something last went well, per entity type; looked up at most every few seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use tds_core::{
    clock::Clock,
    engine::Registry,
    error::Result,
    inbox::{EventFilter, InboxOperator},
    queue::{QueueOperator, QueueStats},
    record::EntityType,
    runs::{RunFilter, RunStatus, SyncRun},
};
use tds_zoho::ZohoClient;
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::Instant};

use crate::http::{openapi::schemas, state::Services};

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(3);

/// What happened last with an entity type.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct EntityActivity {
    /// When a run last ended well.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_success_at: Option<OffsetDateTime>,
    /// When a run last ended, however.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_run_at: Option<OffsetDateTime>,
    /// How that run ended.
    #[schema(inline, value_type = Option<schemas::SyncStatus>)]
    pub last_run_status: Option<String>,
    /// When a webhook last came.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_received_at: Option<OffsetDateTime>,
    /// Since when it is paused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub paused_since: Option<OffsetDateTime>,
}

/// Figures of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The queue, with zeros for entity types without items.
    pub stats: QueueStats,
    /// Each registered entity type.
    pub entities: BTreeMap<EntityType, EntityActivity>,
}

/// Looks the figures up.
pub struct Activity {
    queue: Arc<dyn QueueOperator>,
    runs: Arc<dyn SyncRun>,
    events: Arc<dyn InboxOperator>,
    registry: Registry,
    zoho: ZohoClient,
    clock: Arc<dyn Clock>,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Activity {
    /// Nothing is looked up yet.
    #[must_use]
    pub fn new(services: Services) -> Self {
        let Services { queue, runs, events, registry, zoho, clock, .. } = services;
        Self { queue, runs, events, registry, zoho, clock, latest: Mutex::new(None) }
    }

    /// Figures at most three seconds old. Concurrent callers share one look.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recent(&self) -> Result<Arc<Snapshot>> {
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
    ///
    /// # Errors
    /// Those of the store.
    pub async fn stats(&self) -> Result<QueueStats> {
        let mut stats = self.queue.stats().await?;
        for entity in self.registry.entities() {
            stats.by_entity.entry(entity.clone()).or_default();
        }
        if let Some((reason, wait)) = self.zoho.lacks_token() {
            // Nothing that needs a call is taken meanwhile: all that waits, waits for this.
            let deferred = &mut stats.deferred;
            deferred.count = stats.queue.pending + stats.queue.failed;
            deferred.until = deferred.until.max(Some(self.clock.now() + wait));
            deferred.reason = Some(reason);
        }
        Ok(stats)
    }

    async fn look(&self) -> Result<Snapshot> {
        let paused = self.queue.paused().await?;
        let lookups = self.registry.entities().map(|entity| self.entity(entity));
        let mut entities = BTreeMap::new();
        for (entity, found) in self.registry.entities().zip(futures_util::future::join_all(lookups).await) {
            let activity = EntityActivity { paused_since: paused.get(entity).copied(), ..found? };
            entities.insert(entity.clone(), activity);
        }
        Ok(Snapshot { stats: self.stats().await?, entities })
    }

    async fn entity(&self, entity: &EntityType) -> Result<EntityActivity> {
        let of = |status| RunFilter { entity: Some(entity.clone()), status };
        let succeeded = self.runs.list_runs(&of(Some(RunStatus::Completed)), 1).await?;
        let recent = self.runs.list_runs(&of(None), 5).await?;
        let ended = recent.into_iter().find(|run| !run.status.is_active());
        let filter = EventFilter { entity: Some(entity.clone()), ..EventFilter::default() };
        let received = self.events.list_events(&filter, 1, None).await?;
        Ok(EntityActivity {
            last_success_at: succeeded.first().and_then(|run| run.completed_at),
            last_run_at: ended.as_ref().and_then(|run| run.completed_at),
            last_run_status: ended.map(|run| run.status.as_str().to_owned()),
            last_received_at: received.items.first().map(|event| event.received_at),
            paused_since: None,
        })
    }
}
