//! The end of a simulation: all work has ended, and the mirror equals the source.

use std::{collections::BTreeMap, time::Duration};

use tds_core::{
    inbox::{EventFilter, EventStatus, InboxOperator},
    queue::{ItemFilter, ItemStatus, QueueOperator},
    record::{RecordId, RecordKey},
    runs::{RunFilter, RunId, RunStatus, SyncRunOperator},
};

use crate::{
    kinds::{ACCOUNTS, DEEDS, KINDS, index_of},
    simulate::Simulation,
    watch::value,
};

/// Waits until all work has ended, starts a full run of each entity type, and waits again.
pub(crate) async fn reach(simulation: &Simulation) {
    drain(simulation, &[]).await;
    accounts(simulation);
    let last = simulation.request_all().await;
    drain(simulation, &last).await;
}

pub(crate) async fn drain(simulation: &Simulation, last: &[RunId]) {
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let runs = simulation.store.list_runs(&RunFilter::default(), 100, None).await.expect("runs").items;
        if runs.iter().any(|run| last.contains(&run.id) && run.status == RunStatus::Failed) {
            simulation.world.violated(format!("a run failed without a fault: {runs:?}"));
            return;
        }
        for run in runs.iter().filter(|run| run.held_deletions > 0 && !run.status.is_active()) {
            // The run holds so many deletions that an operator has to confirm them. The call fails if they were
            // confirmed meanwhile.
            if simulation.store.confirm_deletions(run.id).await.is_ok() {
                simulation.world.count("deletions confirmed");
            }
        }
        let stats = simulation.store.stats().await.expect("stats");
        let open = stats.queue.live();
        if open == 0 && runs.iter().all(|run| !run.status.is_active()) {
            return;
        }
    }
}

/// Describes the work that has not ended, for a developer.
pub(crate) async fn open_work(simulation: &Simulation) -> String {
    let mut open = Vec::new();
    let items = simulation.store.list(&ItemFilter::default(), 1_000, None).await.expect("items");
    let is_open = |status| !matches!(status, ItemStatus::Completed | ItemStatus::DeadLetter);
    open.extend(items.items.iter().filter(|item| is_open(item.status)).map(|item| format!("{item:?}")));
    let runs = simulation.store.list_runs(&RunFilter::default(), 100, None).await.expect("runs").items;
    open.extend(runs.iter().filter(|run| run.status.is_active()).map(|run| format!("{run:?}")));
    open.join("; ")
}

/// Compares the mirror with the source, and checks all events and items.
pub(crate) async fn check(simulation: &Simulation) {
    mirror(simulation);
    events(simulation).await;
    items(simulation).await;
}

fn mirror(simulation: &Simulation) {
    let (world, book) = (&simulation.world, simulation.book());
    for index in &world.plan.kinds {
        let kind = &KINDS[*index];
        let rows = simulation.store.rows(&kind.schema.entity);
        let mut live: BTreeMap<u64, _> = rows
            .iter()
            .filter(|(_, row)| row.deleted_at.is_none())
            .map(|(id, row)| (id.as_str().parse::<u64>().unwrap_or_default(), row))
            .collect();
        for (id, entry) in book.entries.iter().filter(|(_, entry)| entry.kind == *index) {
            let row = live.remove(id);
            if entry.poison {
                continue;
            }
            let Some(row) = row else {
                world.violated(format!("{} {id} is missing at rest: {entry:?}", kind.schema.entity));
                continue;
            };
            let expected = [entry.a, entry.b, entry.serial];
            let shown = ["a", "b", "serial"].map(|column| value(row, column));
            let tide = kind.volatile && value(row, "tide") != entry.tide;
            let children: Vec<u64> =
                kind.schema.children.iter().flat_map(|child| members(simulation, child.table, *id)).collect();
            if shown != expected || tide || children != entry.members {
                world.violated(format!(
                    "{} {id} differs at rest: {shown:?} {children:?} {entry:?}",
                    kind.schema.entity
                ));
            }
        }
        // A record may have been read before it became poisoned.
        live.retain(|id, _| !book.entries.get(id).is_some_and(|entry| entry.poison));
        for id in live.keys() {
            world.violated(format!(
                "{} {id} is live in the mirror and gone at the source",
                kind.schema.entity
            ));
        }
    }
}

/// Checks the accounts, which no run has read: each of them shows the last change of a document that the mirror has seen
/// to move it.
fn accounts(simulation: &Simulation) {
    let (world, book) = (&simulation.world, simulation.book());
    let entity = &KINDS[ACCOUNTS].schema.entity;
    for (id, entry) in book.entries.iter().filter(|(_, entry)| entry.kind == ACCOUNTS) {
        let Some((document, serial)) = book.moved(*id) else { continue };
        let key = |of: usize, id: u64| {
            RecordKey::new(KINDS[of].schema.entity.clone(), RecordId::new(id.to_string()))
        };
        if simulation.watch.is_planted(&key(ACCOUNTS, *id))
            || simulation.watch.is_planted(&key(DEEDS, document))
        {
            continue;
        }
        if !simulation.watch.has_seen_move(&book, document, serial, *id) {
            world.count("accounts whose last move was not seen");
            continue;
        }
        world.count("accounts that follow a document");
        let row = simulation.store.row(entity, &RecordId::new(id.to_string()));
        let shown = row.as_ref().map(|row| value(row, "tide"));
        if shown != Some(entry.tide) {
            world
                .violated(format!("{entity} {id} shows {shown:?} and not the change {serial} of {document}"));
        }
    }
}

pub(crate) fn members(simulation: &Simulation, table: &str, id: u64) -> Vec<u64> {
    let rows = simulation.store.children(table, &RecordId::new(id.to_string()));
    let mut members: Vec<u64> = rows.iter().filter_map(|row| row.get("n")?.as_u64()).collect();
    members.sort_unstable();
    members
}

async fn events(simulation: &Simulation) {
    let world = &simulation.world;
    let events =
        simulation.store.list_events(&EventFilter::default(), 100_000, None).await.expect("events").items;
    simulation.watch.all_accepted().await;
    for event in &events {
        match event.status {
            EventStatus::Completed => {}
            EventStatus::Failed
                if event.error_message.as_deref().is_some_and(|error| error.contains("poison")) => {}
            _ => world.violated(format!("an event has not ended well: {event:?}")),
        }
    }
}

async fn items(simulation: &Simulation) {
    let world = &simulation.world;
    let items = simulation.store.list(&ItemFilter::default(), 100_000, None).await.expect("items").items;
    for item in items.iter().filter(|item| item.status == ItemStatus::DeadLetter) {
        world.count("dead letters");
        let poison = item.error_message.as_deref().is_some_and(|error| error.contains("poison"));
        if !poison || item.retry_count > world.plan.max_attempts || index_of(&item.entity_type) > KINDS.len()
        {
            world.violated(format!("a dead letter without a cause: {item:?}"));
        }
    }
}
