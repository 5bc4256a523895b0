//! What the outbox keeps in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::OffsetDateTime;

use crate::{
    memory::{Row, earlier},
    mirror::{FieldDifference, MirrorSchema},
    outbound::{
        CREATE_SETTLES, Conflict, ConflictId, Earlier, EntityMode, EntryStatus, Mode, Operation, OutboxId,
        Sent, Side, Values,
    },
    record::{EntityType, Fields, Payload, RecordId, RecordKey, Shape},
};

/// The decider of conflicts that no person decided.
pub(super) const POLICY: &str = "policy";

/// A local record: its entity type and its local id.
pub(in crate::memory) type LocalKey = (EntityType, i64);

/// The outbox, the modes and the local ids.
#[derive(Default)]
pub(in crate::memory) struct OutboundState {
    last_local_id: i64,
    pub(super) modes: BTreeMap<EntityType, EntityMode>,
    pub(super) entries: BTreeMap<OutboxId, Entry>,
    pub(super) conflicts: BTreeMap<ConflictId, Kept>,
    pub(super) links: BTreeMap<LocalKey, LinkRow>,
    /// The local ids of records that have an id at the source, also of those whose row is gone.
    pub(super) local_ids: HashMap<RecordKey, i64>,
    /// The rows without an id at the source.
    pub(super) unlinked: BTreeMap<LocalKey, Unlinked>,
    /// The tables of the entity types, once they were seen.
    pub(super) schemas: BTreeMap<EntityType, MirrorSchema>,
}

/// A captured change.
pub(super) struct Entry {
    pub(super) key: LocalKey,
    /// The id at the source as it was known when the change was captured.
    pub(super) remote_id: Option<RecordId>,
    pub(super) operation: Operation,
    pub(super) fields: Option<BTreeSet<String>>,
    pub(super) status: EntryStatus,
    /// An item of the queue carries the change.
    pub(super) relayed: bool,
    pub(super) captured_at: OffsetDateTime,
    pub(super) settled_at: Option<OffsetDateTime>,
    pub(super) differences: Vec<FieldDifference>,
    pub(super) note: Option<String>,
    pub(super) conflict: Option<ConflictId>,
}

impl Entry {
    /// Returns true if the change keeps its columns: it is on its way, or a person has to decide.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, EntryStatus::Pending | EntryStatus::Conflict)
    }

    /// Returns true if the change is about a column or a child table.
    fn names(&self, name: &str) -> bool {
        self.is_whole() || self.fields.as_ref().is_some_and(|fields| fields.contains(name))
    }

    fn is_whole(&self) -> bool {
        self.operation == Operation::Delete || self.fields.is_none()
    }
}

/// A conflict, with what a person decided.
pub(super) struct Kept {
    pub(super) shown: Conflict,
    pub(super) decisions: BTreeMap<String, (serde_json::Value, Side)>,
}

/// The connection of a local record with the source.
#[derive(Default)]
pub(super) struct LinkRow {
    pub(super) key: Option<String>,
    pub(super) remote_id: Option<RecordId>,
    pub(super) in_doubt_since: Option<OffsetDateTime>,
    /// A create of the local record made the record at the source.
    pub(super) was_created: bool,
    /// What the source sent of the last common state of what is pending, if the row no longer has it.
    pub(super) earlier: Vec<Earlier>,
    /// The values of the last common state that are in none of those.
    pub(super) kept: Values,
    /// What was sent since that state.
    pub(super) sent: Vec<Sent>,
}

/// The rows of a local record that has no id at the source. The child rows lack the owner column.
pub(super) struct Unlinked {
    pub(super) row: Row,
    pub(super) children: BTreeMap<String, Vec<Fields>>,
}

/// What [`crate::mirror::Mirror::apply`] may write of a record.
pub(in crate::memory) enum Scope {
    /// Everything that the verdict allows, except for what open changes are about.
    Except(Vec<Held>),
    /// Only volatile columns.
    Volatile,
    /// Nothing, and nothing is remembered.
    Nothing,
}

/// What one open change is about.
pub(in crate::memory) struct Held {
    /// `None`: the whole record.
    fields: Option<BTreeSet<String>>,
}

impl Scope {
    /// Returns true if a column or a child table may be written.
    pub(in crate::memory) fn writes(&self, name: &str) -> bool {
        match self {
            Self::Except(held) => {
                !held.iter().any(|held| held.fields.as_ref().is_none_or(|fields| fields.contains(name)))
            }
            Self::Volatile | Self::Nothing => false,
        }
    }

    /// Returns true if the record has open changes.
    pub(in crate::memory) fn is_held(&self) -> bool {
        matches!(self, Self::Except(held) if !held.is_empty())
    }

    /// Returns true if a row may be inserted, become a tombstone, or be live again.
    pub(in crate::memory) fn writes_whole_rows(&self) -> bool {
        matches!(self, Self::Except(held) if held.is_empty())
    }
}

