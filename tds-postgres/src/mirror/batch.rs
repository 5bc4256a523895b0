//! One batch in one transaction: locks the states, judges the reads, writes the tables and stores the new states.

use std::collections::HashMap;

use tds_core::{
    error::{Error, Result},
    guard::{RereadReason, SyncState, Verdict, guard_sets, report_ahead, report_unusual},
    mirror::{Applied, MirrorSchema, Operation, follow_ups},
    privacy::Persons,
    queue::{Outcome, Waiter},
    record::{Content, EntityType, Read, Record, RecordId},
};

use super::{
    catalog::{Tables, unknown},
    children,
    decisions::Decision,
    erased, head,
    pending::{Local, Pending, Scope, keep_earlier},
    references, seen, state,
};
use crate::{
    Database,
    db::{quote, session::Tx},
    queue::fold as queue,
};

/// Returns the statement that keeps the mode of an entity type as it is until the end of the transaction: a change of the mode
/// takes the same lock, exclusively. A later statement reads the mode.
pub(crate) fn mode_stays(entity: &EntityType) -> String {
    let entity = quote::literal(entity.as_str());
    format!("SELECT pg_advisory_xact_lock_shared(hashtext(tds_own('tds_modes')), hashtext({entity}))")
}

/// Reads of one entity type, at most one per record.
pub(super) struct Batch<'a> {
    pub(super) schema: &'a MirrorSchema,
    pub(super) tables: &'a Tables,
    pub(super) reads: Vec<&'a Read>,
    pub(super) persons: &'a Persons,
}

/// The number of rows that each record has in a child table.
type Counts = HashMap<&'static str, HashMap<String, usize>>;

/// What was written of a record.
#[derive(Default)]
struct Written {
    /// The head row is new.
    inserted: bool,
    /// The columns of the head row that changed, and the child tables whose rows changed. A new head row has no changed
    /// columns.
    changed: Vec<String>,
}

/// A read, the decision of the guard on it, and what local changes leave to write of it.
#[derive(Clone, Copy)]
struct Judged<'a> {
    read: &'a Read,
    verdict: Verdict,
    scope: Scope<'a>,
}

