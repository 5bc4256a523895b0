//! The comparisons at the end of a simulation: they find exactly what differs, and repair all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tds_core::{
    engine::{Engine, Stores},
    record::RecordId,
    runs::{NewRun, RunId, RunType, SyncRunOperator, VerifyPart},
    verify::{DriftClass, VerificationReport, VerifyOperator, VerifyStore},
};

use crate::{
    drift,
    kinds::{ACCOUNTS, DEEDS, KINDS},
    process::Process,
    rest,
    simulate::Simulation,
    source::{SimSource, open, pool},
    webhooks::Post,
};

/// What differs, by entity type.
type Found = BTreeMap<usize, BTreeMap<u64, DriftClass>>;

/// Returns the request for a comparison of one entity type.
pub(crate) fn request(kind: usize, verification: Option<RunId>, repair: bool) -> NewRun {
    let entity = KINDS[kind].schema.entity.clone();
    let verify = Some(VerifyPart { verification, repair });
    NewRun { verify, ..NewRun::new(entity, RunType::Verify, "simulated", "the end") }
}

/// Plants drift and compares three times: the first comparison finds the drift while other records change, the second
/// one repairs it while processes die, and the third one finds nothing.
pub(crate) async fn compare(simulation: &Arc<Simulation>, post: &mut Post) {
    let world = &simulation.world;
    world.be_still();
    // A schedule that was due before is over when the work has ended.
    tokio::time::sleep(Duration::from_secs(10)).await;
    rest::drain(simulation, &[]).await;
    for _ in 0..world.dice.below(6) {
        drift::plant(simulation);
    }
    let dead = dead(simulation).await;
    let expected = without(present(simulation), &dead);
    let differing: usize = expected.values().map(BTreeMap::len).sum();
    (0..differing).for_each(|_| world.count("differences at rest"));

    let first = begin(simulation, false).await;
    for _ in 0..6 {
        touch(simulation, &expected, post);
        tokio::time::sleep(world.dice.millis(4_000)).await;
    }
    post.delivered().await;
    let found = end(simulation, first).await;
    assess(simulation, "the first comparison", &expected, &without(of(&found), &dead));

    let second = begin(simulation, true).await;
    for _ in 0..world.dice.below(5) {
        tokio::time::sleep(world.dice.millis(6_000)).await;
        let processes = simulation.processes();
        let process = &processes[world.dice.index(processes.len())].process;
        if !process.is_dead() {
            world.count("processes killed during a repair");
            process.die();
        }
    }
    let repaired = end(simulation, second).await;
    // The repair of one entity type may also repair records of another one, before they are compared there.
    let shared: BTreeSet<(usize, u64)> = shared(&expected);
    let (once, seen) = (without(expected.clone(), &shared), without(of(&repaired), &dead));
    assess(simulation, "the comparison that repairs", &once, &without(seen, &shared));
    if dead.is_empty() && repaired.drift_total() > 0 {
        world.violated(format!("some differences are not repaired: {repaired:?}"));
    }

    let third = begin(simulation, false).await;
    let last = end(simulation, third).await;
    assess(simulation, "the last comparison", &BTreeMap::new(), &without(of(&last), &dead));
    let in_flight: u64 = last.entities.iter().map(|entity| entity.in_flight).sum();
    let unreadable =
        open(&simulation.books).entries.values().filter(|entry| entry.poison).count() + dead.len();
    if in_flight > unreadable as u64 {
        world.violated(format!("{in_flight} records are in flight at rest: {last:?}"));
    }
    if in_flight == 0 {
        let open = open_findings(simulation, &found).await;
        if open > 0 {
            world.violated(format!("{open} earlier findings do not count as repaired: {found:?}"));
        }
    }
}

fn present(simulation: &Simulation) -> Found {
    simulation.world.plan.kinds.iter().map(|kind| (*kind, drift::truth(simulation, *kind))).collect()
}