impl OutboundState {
    /// Returns a local id that no other record has.
    pub(in crate::memory) fn next_local_id(&mut self) -> i64 {
        self.last_local_id += 1;
        self.last_local_id
    }

    pub(super) fn mode(&self, entity: &EntityType) -> EntityMode {
        self.modes.get(entity).cloned().unwrap_or_else(|| EntityMode::initial(entity.clone()))
    }

    /// Returns the id at the source of a local record.
    pub(super) fn remote_id(&self, key: &LocalKey) -> Option<&RecordId> {
        self.links.get(key).and_then(|link| link.remote_id.as_ref())
    }

    /// Returns the open changes of a record, in order.
    pub(super) fn open(&self, key: &LocalKey) -> impl Iterator<Item = (OutboxId, &Entry)> {
        let own = move |entry: &Entry| entry.key == *key && entry.is_open();
        self.entries.iter().filter(move |(_, entry)| own(entry)).map(|(id, entry)| (*id, entry))
    }

    /// Keeps the tables of an entity type.
    pub(in crate::memory) fn see(&mut self, schema: &MirrorSchema) {
        self.schemas.entry(schema.entity.clone()).or_insert_with(|| schema.clone());
    }

    /// Returns the local id of a record of the source.
    pub(in crate::memory) fn local_id(&self, key: &RecordKey) -> Option<i64> {
        self.local_ids.get(key).copied()
    }

    /// Gives a record that came from the source its local id.
    pub(in crate::memory) fn know(&mut self, key: &RecordKey) {
        if self.local_id(key).is_some() {
            return;
        }
        let local_id = self.next_local_id();
        self.local_ids.insert(key.clone(), local_id);
        let link = self.links.entry((key.entity.clone(), local_id)).or_default();
        link.remote_id = Some(key.id.clone());
    }

    /// Returns true if reads of unknown records are put off, because one of them may be a record that is being created.
    pub(in crate::memory) fn puts_off(&self, entity: &EntityType, now: OffsetDateTime) -> bool {
        let since = earlier(now, CREATE_SETTLES);
        self.mode(entity).mode == Mode::Bidirectional
            && self.links.iter().any(|(key, link)| {
                key.0 == *entity && link.in_doubt_since.is_some_and(|at| at > since && at <= now)
            })
    }

    /// Returns what may be written of a record that was read.
    pub(in crate::memory) fn scope(&self, key: &RecordKey, is_own_push: bool) -> Scope {
        let local_id = self.local_id(key);
        match self.mode(&key.entity).mode {
            Mode::SourcePrimary | Mode::Shadow => Scope::Except(Vec::new()),
            Mode::TargetPrimary if !is_own_push => {
                if local_id.is_some() {
                    Scope::Volatile
                } else {
                    Scope::Nothing
                }
            }
            Mode::Bidirectional | Mode::TargetPrimary => Scope::Except(self.held(key)),
        }
    }

    fn held(&self, key: &RecordKey) -> Vec<Held> {
        let Some(local_id) = self.local_id(key) else { return Vec::new() };
        let local = (key.entity.clone(), local_id);
        let held = |entry: &Entry| Held { fields: entry.fields.clone().filter(|_| !entry.is_whole()) };
        self.open(&local).map(|(_, entry)| held(entry)).collect()
    }

    /// Returns the number of conflicts of a record that persons have decided.
    pub(super) fn decided(&self, key: &LocalKey) -> u64 {
        let by_person = |kept: &&Kept| {
            (&kept.shown.entity, kept.shown.local_id) == (&key.0, key.1)
                && kept.shown.resolved_by.as_deref().is_some_and(|by| by != POLICY)
        };
        self.conflicts.values().filter(by_person).count() as u64
    }

    /// Returns true if an open change other than these is about a column or a child table.
    pub(super) fn is_changed_beside(&self, key: &LocalKey, changes: &[OutboxId], name: &str) -> bool {
        self.open(key).any(|(id, entry)| !changes.contains(&id) && entry.names(name))
    }

    /// Notes that the raw record of a row is replaced. The base stays what it was while changes are open.
    pub(in crate::memory) fn replaces_raw(
        &mut self,
        key: &RecordKey,
        old: Option<(Payload, Shape)>,
        scope: &Scope,
    ) {
        let Some(local_id) = self.local_id(key) else { return };
        let link = self.links.entry((key.entity.clone(), local_id)).or_default();
        match (scope, old) {
            (Scope::Except(held), Some((raw, shape))) if !held.is_empty() => {
                let names = held.iter().try_fold(BTreeSet::new(), |mut all, held| {
                    all.extend(held.fields.clone()?);
                    Some(all)
                });
                Earlier { raw: raw.as_str().to_owned(), shape, names }.keep(&mut link.earlier, &link.kept);
            }
            (Scope::Except(held), _) if !held.is_empty() => {}
            _ => link.earlier.clear(),
        }
    }
}
