//! The mirror in memory: rows are maps.

use std::collections::{HashMap, hash_map::Entry};

use async_trait::async_trait;

use super::{
    MemoryStore, Row,
    outbound::Scope,
    state::{MirrorRecord, State},
};
use crate::{
    error::{Error, ErrorKind, Result, Retry},
    guard::{SyncState, Verdict, VerdictKind, judge, report_unusual},
    history::{Happening, HistoryEntry},
    mirror::{
        Applied, Difference, Mirror, MirrorSchema, Operation, Presence, RecordCount, compare_record,
        follow_ups,
    },
    privacy::Screened,
    queue::Outcome,
    record::{
        Content, DateRange, EntityType, Fields, Origin, Read, Record, RecordId, RecordKey, Shape, same_value,
    },
};

#[async_trait]
impl Mirror for MemoryStore {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        let state = self.state();
        let known = ids.iter().filter_map(|id| {
            let record = state.records.get(&RecordKey::new(entity.clone(), id.clone()))?;
            Some((id.clone(), record.state.clone()?))
        });
        Ok(known.collect())
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        let state = self.state();
        let differences = reads.iter().filter_map(|read| {
            let difference = match state.screen(read) {
                Screened::Whole => state.difference(schema, read),
                Screened::Without(read) => state.difference(schema, &read),
                Screened::Ignored => None,
            };
            Some((read.key.id.clone(), difference?))
        });
        Ok(differences.collect())
    }

    async fn kept(&self, read: Read) -> Result<Read> {
        // A read of an erased record itself is ignored as a whole.
        Ok(match self.state().screen(&read) {
            Screened::Without(read) => *read,
            Screened::Whole | Screened::Ignored => read,
        })
    }

    async fn count(
        &self,
        schema: &MirrorSchema,
        dated: Option<(&str, DateRange)>,
    ) -> Result<Option<RecordCount>> {
        let state = self.state();
        let live = || {
            let of_entity = state.records.iter().filter(|(key, _)| key.entity == schema.entity);
            of_entity.filter(|(_, known)| known.is_live())
        };
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let in_range = |column: &str, dates: DateRange| {
            let day =
                |known: &MirrorRecord| known.row.as_ref()?.fields.get(column)?.as_str().map(str::to_owned);
            live().filter(|(_, known)| day(known).is_some_and(|day| dates.contains(&day))).count()
        };
        let dated = dated.map(|(column, dates)| number(in_range(column, dates)));
        Ok(Some(RecordCount { live: number(live().count()), dated }))
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let mut state = self.state();
        reads.into_iter().map(|read| state.apply_read(schema, read)).collect()
    }
}

impl State {
    /// Returns how the target's rows differ from a read.
    fn difference(&self, schema: &MirrorSchema, read: &Read) -> Option<Difference> {
        let row = self.records.get(&read.key).and_then(|known| known.row.as_ref());
        let rows = |table: &str| {
            let place = self.children.get(&(table.to_owned(), read.key.id.clone()));
            place.map_or(&[][..], Vec::as_slice)
        };
        let compare = |record: &Record| compare_record(record, row.map(|row| &row.fields), rows);
        let presence = match &read.content {
            // A record without a head row may have no rows at all, so it is never missing.
            Content::Present(_) if schema.head.is_none() => Presence::Live,
            _ => self.presence(schema, &read.key),
        };
        Difference::of(&read.content, presence, compare)
    }

    /// Returns whether the target has a record. A record without a head row is live as long as it has child rows.
    fn presence(&self, schema: &MirrorSchema, key: &RecordKey) -> Presence {
        if schema.head.is_none() {
            let is_own = |table: &str| schema.children.iter().any(|child| child.table == table);
            let mut sets =
                self.children.iter().filter(|((table, owner), _)| *owner == key.id && is_own(table));
            return if sets.any(|(_, rows)| !rows.is_empty()) { Presence::Live } else { Presence::Missing };
        }
        match self.records.get(key) {
            Some(MirrorRecord { row: Some(row), .. }) if row.deleted_at.is_some() => Presence::Deleted,
            Some(MirrorRecord { row: Some(_), .. }) => Presence::Live,
            _ => Presence::Missing,
        }
    }

    /// Returns what may be written of a record that was read.
    fn scope_of(&mut self, schema: &MirrorSchema, read: &Read) -> Result<Scope> {
        if schema.head.is_none() {
            return Ok(Scope::Except(Vec::new()));
        }
        self.outbound.see(schema);
        let is_known = self.outbound.local_id(&read.key).is_some();
        if !is_known && read.content != Content::Absent && self.outbound.puts_off(&schema.entity, self.now.0)
        {
            return Err(Error::new(
                ErrorKind::Locked,
                Retry::Transient { retry_after: None },
                format!("{} may be the record that is being created", read.key),
            ));
        }
        Ok(self.outbound.scope(&read.key, read.origin() == Origin::Push))
    }

    fn row_mut(&mut self, key: &RecordKey) -> Option<&mut Row> {
        self.records.get_mut(key).and_then(|known| known.row.as_mut())
    }

