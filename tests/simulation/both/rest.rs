//! The end of a simulation: both sides agree or the conflict is listed, and no edit vanished.

use std::collections::{BTreeMap, BTreeSet};

use tds_core::{
    mirror::compare_record,
    outbound::{EntryStatus, OutboxEntry, OutboxFilter, OutboxOperator},
    queue::{ItemFilter, Lane, NewItem, Queue, QueueOperator, Work},
    record::{EntityType, RecordId, RecordKey},
};

use super::{
    Both,
    journal::{Edit, Who, serials_in},
    shop::{COLUMNS, LINES, SCHEMAS, open},
};

impl Both {
    /// Waits until all work has ended.
    pub(super) async fn drain(&self) {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            let live = self.store.stats().await.expect("stats").queue.live();
            let waits = |entry: &OutboxEntry| entry.item_status.as_deref() != Some("dead_letter");
            if live == 0 && !self.pending().await.iter().any(waits) {
                return;
            }
        }
    }

    async fn pending(&self) -> Vec<OutboxEntry> {
        self.entries(EntryStatus::Pending).await
    }

    async fn entries(&self, status: EntryStatus) -> Vec<OutboxEntry> {
        let filter = OutboxFilter { status: Some(status), entity: None };
        self.store.entries(&filter, None, 100_000).await.expect("entries").items
    }

    /// Reads every record again, as a full sync would.
    pub(super) async fn read_all(&self) {
        let mut keys = BTreeSet::new();
        for (id, entry) in &open(&self.shops).entries {
            keys.insert((SCHEMAS[entry.kind].entity.clone(), id.to_string()));
        }
        for schema in &SCHEMAS {
            keys.extend(
                self.store.rows(&schema.entity).into_keys().map(|id| (schema.entity.clone(), id.to_string())),
            );
        }
        let items = keys.into_iter().map(|(entity, id)| {
            let work = Work { recheck: true, ..Work::fetch() };
            NewItem::new(RecordKey::new(entity, RecordId::new(id)), Lane::Full, work)
        });
        self.store.enqueue(items.collect()).await.expect("the store in memory answers");
    }

    /// Describes what has not ended, for a developer.
    pub(super) async fn open_work(&self) -> String {
        let items = self.store.list(&ItemFilter::default(), 1_000, None).await.expect("items").items;
        let live = items.iter().filter(|item| item.processing_completed_at.is_none());
        let live: Vec<String> = live.map(|item| format!("{item:?}")).collect();
        format!("{} {:?}", live.join("; "), self.pending().await)
    }

    pub(super) async fn check(&self) {
        let mut excused: BTreeSet<(EntityType, i64)> = BTreeSet::new();
        for status in [EntryStatus::Pending, EntryStatus::Conflict] {
            excused
                .extend(self.entries(status).await.into_iter().map(|entry| (entry.entity, entry.local_id)));
        }
        self.world.count("simulations");
        excused.iter().for_each(|_| self.world.count("records that wait for a person"));
        self.sides(&excused);
        self.edits(&excused).await;
    }

    /// Checks that both sides have the same records, field by field.
    fn sides(&self, excused: &BTreeSet<(EntityType, i64)>) {
        let shop = open(&self.shops);
        for (kind, schema) in SCHEMAS.iter().enumerate() {
            let entity = &schema.entity;
            let mut seen: BTreeMap<u64, i64> = BTreeMap::new();
            for local_id in self.live(kind) {
                if excused.contains(&(entity.clone(), local_id)) {
                    continue;
                }
                let Some(id) = self.store.remote_id(entity, local_id) else {
                    self.world.violated(format!("{entity} {local_id} was never created at the source"));
                    continue;
                };
                let number: u64 = id.as_str().parse().unwrap_or_default();
                if let Some(other) = seen.insert(number, local_id) {
                    self.world
                        .violated(format!("{entity} {local_id} and {other} are both {id} at the source"));
                }
                let Some(entry) = shop.entries.get(&number) else {
                    self.world
                        .violated(format!("{entity} {local_id} is {id}, which the source does not have"));
                    continue;
                };
                let row = self.store.local_row(entity, local_id).map(|row| row.fields);
                let rows = self.store.local_rows(entity, local_id, LINES);
                let differs = compare_record(&entry.record(number), row.as_ref(), |_| &rows);
                if !differs.is_empty() {
                    self.world.violated(format!("{entity} {local_id} ({id}) differs: {differs:?}"));
                }
            }
            for id in shop.ids(kind) {
                let local = self.store.local_id(entity, &RecordId::new(id.to_string()));
                let is_excused = local.is_some_and(|local| excused.contains(&(entity.clone(), local)));
                if !seen.contains_key(&id) && !is_excused {
                    self.world
                        .violated(format!("{entity} {id} of the source is not in the target ({local:?})"));
                }
            }
        }
    }

    /// Checks that every edit is on both sides, or was overwritten by an edit that knew it, or is kept in a conflict.
    async fn edits(&self, excused: &BTreeSet<(EntityType, i64)>) {
        let mut kept = BTreeSet::new();
        for conflict in self.store.conflicts(None, None, None, 100_000).await.expect("conflicts").items {
            self.world.count("conflicts");
            for field in &conflict.fields {
                serials_in(&field.target, &mut kept);
                serials_in(&field.source, &mut kept);
            }
        }
        let shop = open(&self.shops);
        for (id, entry) in &shop.entries {
            let entity = &SCHEMAS[entry.kind].entity;
            let Some(local_id) = self.store.local_id(entity, &RecordId::new(id.to_string())) else {
                continue;
            };
            if excused.contains(&(entity.clone(), local_id)) {
                continue;
            }
            // What a removal wrote over is no longer looked for, whoever won.
            let removals =
                shop.journal.removals.iter().filter(|(who, _)| self.is_of(who, entity, *id, local_id));
            let removed = removals.map(|(_, at)| *at).max();
            let mut there: BTreeSet<u64> = BTreeSet::new();
            COLUMNS[entry.kind].iter().filter_map(|column| entry.fields.get(*column)).for_each(|value| {
                serials_in(value, &mut there);
            });
            let mut lines = BTreeSet::new();
            for line in &entry.lines {
                let number = line["quantity"].as_u64().unwrap_or_default();
                if !lines.insert(number) {
                    self.world.violated(format!("{entity} {id} has the line {number} twice"));
                }
                let is_removed = shop.journal.removed.contains(&number) && removed.is_none();
                if is_removed && !kept.contains(&number) {
                    self.world.violated(format!("the removal of line {number} of {entity} {id} vanished"));
                }
                serials_in(&line["rate"], &mut there);
            }
            let known = shop.journal.behind(there.union(&lines).chain(&kept).copied().collect());
            // A second row of a record whose create stayed in doubt for a minute gives way to the first one, and the later of
            // two edits counts.
            let of_second = |edit: &Edit| edit.who.local_id.is_some_and(|of| of != local_id);
            let mut edits = shop.journal.edits.values();
            let has_second =
                edits.any(|edit| self.is_of(&edit.who, entity, *id, local_id) && of_second(edit));
            for (serial, edit) in &shop.journal.edits {
                let is_removed = removed.is_some_and(|at| edit.at <= at);
                let is_excused = is_removed || has_second;
                if self.is_of(&edit.who, entity, *id, local_id) && !known.contains(serial) && !is_excused {
                    let line = edit.field.strip_prefix("rate of ").and_then(|line| line.parse().ok());
                    let line = line.unwrap_or(*serial);
                    let journal = &shop.journal;
                    if journal.removed.contains(&line)
                        || journal.written_again.contains(&line)
                        || kept.contains(&line) && !lines.contains(&line)
                    {
                        continue;
                    }
                    self.world
                        .violated(format!("edit {serial} of {entity} {id} ({local_id}) vanished: {edit:?}"));
                }
            }
        }
    }

    fn is_of(&self, who: &Who, entity: &EntityType, id: u64, local_id: i64) -> bool {
        who.entity == *entity
            && match (&who.remote_id, who.local_id) {
                (Some(remote), _) => *remote == id.to_string(),
                (None, local) => local == Some(local_id),
            }
    }
}
