//! The invariants that must hold at every moment, checked right after each effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tds_core::{
    inbox::{EventStatus, InboxId, InboxOperator},
    lock::lock,
    memory::{MemoryStore, Row},
    mirror::Mirror,
    queue::{Claimed, ItemId, Lease, Outcome, WorkKey},
    record::{RecordId, RecordKey},
    runs::{PageCommit, RunFilter, RunId, RunStatus, SyncRunOperator},
};
use time::OffsetDateTime;

use crate::{
    book::{Book, Change},
    kinds::{DEEDS, KINDS, index_of},
    process::Process,
    source::{Books, open},
    world::World,
};

/// The observer, which reads the store from outside.
pub(crate) struct Watch {
    world: Arc<World>,
    books: Books,
    store: MemoryStore,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// The newest values that each record had in the mirror.
    newest: BTreeMap<RecordKey, [u64; 3]>,
    /// The lease and the process that work on each record.
    holders: BTreeMap<WorkKey, (Lease, Arc<Process>)>,
    /// The accepted events that have not ended.
    open: BTreeMap<InboxId, Change>,
    rows: BTreeMap<String, InboxId>,
    acknowledged: BTreeSet<String>,
    /// The states of each document that the mirror had, by the serial numbers of their changes, in their order.
    documents: BTreeMap<u64, Vec<u64>>,
    windows: BTreeMap<RunId, (Option<OffsetDateTime>, Option<OffsetDateTime>)>,
    ended: BTreeSet<RunId>,
    /// The records that something other than the engine changed in the mirror.
    planted: BTreeSet<RecordKey>,
}

pub(crate) fn value(row: &Row, column: &str) -> u64 {
    row.fields.get(column).and_then(serde_json::Value::as_u64).unwrap_or_default()
}

