//! Figures of the queue, of each entity type and of the budget. The figures of the entity types are read from the
//! store at most once every three seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use tds_core::{
    error::Result,
    inbox::EventFilter,
    measures::{Coverage, OutboxCounts},
    queue::QueueStats,
    record::EntityType,
    runs::{RunFilter, RunStatus},
    verify::EntityReport,
};
use tds_zoho::write::contracts;
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::Instant};

use super::{
    budget::{self, Budget},
    runs::MODES,
    services::{Ports, Services},
};
use crate::hint::command;

/// The greatest age of a snapshot that [`Activity::recent`] still returns.
const FRESH: Duration = Duration::from_secs(3);

/// The number of complete days whose announced changes are counted.
const ANNOUNCED_DAYS: u16 = 7;

/// The most recent activity of one entity type.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntityActivity {
    /// The time at which a run last completed.
    pub(crate) last_success_at: Option<OffsetDateTime>,
    /// The time at which a run last ended, with whatever status.
    pub(crate) last_run_at: Option<OffsetDateTime>,
    /// The status of the run that ended last.
    pub(crate) last_run_status: Option<RunStatus>,
    /// The time at which a webhook was last received.
    pub(crate) last_received_at: Option<OffsetDateTime>,
    /// The time since which the entity type is paused.
    pub(crate) paused_since: Option<OffsetDateTime>,
}

/// All figures of one moment.
pub(crate) struct Figures {
    /// The figures of the queue, with zeros for entity types without items.
    pub(crate) queue: QueueStats,
    pub(crate) budget: Budget,
    /// The figures of each registered entity type. They are up to three seconds old.
    pub(crate) entities: BTreeMap<EntityType, EntityActivity>,
    /// The changes of the last complete days and the deliveries that announced them, as far as they are stored.
    pub(crate) announced: Vec<Coverage>,
}

/// The figures that one read of the store returned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The figures of the queue, with zeros for entity types without items.
    pub(crate) stats: QueueStats,
    /// The figures of each registered entity type.
    pub(crate) entities: BTreeMap<EntityType, EntityActivity>,
    /// What the last comparison of each entity type found.
    pub(crate) verified: Vec<EntityReport>,
    /// What waits in the outbox, with zeros for each entity type that can be written to Zoho.
    pub(crate) outbox: BTreeMap<EntityType, OutboxCounts>,
}

/// Reads figures from the store and caches the latest snapshot.
pub(crate) struct Activity {
    services: Services,
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Activity {
    /// Creates an `Activity` with an empty cache. Nothing is read yet.
    pub(crate) fn new(services: Services) -> Self {
        Self { services, latest: Mutex::new(None) }
    }

    /// Returns the figures of this moment. The figures of the entity types are up to three seconds old.
    pub(crate) async fn figures(&self) -> Result<Figures> {
        let queue = self.stats().await?;
        let budget = self.budget(&queue).await?;
        let announced = match &self.services.ports.measured {
            Some(measured) => measured.measures.stored_coverage(ANNOUNCED_DAYS).await?,
            None => Vec::new(),
        };
        Ok(Figures { queue, budget, entities: self.recent().await?.entities.clone(), announced })
    }

    /// Returns figures that are at most three seconds old. Concurrent callers share one read of the store.
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

    /// Returns the current figures of the queue, with zeros for entity types without items.
    async fn stats(&self) -> Result<QueueStats> {
        let mut stats = self.services.ports.queue.stats().await?;
        for entity in self.services.engine.registry().entities() {
            stats.by_entity.entry(entity.clone()).or_default();
        }
        if let Some(outbound) = &self.services.ports.outbound {
            let conflicts = outbound.operator.open_conflicts().await?;
            stats.needs_attention.conflicts = i64::try_from(conflicts).unwrap_or(i64::MAX);
        }
        if let Some((error, wait)) = self.services.zoho.lacks_token() {
            // Without an access token, this process claims no items that need a call. All waiting items therefore wait
            // for the token.
            let deferred = &mut stats.deferred;
            deferred.count = stats.queue.pending + stats.queue.failed;
            deferred.until = deferred.until.max(Some(self.services.clock.now() + wait));
            deferred.reason = Some(error.explain(command));
        }
        Ok(stats)
    }

    /// Returns what the limits of Zoho leave at this moment.
    pub(crate) async fn current_budget(&self) -> Result<Budget> {
        self.budget(&self.stats().await?).await
    }

    /// Returns what the limits of Zoho leave while the queue holds these items.
    pub(crate) async fn budget(&self, queue: &QueueStats) -> Result<Budget> {
        budget::look(&self.services, queue).await
    }

    async fn look(&self) -> Result<Snapshot> {
        let paused = self.services.ports.queue.paused().await?;
        let entities = self.services.engine.registry().entities();
        let lookups = entities.map(|entity| self.entity(entity, paused.get(entity).copied()));
        let entities = try_join_all(lookups).await?.into_iter().collect();
        let verified = self.services.ports.verify.current().await?;
        Ok(Snapshot { stats: self.stats().await?, entities, verified, outbox: self.outbox().await? })
    }

    /// Returns what waits in the outbox.
    async fn outbox(&self) -> Result<BTreeMap<EntityType, OutboxCounts>> {
        let mut counts = match &self.services.ports.measured {
            Some(measured) => measured.measures.outbox().await?,
            None => BTreeMap::new(),
        };
        for contract in contracts() {
            counts.entry(contract.entity.clone()).or_default();
        }
        Ok(counts)
    }

    /// Returns the time at which a sync last completed. A comparison is no sync.
    async fn last_success(&self, entity: &EntityType) -> Result<Option<OffsetDateTime>> {
        let mut last = None;
        for run_type in MODES {
            let (entity, status) = (Some(entity.clone()), Some(RunStatus::Completed));
            let filter = RunFilter { entity, status, run_type: Some(run_type) };
            let runs = self.services.ports.runs.list_runs(&filter, 1, None).await?.items;
            last = last.max(runs.first().and_then(|run| run.completed_at));
        }
        Ok(last)
    }

    async fn entity(
        &self,
        entity: &EntityType,
        paused_since: Option<OffsetDateTime>,
    ) -> Result<(EntityType, EntityActivity)> {
        let Ports { runs, events, .. } = &self.services.ports;
        let of = |status| RunFilter { entity: Some(entity.clone()), status, run_type: None };
        let succeeded = self.last_success(entity).await?;
        let recent = runs.list_runs(&of(None), 5, None).await?.items;
        let ended = recent.into_iter().find(|run| !run.status.is_active());
        let filter = EventFilter { entity: Some(entity.clone()), ..EventFilter::default() };
        let received = events.list_events(&filter, 1, None).await?;
        let activity = EntityActivity {
            last_success_at: succeeded,
            last_run_at: ended.as_ref().and_then(|run| run.completed_at),
            last_run_status: ended.map(|run| run.status),
            last_received_at: received.items.first().map(|event| event.received_at),
            paused_since,
        };
        Ok((entity.clone(), activity))
    }
}
