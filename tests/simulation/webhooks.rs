//! The deliveries: lost, duplicated, late, out of order, whole or partial, and repeated when they fail.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{
    clock::Clock,
    inbox::{Disposition, Inbox, NewEvent, event_id},
    queue::Work,
    record::{Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::{book::Change, bugs::Bug, kinds::KINDS, simulate::Simulation, store::FaultyStore};

/// The number of times that a delivery is tried.
const TRIES: u32 = 5;

/// The deliveries that are not answered yet.
pub(crate) struct Post {
    simulation: Arc<Simulation>,
    on_the_way: JoinSet<()>,
}

impl Post {
    pub(crate) fn new(simulation: Arc<Simulation>) -> Self {
        Self { simulation, on_the_way: JoinSet::new() }
    }

    /// Sends a webhook of a change once or twice, or loses it.
    pub(crate) fn send(&mut self, change: Change) {
        let (world, plan) = (&self.simulation.world, &self.simulation.world.plan);
        if world.strikes("webhook lost", plan.webhook_lost) {
            return;
        }
        let partial = change.body.is_none() || world.strikes("webhook in part", plan.webhook_partial);
        let times = if world.strikes("webhook twice", plan.webhook_twice) { 2 } else { 1 };
        for _ in 0..times {
            let late = world.strikes("webhook late", plan.webhook_late);
            let delay = world.dice.millis(if late { 90_000 } else { 1_500 });
            let (simulation, change) = (Arc::clone(&self.simulation), change.clone());
            self.on_the_way.spawn(async move {
                tokio::time::sleep(delay).await;
                deliver(&simulation, &change, partial).await;
            });
        }
    }

    /// Returns when every delivery has ended.
    pub(crate) async fn delivered(&mut self) {
        while self.on_the_way.join_next().await.is_some() {}
    }
}

async fn deliver(simulation: &Simulation, change: &Change, partial: bool) {
    let world = &simulation.world;
    for _ in 0..TRIES {
        let alive: Vec<FaultyStore> =
            simulation.processes().into_iter().filter(|store| !store.process.is_dead()).collect();
        if !alive.is_empty() {
            let store = &alive[world.dice.index(alive.len())];
            let event = event_of(change, partial, world.clock.now());
            let (name, body) = (event.event_id.clone(), event.raw_payload.clone());
            if world.plan.bug == Some(Bug::AckEarly) {
                simulation.watch.acknowledge(&name);
            }
            let answer = tokio::time::timeout(Duration::from_secs(10), store.accept(event)).await;
            if let Ok(Ok(accepted)) = answer {
                world.count("events accepted");
                world.note("accepted", [accepted.id.0.cast_unsigned(), change.id], || format!("{change:?}"));
                simulation.watch.accepted(&name, &body, accepted.id, change).await;
                return;
            }
            if world.plan.bug == Some(Bug::AckEarly) {
                return;
            }
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

fn event_of(change: &Change, partial: bool, now: OffsetDateTime) -> NewEvent {
    let kind = &KINDS[change.kind];
    let key = RecordKey::new(kind.schema.entity.clone(), RecordId::new(change.id.to_string()));
    let body = change.body.clone().filter(|_| !partial);
    let raw = body.clone().unwrap_or_else(|| json!({"id": change.id, "change": change.serial}).to_string());
    let version = body.as_ref().filter(|_| kind.versioned).and_then(|body| {
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        OffsetDateTime::from_unix_timestamp(body.get("version")?.as_i64()?).ok()
    });
    let payload = body.map(|body| SourcePayload {
        shape: Shape::Webhook,
        observed: Observed::Push(now),
        json: Payload::new(body),
    });
    let what = if change.deleted { "deleted" } else { "updated" };
    NewEvent {
        event_id: event_id(&kind.schema.entity, what, raw.as_bytes(), None),
        source_type: "simulated".to_owned(),
        entity_type: kind.schema.entity.clone(),
        entity_id: Some(change.id.to_string()),
        event_type: what.to_owned(),
        raw_payload: raw.into_bytes(),
        headers: json!({}),
        disposition: Disposition::Work(vec![(key, Work { version, payload, recheck: false })]),
    }
}