    fn apply_read(&mut self, schema: &MirrorSchema, read: Read) -> Result<Applied> {
        if read.key.entity != schema.entity {
            return Err(Error::invalid(format!("{} does not belong to {}", read.key, schema.entity)));
        }
        let screened = self.screen(&read);
        self.blank_bodies_of(&read, &screened);
        let read = match screened {
            Screened::Whole => read,
            Screened::Without(read) => *read,
            Screened::Ignored => return Ok(Applied::Done(Outcome::Ignored)),
        };
        let previous = self.records.get(&read.key).and_then(|known| known.state.clone());
        let scope = self.scope_of(schema, &read)?;
        let rows =
            |table: &str| self.children.get(&(table.to_owned(), read.key.id.clone())).map_or(0, Vec::len);
        let shrinks = |record: &Record| schema.shrinks(record, rows);
        let (verdict, next) = judge(previous.as_ref(), &read, self.now.0, shrinks);
        if matches!(verdict, Verdict::Apply { .. }) && self.refused.contains(&read.key) {
            return Err(Error::invalid(format!("{} breaks a constraint of the target", read.key)));
        }
        for later in follow_ups(previous.as_ref(), next.as_ref().or(previous.as_ref()), &read, verdict) {
            self.place_later(later);
        }
        if let Some(next) = next.filter(|_| !matches!(scope, Scope::Nothing)) {
            self.remember(&read.key, next);
        }
        report_unusual(previous.as_ref(), &read, verdict);
        let (applied, written) = self.write(schema, &read, (verdict, &scope), previous.as_ref());
        self.decide(&read, verdict, previous.as_ref(), (applied, written));
        Ok(applied)
    }

    /// Writes what the verdict allows to write.
    fn write(
        &mut self,
        schema: &MirrorSchema,
        read: &Read,
        (verdict, scope): (Verdict, &Scope),
        previous: Option<&SyncState>,
    ) -> (Applied, Option<Written>) {
        let (stable, volatile) = match verdict {
            Verdict::Reread(reason) => return (Applied::Reread(reason), None),
            Verdict::Stale => return (Applied::Done(Outcome::Stale), None),
            Verdict::Unchanged => {
                // Something other than the sync may have restored the row of a record that is known to be gone.
                if read.content == Content::Absent
                    && scope.writes_whole_rows()
                    && self.presence(schema, &read.key) == Presence::Live
                {
                    self.write_tombstone(schema, &read.key);
                }
                return (Applied::Done(Outcome::Unchanged), None);
            }
            Verdict::Apply { stable, volatile } => (stable, volatile),
        };
        let Content::Present(record) = &read.content else {
            match scope {
                Scope::Volatile | Scope::Nothing => return (Applied::Done(Outcome::Ignored), None),
                Scope::Except(_) if scope.is_held() => return (Applied::Done(Outcome::Unchanged), None),
                Scope::Except(_) => self.write_tombstone(schema, &read.key),
            }
            return (Applied::Done(Outcome::Deleted), None);
        };
        match scope {
            Scope::Nothing => return (Applied::Done(Outcome::Ignored), None),
            Scope::Volatile => {
                if volatile && let Some(row) = self.row_mut(&read.key) {
                    row.fields.extend(record.volatile.clone());
                }
                return (Applied::Done(Outcome::Ignored), None);
            }
            Scope::Except(_) => {}
        }
        let verdict = (stable, volatile);
        let head = schema.head.and_then(|_| self.write_head(read, record, verdict, (previous, scope)));
        let children = if stable { self.write_children(schema, record, scope) } else { Vec::new() };
        if head.is_none() && children.is_empty() {
            return (Applied::Done(Outcome::Unchanged), None);
        }
        let mut written = head.unwrap_or_default();
        written.changed.extend(children);
        (Applied::Done(Outcome::Applied), Some(written))
    }

    /// Keeps the decision on a read for the history of its record.
    fn decide(
        &mut self,
        read: &Read,
        verdict: Verdict,
        previous: Option<&SyncState>,
        (applied, written): (Applied, Option<Written>),
    ) {
        let (outcome, detail) = match applied {
            Applied::Done(outcome) => (Some(outcome), None),
            Applied::Reread(reason) => (None, Some(reason.to_string())),
        };
        let inserted = written.as_ref().is_some_and(|written| written.inserted);
        let operation = outcome.and_then(|outcome| Operation::of(previous, outcome, inserted));
        let written = written.filter(|_| operation != Some(Operation::Insert)).unwrap_or_default();
        let entry = HistoryEntry {
            version: read.version(),
            observed: Some(read.observed.interval()),
            verdict: Some(VerdictKind::from(verdict)),
            outcome,
            operation,
            changed: written.changed,
            inbox_event: read.cause.and_then(|cause| cause.event),
            item: read.cause.map(|cause| cause.item),
            detail,
            ..HistoryEntry::new(self.now.0, Happening::Judged, read.origin())
        };
        let by_run = read.cause.is_some_and(|cause| cause.by_run);
        self.note(read.key.clone(), entry, by_run);
    }