/// Returns the records with dead letters, of which a comparison says nothing.
async fn dead(simulation: &Simulation) -> BTreeSet<(usize, u64)> {
    let mut dead = BTreeSet::new();
    for kind in &simulation.world.plan.kinds {
        let entity = &KINDS[*kind].schema.entity;
        let mut ids: Vec<RecordId> = simulation.store.rows(entity).into_keys().collect();
        ids.extend(open(&simulation.books).entries.keys().map(|id| RecordId::new(id.to_string())));
        let found = simulation.store.in_work(entity, &ids).await.expect("the store in memory answers");
        dead.extend(found.iter().map(|id| (*kind, id.as_str().parse().unwrap_or_default())));
    }
    let book = open(&simulation.books);
    dead.extend(book.entries.iter().filter(|(_, entry)| entry.poison).map(|(id, entry)| (entry.kind, *id)));
    dead
}

fn without(mut found: Found, dead: &BTreeSet<(usize, u64)>) -> Found {
    for (kind, records) in &mut found {
        records.retain(|id, _| !dead.contains(&(*kind, *id)));
    }
    found.retain(|_, records| !records.is_empty());
    found
}

/// Returns the differing records that the repair of another entity type may repair: those that differ in two entity
/// types, and accounts, which are read again after a repair of a document.
fn shared(found: &Found) -> BTreeSet<(usize, u64)> {
    let records = || found.iter().flat_map(|(kind, records)| records.keys().map(|id| (*kind, *id)));
    let is_shared = |(kind, id): &(usize, u64)| {
        *kind == ACCOUNTS && found.contains_key(&DEEDS)
            || records().any(|(other, same)| other != *kind && same == *id)
    };
    records().filter(is_shared).collect()
}

async fn begin(simulation: &Simulation, repair: bool) -> RunId {
    let mut verification = None;
    for kind in &simulation.world.plan.kinds {
        let run = simulation.store.create(request(*kind, verification, repair)).await;
        let run = run.expect("no other comparison is active");
        verification = verification.or(Some(run.id));
    }
    verification.expect("a simulation has an entity type")
}

/// Waits for the end of a verification and completes it.
async fn end(simulation: &Arc<Simulation>, id: RunId) -> VerificationReport {
    rest::drain(simulation, &[]).await;
    let (world, store) = (&simulation.world, &simulation.store);
    let process = Process::new(1_000_000, Arc::clone(world));
    let mut builder = Engine::builder(Stores::new(store, store.clone()).verifying(store));
    for kind in &world.plan.kinds {
        let (books, process) = (Arc::clone(&simulation.books), Arc::clone(&process));
        builder = builder.source(Arc::new(SimSource::new(
            *kind,
            Arc::clone(world),
            books,
            process,
            pool(world, store),
        )));
    }
    builder.build().finish_verifications().await.expect("the store in memory answers");
    let report = store.report(Some(id), 10_000).await.expect("the store in memory answers");
    report.expect("the verification exists")
}

fn of(report: &VerificationReport) -> Found {
    let mut found = Found::new();
    for entity in &report.entities {
        let kind = crate::kinds::index_of(&entity.entity);
        let examples = entity.examples.iter();
        let records = examples.map(|it| (it.id.as_str().parse().unwrap_or_default(), it.class)).collect();
        found.insert(kind, records);
    }
    found
}

fn assess(simulation: &Simulation, what: &str, expected: &Found, found: &Found) {
    if expected != found {
        simulation.world.violated(format!("{what} found {found:?}, and {expected:?} differ"));
    }
}

/// Changes a record at the source that does not differ, and sends the webhook of the change.
fn touch(simulation: &Simulation, expected: &Found, post: &mut Post) {
    let world = &simulation.world;
    let change = {
        let mut book = open(&simulation.books);
        let is_quiet = |kind: usize, id: &u64| {
            kind != DEEDS && kind != ACCOUNTS && expected.values().all(|records| !records.contains_key(id))
        };
        let ids: Vec<u64> = book
            .entries
            .iter()
            .filter(|(id, entry)| !entry.poison && is_quiet(entry.kind, id))
            .map(|(id, _)| *id)
            .collect();
        if ids.is_empty() { None } else { book.touch(ids[world.dice.index(ids.len())], world.clock.second()) }
    };
    if let Some(change) = change {
        world.count("changes during a comparison");
        post.send(change);
    }
}

/// Returns the number of findings of a verification that still count as differing.
async fn open_findings(simulation: &Simulation, report: &VerificationReport) -> usize {
    let mut open = 0;
    for entity in &report.entities {
        open += simulation.store.differing(entity.run).await.expect("the store in memory answers").len();
    }
    open
}