impl Watch {
    pub(crate) fn new(world: Arc<World>, books: Books, store: MemoryStore) -> Self {
        Self { world, books, store, notes: Mutex::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        lock(&self.notes)
    }

    /// Notes that something other than the engine changed a record in the mirror. Its values then prove nothing.
    pub(crate) fn planted(&self, key: RecordKey) {
        self.notes().planted.insert(key);
    }

    pub(crate) fn is_planted(&self, key: &RecordKey) -> bool {
        self.notes().planted.contains(key)
    }

    fn was_planted(&self, kind: usize, id: u64) -> bool {
        let entity = KINDS[kind].schema.entity.clone();
        self.is_planted(&RecordKey::new(entity, RecordId::new(id.to_string())))
    }

    /// Checks that no older value replaced a newer one, and that only a record that was absent has a tombstone.
    pub(crate) fn applied(&self, keys: &[RecordKey]) {
        for key in keys {
            let Some(row) = self.store.row(&key.entity, &key.id) else { continue };
            if self.is_planted(key) {
                continue;
            }
            let values = ["a", "b", "serial"].map(|column| value(&row, column));
            if key.entity == KINDS[DEEDS].schema.entity {
                self.document(number(&key.id), &row);
            }
            let mut notes = self.notes();
            let before = notes.newest.insert(key.clone(), values).unwrap_or_default();
            drop(notes);
            if values.iter().zip(before).any(|(now, before)| *now < before) {
                self.world.violated(format!("{key} went back from {before:?} to {values:?}"));
            }
            let place = (number(&key.id), index_of(&key.entity));
            if row.deleted_at.is_some() && !open(&self.books).absences.contains_key(&place) {
                self.world.violated(format!("{key} is a tombstone, and was never absent"));
            }
        }
    }

    /// Notes the state of a document that the mirror has.
    fn document(&self, id: u64, row: &Row) {
        let gone = open(&self.books).absences.get(&(id, DEEDS)).copied();
        let serial = gone.filter(|_| row.deleted_at.is_some()).unwrap_or_else(|| value(row, "serial"));
        let mut notes = self.notes();
        let states = notes.documents.entry(id).or_default();
        if states.last() != Some(&serial) {
            states.push(serial);
        }
    }

    /// Returns true if the mirror has seen that a change of a document moved an account: the first state that it had
    /// after the change, or the state that it had before, names the account. What only a state in between named is not
    /// seen, and neither are the documents from long ago that the simulation begins with.
    pub(crate) fn has_seen_move(&self, book: &Book, document: u64, serial: u64, account: u64) -> bool {
        let notes = self.notes();
        let Some(states) = notes.documents.get(&document) else { return false };
        let Some(place) = states.iter().position(|state| *state >= serial) else { return false };
        let before = place.checked_sub(1).and_then(|before| states.get(before));
        serial > self.world.plan.records
            && [before, states.get(place)]
                .into_iter()
                .flatten()
                .any(|state| book.names(document, *state, account))
    }

    /// Checks that no two processes work on a record at the same time, unless the first one had trouble with its store.
    pub(crate) fn claimed(&self, process: &Arc<Process>, items: &[Claimed], lease: Duration) {
        let mut notes = self.notes();
        for item in items {
            let held = (Lease { id: item.id, token: item.token }, Arc::clone(process));
            let Some((_, first)) = notes.holders.insert(item.key.clone(), held) else { continue };
            if first.is_sound_for(lease + Duration::from_secs(2)) {
                let (key, id) = (&item.key, item.id);
                self.world.violated(format!("two processes work on {key} at the same time: item {id}"));
            }
        }
    }

    /// Forgets these leases: the process does not know of them, or gives them up.
    pub(crate) fn let_go(&self, leases: &[Lease]) {
        let mut notes = self.notes();
        notes.holders.retain(|_, (current, _)| !leases.contains(current));
    }

    /// Returns the number of these leases that another process took over.
    pub(crate) fn lost(&self, leases: &[Lease]) -> u64 {
        let taken = |lease: &&Lease| self.lease_of(lease.id).is_some_and(|current| current != **lease);
        leases.iter().filter(taken).count() as u64
    }

    /// Returns the current lease of an item.
    pub(crate) fn lease_of(&self, id: ItemId) -> Option<Lease> {
        self.notes().holders.values().map(|(lease, _)| *lease).find(|lease| lease.id == id)
    }

    /// Notes that these leases were settled or given up, and checks the events and the runs.
    pub(crate) async fn settled(&self, leases: &[Lease]) {
        self.let_go(leases);
        self.events().await;
        self.runs().await;
    }

    /// Checks an answered delivery: its row exists, has its body, and is the only row.
    pub(crate) async fn accepted(&self, event_id: &str, body: &[u8], id: InboxId, change: &Change) {
        let kept = self.store.get_event(id).await.ok().flatten().and_then(|event| event.raw_payload);
        if kept.as_deref() != Some(body) {
            self.world.violated(format!("the delivery {event_id} was answered with the row of another"));
        }
        let mut notes = self.notes();
        notes.acknowledged.insert(event_id.to_owned());
        if *notes.rows.entry(event_id.to_owned()).or_insert(id) != id {
            self.world.violated(format!("the delivery {event_id} has two rows"));
        }
        notes.open.entry(id).or_insert_with(|| change.clone());
    }

    pub(crate) fn acknowledge(&self, event_id: &str) {
        self.notes().acknowledged.insert(event_id.to_owned());
    }

    /// Checks that the event of every answered delivery is stored.
    pub(crate) async fn all_accepted(&self) {
        let (names, rows) = {
            let notes = self.notes();
            (notes.acknowledged.clone(), notes.rows.clone())
        };
        for name in names {
            let there = match rows.get(&name) {
                Some(id) => self.store.get_event(*id).await.ok().flatten().is_some(),
                None => false,
            };
            if !there {
                self.world.violated(format!("the delivery {name} was answered and is not there"));
            }
        }
    }

    /// Checks that the mirror reflects every completed event.
    async fn events(&self) {
        let open_events: Vec<(InboxId, Change)> =
            self.notes().open.iter().map(|(id, change)| (*id, change.clone())).collect();
        for (id, change) in open_events {
            let Ok(Some(event)) = self.store.get_event(id).await else { continue };
            if event.status == EventStatus::Completed {
                self.notes().open.remove(&id);
                if !self.is_reflected(&change) {
                    let outcome = event.outcome.map_or("", Outcome::as_str);
                    self.world.violated(format!("event {id} ended {outcome} without effect: {change:?}"));
                }
            }
        }
    }

    fn is_reflected(&self, change: &Change) -> bool {
        let id = RecordId::new(change.id.to_string());
        let row = |kind: usize| self.store.row(&KINDS[kind].schema.entity, &id);
        let book = open(&self.books);
        let absent = book.entries.get(&change.id).is_none_or(|entry| entry.kind != change.kind)
            || book.absences.get(&(change.id, change.kind)).is_some_and(|absent| *absent > change.serial);
        let kinds = [Some(change.kind), KINDS[change.kind].sibling];
        if kinds.into_iter().flatten().any(|kind| self.was_planted(kind, change.id)) {
            return true;
        }
        let newer = kinds
            .into_iter()
            .flatten()
            .any(|kind| row(kind).is_some_and(|row| value(&row, "serial") >= change.serial));
        let gone = row(change.kind).is_none_or(|row| row.deleted_at.is_some());
        newer || (absent || change.deleted) && gone
    }

    pub(crate) async fn page(&self, run: RunId, page: &PageCommit) {
        self.notes().windows.insert(run, (page.checkpoint.window_from, page.checkpoint.window_to));
        self.runs().await;
    }

    /// Checks that a complete run missed no change in its window, if its list loses no change.
    async fn runs(&self) {
        let Ok(runs) = self.store.list_runs(&RunFilter::default(), 6, None).await else { return };
        for run in runs.items {
            let ended = matches!(run.status, RunStatus::Completed | RunStatus::CompletedWithErrors);
            if !ended || !self.notes().ended.insert(run.id) {
                continue;
            }
            self.world.count("runs ended");
            if run.processed_items != run.total_items || run.unchanged_items > run.total_items {
                self.world.violated(format!("the counts of run {} do not add up: {run:?}", run.id));
            }
            let kind = index_of(&run.entity_type);
            let lossless = KINDS[kind].documented.filter.is_usable()
                && KINDS[kind].documented.sort.is_usable()
                && self.world.plan.quirks[kind].is_honest();
            let window = self.notes().windows.get(&run.id).copied();
            if let (true, Some((Some(from), Some(to)))) = (lossless, window) {
                self.window(run.id, kind, from, to).await;
            }
        }
    }

    async fn window(&self, run: RunId, kind: usize, from: OffsetDateTime, to: OffsetDateTime) {
        let (from, to) = (from.unix_timestamp(), to.unix_timestamp());
        let due: Vec<(u64, i64)> = {
            let book = open(&self.books);
            let alive = book.entries.iter().filter(|(_, entry)| entry.kind == kind && !entry.poison);
            alive
                .filter_map(|(id, _)| Some((*id, book.version_by(*id, kind, to)?)))
                .filter(|(_, version)| *version > from)
                .collect()
        };
        let ids: Vec<RecordId> = due.iter().map(|(id, _)| RecordId::new(id.to_string())).collect();
        let entity = &KINDS[kind].schema.entity;
        let states = self.store.states(entity, &ids).await.unwrap_or_default();
        for ((id, version), key) in due.iter().zip(&ids) {
            let known = states.get(key).and_then(|state| state.version).map(OffsetDateTime::unix_timestamp);
            if known < Some(*version) && !self.was_planted(kind, *id) {
                let missed = format!("{entity} {id} of second {version}; known: {known:?}");
                self.world.violated(format!("run {run} is complete from {from} to {to} and missed {missed}"));
            }
        }
    }
}

fn number(id: &RecordId) -> u64 {
    id.as_str().parse().unwrap_or_default()
}