    pub(super) fn remember(&mut self, key: &RecordKey, next: SyncState) {
        match self.records.entry(key.clone()) {
            Entry::Occupied(mut known) => known.get_mut().state = Some(next),
            Entry::Vacant(slot) => {
                slot.insert(MirrorRecord { state: Some(next), first_seen_at: self.now.0, row: None });
            }
        }
    }

    fn write_tombstone(&mut self, schema: &MirrorSchema, key: &RecordKey) {
        let now = self.now.0;
        if let Some(row) = self.row_mut(key).filter(|row| row.deleted_at.is_none()) {
            row.deleted_at = Some(now);
            row.synced_at = now;
        }
        if schema.head.is_none() {
            // Without a head row there is no row that could carry the tombstone.
            self.children.retain(|(table, owner), _| {
                *owner != key.id || !schema.children.iter().any(|child| child.table == table)
            });
        }
    }

    /// Writes the head row. Returns what was written if the row is new or differed.
    fn write_head(
        &mut self,
        read: &Read,
        record: &Record,
        (stable, volatile): (bool, bool),
        (previous, scope): (Option<&SyncState>, &Scope),
    ) -> Option<Written> {
        let known = self.records.get_mut(&read.key)?;
        // A row that a program removed stays away until the removal is settled.
        if known.row.is_none() && (!stable || scope.is_held()) {
            return None;
        }
        let whole_before = previous.is_some_and(|state| state.detail_hash.is_some());
        let shape = if whole_before { Shape::Detail } else { Shape::List };
        // Of a record that was never read, the row has nothing that the source sent.
        let raw_before = previous.and(known.row.as_ref()).map(|row| (row.raw.clone(), shape));
        let mut row = known.row.clone().unwrap_or_else(|| Row {
            fields: Fields::new(),
            raw: record.raw.clone(),
            synced_at: self.now.0,
            deleted_at: None,
        });
        if stable {
            extend(&mut row.fields, &record.fields, scope);
            if scope.writes_whole_rows() {
                row.deleted_at = None;
            }
        }
        if volatile {
            extend(&mut row.fields, &record.volatile, scope);
        }
        self.outbound.follow(&mut row.fields, &record.fields);
        // A list row does not replace the raw record that a detail brought.
        if stable && (read.shape != Shape::List || !whole_before) {
            row.raw = record.raw.clone();
            self.outbound.know(&read.key);
            self.outbound.replaces_raw(&read.key, raw_before, scope);
        }
        if known.row.as_ref() == Some(&row) {
            return None;
        }
        row.synced_at = self.now.0;
        let written = known.row.as_ref().map(|old| changed(old, &row));
        known.row = Some(row);
        Some(written.unwrap_or(Written { inserted: true, changed: Vec::new() }))
    }

    /// Replaces the sets of children that the record contains. Returns the tables of those that differed.
    fn write_children(&mut self, schema: &MirrorSchema, record: &Record, scope: &Scope) -> Vec<String> {
        let mut differing = Vec::new();
        for child in schema.children.iter().filter(|child| scope.writes(child.table)) {
            let Some(rows) = record.children.get(child.table) else { continue };
            let owned = rows.iter().cloned().map(|mut row| {
                row.insert(child.owner.to_owned(), record.id.as_str().into());
                row
            });
            let owned: Vec<Fields> = owned.collect();
            let place = self.children.entry((child.table.to_owned(), record.id.clone())).or_default();
            if sorted(place) != sorted(&owned) {
                differing.push(child.table.to_owned());
            }
            *place = owned;
        }
        differing
    }
}

/// Adds the columns that may be written.
fn extend(row: &mut Fields, columns: &Fields, scope: &Scope) {
    let written = columns.iter().filter(|(name, _)| scope.writes(name));
    row.extend(written.map(|(name, value)| (name.clone(), value.clone())));
}

/// What was written of a record.
#[derive(Default)]
struct Written {
    /// The head row is new.
    inserted: bool,
    /// The columns and child tables that changed.
    changed: Vec<String>,
}

/// Returns the columns that differ. The whole record, which differs in every version, is named only if nothing else
/// differs.
fn changed(old: &Row, new: &Row) -> Written {
    let value = |row: &Row, name: &str| row.fields.get(name).cloned().unwrap_or_default();
    let differs = |name: &&String| !same_value(&value(old, name), &value(new, name));
    let mut changed: Vec<String> = new.fields.keys().filter(differs).cloned().collect();
    if old.deleted_at != new.deleted_at {
        changed.push("deleted_at".to_owned());
    }
    if changed.is_empty() {
        changed.push("raw".to_owned());
    }
    Written { inserted: false, changed }
}

/// Returns the rows in a fixed order, because rows of a table have no order.
fn sorted(rows: &[Fields]) -> Vec<String> {
    let mut texts: Vec<String> =
        rows.iter().map(|row| serde_json::Value::Object(row.clone()).to_string()).collect();
    texts.sort_unstable();
    texts
}