impl Batch<'_> {
    /// Writes the whole batch or nothing. A read that is invalid in itself, which needs no query to find out, gets its own
    /// error as the result.
    pub(super) async fn run(&self, database: &Database) -> Result<Vec<Result<Applied>>, sqlx::Error> {
        let checked: Vec<Result<&Read>> =
            self.reads.iter().map(|read| self.refusal(read).map_or(Ok(*read), Err)).collect();
        let good: Vec<&Read> = checked.iter().flatten().copied().collect();
        let mut outcomes =
            if good.is_empty() { Vec::new() } else { self.write(database, &good).await? }.into_iter();
        let mut next =
            || outcomes.next().ok_or_else(|| Error::internal("a read of the batch has no outcome"));
        Ok(checked.into_iter().map(|read| read.and_then(|_| next()?)).collect())
    }

    /// Writes the reads. Each repetition knows at least one more record, which another transaction inserted first.
    async fn write(&self, database: &Database, reads: &[&Read]) -> Result<Vec<Result<Applied>>, sqlx::Error> {
        loop {
            if let Some(outcomes) = self.try_write(database, reads).await? {
                return Ok(outcomes);
            }
        }
    }

    /// Returns `None`, and writes nothing, if a record that was unknown became known in the meantime.
    async fn try_write(
        &self,
        database: &Database,
        reads: &[&Read],
    ) -> Result<Option<Vec<Result<Applied>>>, sqlx::Error> {
        let ids: Vec<RecordId> = reads.iter().map(|read| read.key.id.clone()).collect();
        let mut tx = database.begin_as_engine(&mode_stays(&self.schema.entity)).await?;
        let state::Locked { mut states, now, mode, erasures } =
            state::lock(&mut tx, &self.schema.entity, &ids).await?;
        let screened = if erasures { erased::screen(&mut tx, self.persons, reads).await? } else { None };
        if let Some(screened) = &screened {
            screened.blank_bodies(&mut tx, reads).await?;
        }
        if erasures {
            erased::blank_named_bodies(&mut tx, self.schema, self.tables, reads).await?;
        }
        let ignored: Vec<bool> = match &screened {
            Some(screened) => screened.reads.iter().map(Option::is_none).collect(),
            None => vec![false; reads.len()],
        };
        let kept: Vec<&Read> = match &screened {
            Some(screened) => screened.reads.iter().flatten().collect(),
            None => reads.to_vec(),
        };
        if kept.is_empty() {
            tx.commit().await?;
            return Ok(Some(ignored.iter().map(|_| Ok(Applied::Done(Outcome::Ignored))).collect()));
        }
        let reads = kept.as_slice();
        let believed: HashMap<RecordId, SyncState> =
            states.iter().filter_map(|(id, state)| Some((id.clone(), state.as_of(now?)?))).collect();
        report_ahead(believed.len());
        states.extend(believed.clone());
        let local = Local::read(&mut tx, self.schema, mode, reads, |id| states.contains_key(id)).await?;
        let late: Vec<Option<Error>> = reads.iter().map(|read| local.wait(read)).collect();
        let due: Vec<&Read> =
            reads.iter().zip(&late).filter(|(_, late)| late.is_none()).map(|(read, _)| *read).collect();
        let counts = self.counts(&mut tx, &due).await?;
        let judged: Vec<Judged<'_>> = due
            .iter()
            .map(|read| {
                let rows = |table: &str| rows_of(&counts, table, &read.key.id);
                let shrinks = |record: &Record| self.schema.shrinks(record, rows);
                let state = states.get(&read.key.id);
                let scope = local.scope(read, state.is_some());
                Judged { read, verdict: guard_sets(state, read, shrinks), scope }
            })
            .collect();
        let all_new = states.is_empty() && !local.has_heads();
        let written = self.write_tables(&mut tx, &judged, &local, all_new).await?;
        let next: Vec<(&RecordId, SyncState)> = judged
            .iter()
            .filter(|it| !matches!(it.scope, Scope::Nothing))
            .filter_map(|Judged { read, verdict, .. }| {
                let next = SyncState::after(states.get(&read.key.id), read, *verdict);
                Some((&read.key.id, next.or_else(|| believed.get(&read.key.id).cloned())?))
            })
            .collect();
        let decisions: Vec<Decision<'_>> =
            judged.iter().map(|it| decision(states.get(&it.read.key.id), *it, &written)).collect();
        if !state::store(&mut tx, &self.schema.entity, self.schema.head, &next, &states, &decisions).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        let moved = next.iter().map(|(id, state)| (*id, state, states.get(*id))).collect();
        seen::write(&mut tx, self.schema, self.tables, &moved).await?;
        self.follow(&mut tx, &judged, &states, &next).await?;
        tx.commit().await?;
        let new: Vec<&str> =
            written.iter().filter(|(_, row)| row.inserted).map(|(id, _)| id.as_str()).collect();
        let all: Vec<&str> = written.keys().map(String::as_str).collect();
        references::fill(database, self.schema, &new, &all).await;
        for Judged { read, verdict, .. } in &judged {
            report_unusual(states.get(&read.key.id), read, *verdict);
        }
        let mut applied = judged.iter().map(|it| match outcome(*it, &written) {
            Ok(outcome) => Ok(Applied::Done(outcome)),
            Err(reason) => Ok(Applied::Reread(reason)),
        });
        let missing = || Err(Error::internal("a read of the batch has no outcome"));
        let result = |late: Option<Error>| late.map_or_else(|| applied.next().unwrap_or_else(missing), Err);
        let mut results = late.into_iter().map(result);
        let erased = || Some(Ok(Applied::Done(Outcome::Ignored)));
        let next = |is_ignored: bool| if is_ignored { erased() } else { results.next() };
        Ok(Some(ignored.into_iter().filter_map(next).collect()))
    }

    /// Enqueues the work that follows from the reads. It becomes durable together with the states that it follows from.
    async fn follow(
        &self,
        tx: &mut Tx,
        judged: &[Judged<'_>],
        states: &HashMap<RecordId, SyncState>,
        next: &[(&RecordId, SyncState)],
    ) -> Result<(), sqlx::Error> {
        if judged.iter().all(|it| it.read.follow.is_none()) {
            return Ok(());
        }
        let next: HashMap<&RecordId, &SyncState> = next.iter().map(|(id, state)| (*id, state)).collect();
        let mut later = queue::Batch::default();
        for Judged { read, verdict, .. } in judged {
            let before = states.get(&read.key.id);
            let after = next.get(&read.key.id).copied().or(before);
            follow_ups(before, after, read, *verdict).into_iter().for_each(|item| later.add_later(item));
        }
        if later.is_empty() {
            return Ok(());
        }
        // No event and no run waits for this work, so without a waiter of its own it would leave the queue together with
        // a run that lists the record and is cancelled.
        let places = later.fold(tx).await?;
        queue::attach(tx, &places.each_for(Waiter::Operator)).await.map(drop)
    }

    /// Writes the head rows and the child rows. Returns what was written of the records that differed. `all_new`: no record
    /// is known.
    async fn write_tables(
        &self,
        tx: &mut Tx,
        judged: &[Judged<'_>],
        local: &Local,
        all_new: bool,
    ) -> Result<HashMap<String, Written>, sqlx::Error> {
        let head = self.schema.head.and_then(|head| self.tables.get_key_value(head));
        let mut rows = head.map(|(table, columns)| head::Rows::new(table, columns));
        let mut gone: Vec<String> = Vec::new();
        let mut whole: Vec<(&Record, Scope<'_>)> = Vec::new();
        let mut beside: Vec<(&str, &Pending)> = Vec::new();
        for Judged { read, verdict, scope } in judged {
            // Something other than the sync may have restored the row of a record that is known to be gone. A row with
            // local changes stays until the changes are settled.
            if read.content == Content::Absent
                && matches!(scope, Scope::All)
                && matches!(verdict, Verdict::Apply { .. } | Verdict::Unchanged)
            {
                gone.push(read.key.id.as_str().to_owned());
            }
            let Verdict::Apply { stable, volatile } = *verdict else { continue };
            let Content::Present(record) = &read.content else { continue };
            let (stable, pending) = match scope {
                Scope::All => (stable, None),
                Scope::Beside(pending) if self.schema.head.is_none() || local.has_head(&read.key.id) => {
                    beside.extend(stable.then_some((read.key.id.as_str(), *pending)));
                    (stable, Some(*pending))
                }
                Scope::Volatile => (false, None),
                Scope::Beside(_) | Scope::Nothing => continue,
            };
            if let Some(rows) = &mut rows {
                rows.push(read, record, stable, volatile, pending);
            }
            if stable {
                whole.push((record, *scope));
            }
        }
        let mut written: HashMap<String, Written> = HashMap::new();
        if let Some((table, _)) = head {
            keep_earlier(tx, &self.schema.entity, table, &beside).await?;
        }
        if let Some(rows) = rows {
            let of_row = |row: head::Written| {
                let inserted = row.changed.is_none();
                (row.zoho_id, Written { inserted, changed: row.changed.unwrap_or_default() })
            };
            written.extend(rows.upsert(tx, all_new).await?.into_iter().map(of_row));
        }
        if let Some((table, columns)) = head {
            head::tombstone(tx, table, columns, &gone).await?;
        }
        for child in self.schema.children {
            let Some(columns) = self.tables.get(child.table) else { continue };
            let keeps = |scope: &Scope<'_>| matches!(scope, Scope::Beside(it) if it.keeps(child.table));
            let sets: children::Sets<'_> = whole
                .iter()
                .filter(|(_, scope)| !keeps(scope))
                .filter_map(|(record, _)| {
                    Some((record.id.as_str(), record.children.get(child.table)?.as_slice()))
                })
                .collect();
            if !sets.is_empty() {
                for id in children::replace(tx, child, columns, &sets).await? {
                    written.entry(id).or_default().changed.push(child.table.to_owned());
                }
            }
            // The lines of a deleted document stay as its history. In a schema without a head table, no row could
            // carry the tombstone, so the rows are deleted.
            if self.schema.head.is_none() && !gone.is_empty() {
                children::delete(tx, child, &gone).await?;
            }
        }
        Ok(written)
    }

    /// Returns the current sizes of the sets whose shrinking must be confirmed.
    async fn counts(&self, tx: &mut Tx, reads: &[&Read]) -> Result<Counts, sqlx::Error> {
        let mut counts = Counts::new();
        for child in self.schema.children.iter().filter(|child| child.confirm_shrink) {
            let owners: Vec<String> = reads
                .iter()
                .filter(|read| {
                    record_of(read).is_some_and(|record| record.children.contains_key(child.table))
                })
                .map(|read| read.key.id.as_str().to_owned())
                .collect();
            if !owners.is_empty() {
                counts.insert(child.table, children::count(tx, child, &owners).await?);
            }
        }
        Ok(counts)
    }

    /// Returns why a read cannot be written at all.
    fn refusal(&self, read: &Read) -> Option<Error> {
        if read.key.entity != self.schema.entity {
            return Some(Error::invalid(format!("{} does not belong to {}", read.key, self.schema.entity)));
        }
        let record = record_of(read)?;
        let no_column = |table: &str, column: &str| {
            Some(Error::internal(format!("{}: table {table} has no column {column}", read.key)))
        };
        if let Some((table, columns)) = self.schema.head.and_then(|head| self.tables.get_key_value(head))
            && let Some(column) = unknown(columns, record.fields.keys().chain(record.volatile.keys()))
        {
            return no_column(table, column);
        }
        for (table, rows) in &record.children {
            let Some(columns) = self.tables.get(table.as_str()) else {
                return Some(Error::internal(format!("{}: {table} is no table of its schema", read.key)));
            };
            if let Some(column) = unknown(columns, rows.iter().flat_map(serde_json::Map::keys)) {
                return no_column(table, column);
            }
        }
        None
    }
}

/// Returns the number of rows that a record has in a child table.
fn rows_of(counts: &Counts, table: &str, id: &RecordId) -> usize {
    counts.get(table).and_then(|table| table.get(id.as_str())).copied().unwrap_or(0)
}

fn record_of(read: &Read) -> Option<&Record> {
    match &read.content {
        Content::Present(record) => Some(record),
        Content::Absent => None,
    }
}

fn outcome(judged: Judged<'_>, written: &HashMap<String, Written>) -> Result<Outcome, RereadReason> {
    let Judged { read, verdict, scope } = judged;
    Ok(match verdict {
        Verdict::Reread(reason) => return Err(reason),
        _ if matches!(scope, Scope::Volatile | Scope::Nothing) => Outcome::Ignored,
        Verdict::Stale => Outcome::Stale,
        Verdict::Unchanged => Outcome::Unchanged,
        Verdict::Apply { .. } if read.content == Content::Absent => Outcome::Deleted,
        Verdict::Apply { .. } if written.contains_key(read.key.id.as_str()) => Outcome::Applied,
        Verdict::Apply { .. } => Outcome::Unchanged,
    })
}

/// Returns what is kept of the decision on a read.
fn decision<'a>(
    before: Option<&SyncState>,
    judged: Judged<'a>,
    written: &'a HashMap<String, Written>,
) -> Decision<'a> {
    let Judged { read, verdict, .. } = judged;
    let (outcome, reason) = match outcome(judged, written) {
        Ok(outcome) => (Some(outcome), None),
        Err(reason) => (None, Some(reason)),
    };
    let written = written.get(read.key.id.as_str());
    let inserted = written.is_some_and(|written| written.inserted);
    let operation = outcome.and_then(|outcome| Operation::of(before, outcome, inserted));
    // Everything of a new record is new.
    let is_new = operation == Some(Operation::Insert);
    let changed = written.map_or(&[][..], |written| &written.changed).iter().filter(|_| !is_new);
    Decision { read, verdict, outcome, reason, operation, changed: changed.map(String::as_str).collect() }
}
