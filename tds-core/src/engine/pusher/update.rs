//! The change of a record that exists at the source.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Pushing, Update};
use crate::{
    error::Error,
    mirror::compare_rows,
    outbound::{
        ConflictPolicy, FieldConflict, LocalRecord, Merge, Mode, PRESENCE, Sending, Sent, Settled,
        Settlement, Side, Stance, WriteError, column_of, merge,
    },
    queue::Outcome,
    record::{Content, Read, Record, RecordId, same_value},
};

impl Pushing<'_> {
    pub(super) async fn update(&self, record: &LocalRecord, id: &RecordId) -> Result<Outcome, WriteError> {
        if self.handler.source.is_none() {
            if self.push.sent.iter().any(|sent| sent.creates) {
                // The create of the record is what is pushed.
                self.settle(&self.pushed(record)).await?;
                return Ok(Outcome::Applied);
            }
            return self.refuse_change();
        }
        let read = self.read(id).await?;
        let Content::Present(remote) = read.content.clone() else {
            return self.gone(read).await;
        };
        let Pushing { handler, push, item, .. } = *self;
        let pushing =
            Pushing { handler, push, item, withheld: self.withheld.clone(), cut: remote.cut.clone() };
        pushing.write(record, read, &remote).await
    }

    /// Merges the record with what the source has now, and writes what the source has to get.
    async fn write(&self, record: &LocalRecord, read: Read, remote: &Record) -> Result<Outcome, WriteError> {
        let common = self.common(record, remote);
        let recognized = common.recognized(record);
        let record = &common.record;
        let merge = self.merge(common.base.as_ref(), record, remote);
        let mut settlement = Settlement::new(Settled::Parked);
        settlement.conflicts.clone_from(&merge.conflicts);
        settlement.differences.clone_from(&merge.differences);
        if merge.waits_for_a_person() {
            self.settle(&settlement).await?;
            return Ok(Outcome::Unchanged);
        }
        settlement.take.clone_from(&merge.take);
        settlement.take_rows = recognized;
        settlement.take_rows.extend(merge.take_rows.clone());
        let taken = settlement.take.keys().chain(settlement.take_rows.keys()).cloned().collect();
        let refused = self.refused(record, remote);
        if merge.push.is_empty() {
            if !refused.is_empty() {
                let text =
                    format!("nothing that changed can be written to the source: {}", refused.join("; "));
                return Err(WriteError::Refused(Error::invalid(text)));
            }
            settlement.settled = Settled::Unchanged;
            settlement.note = self.hidden(&taken);
            settlement.before = common.before(&settlement);
            if self.push.mode.mode != Mode::TargetPrimary {
                settlement.accepted = self.apply(read).await?;
            }
            self.settle(&settlement).await?;
            return Ok(Outcome::Unchanged);
        }
        settlement.settled = Settled::Pushed;
        let notes: Vec<String> = refused.into_iter().chain(self.hidden(&taken)).collect();
        settlement.note = (!notes.is_empty()).then(|| notes.join("; "));
        let merged = merged(record, remote, &merge);
        // What comes from the source is no change of the target, although it is sent as well.
        let sent = Sent::of(record, Some(&merge.push));
        let conflicts = std::mem::take(&mut settlement.conflicts);
        let sending = Sending { sent, conflicts };
        self.handler.outbox.sending(self.push, &sending).await?;
        let update = Update { pushed: &merge.push, common: &common };
        let written = self.handler.writer.update(&merged, &merge.push).await?;
        self.finish((&merged, Some(update)), written, settlement).await
    }

    fn merge(&self, base: Option<&Record>, record: &LocalRecord, remote: &Record) -> Merge {
        let push = self.push;
        let writable = |column: &str| self.is_writable(column, true);
        let decide = |field: &str, source: &Value| match push.decisions.get(field) {
            // The decision was about this value of the source and about no later one.
            Some((value, side)) if same_value(value, source) => Some(*side),
            _ => match push.mode.policy_of(field) {
                ConflictPolicy::SourceWins => Some(Side::Source),
                ConflictPolicy::TargetWins => Some(Side::Target),
                ConflictPolicy::NewestWins => Some(self.newest(remote)),
                ConflictPolicy::Manual => None,
            },
        };
        let stance = Stance { touched: push.fields.as_ref(), writable: &writable, decide: &decide };
        if push.mode.mode == Mode::TargetPrimary {
            // What was touched goes to the source, whatever it has. What others changed there stays, as drift. A record that
            // was never read leaves to the source what it has no value for.
            let known = base.map(|_| remote);
            let mut merge = merge(known, record, remote, &stance);
            merge.take.retain(|column, _| !writable(column));
            merge.take_rows.clear();
            if let Some(touched) = &push.fields {
                merge.push.retain(|name| touched.contains(name));
                merge.push_rows.retain(|table, _| touched.contains(table));
                merge.differences.retain(|it| touched.contains(column_of(&it.field)));
            }
            if let Some(created) = base.filter(|_| push.sent.iter().any(|sent| sent.creates)) {
                // What the create has sent needs no other write, whatever the source has made of it since.
                let is_sent = |name: &str| is_as_sent(created, record, name);
                merge.push.retain(|name| !is_sent(name));
                merge.push_rows.retain(|table, _| !is_sent(table));
                merge.differences.retain(|it| !is_sent(column_of(&it.field)));
            }
            return merge;
        }
        merge(base, record, remote, &stance)
    }

    /// Returns why columns that were changed in the target are not written: their names and the reasons.
    fn refused(&self, record: &LocalRecord, remote: &Record) -> Vec<String> {
        let differs = |column: &&String| {
            remote
                .fields
                .get(*column)
                .is_some_and(|source| !same_value(source, record.fields.get(*column).unwrap_or(&Value::Null)))
        };
        let touched: BTreeSet<String> = self.push.fields.iter().flatten().filter(differs).cloned().collect();
        self.unwritable(&touched)
    }

    fn refuse_change(&self) -> Result<Outcome, WriteError> {
        let touched: BTreeSet<String> = self.push.fields.clone().unwrap_or_default();
        let mut reasons = self.unwritable(&touched);
        if reasons.is_empty() {
            reasons.push("records of this type never change: enter a new one".to_owned());
        }
        Err(WriteError::Refused(Error::invalid(reasons.join("; "))))
    }

    /// Decides on a record that was changed in the target and removed at the source.
    async fn gone(&self, read: Read) -> Result<Outcome, WriteError> {
        let push = self.push;
        let decided = push.decisions.get(PRESENCE).map(|(_, side)| *side);
        let policy = push.mode.policy_of(PRESENCE);
        let winner = match (decided, policy) {
            (Some(side), _) => Some(side),
            (None, ConflictPolicy::SourceWins) => Some(Side::Source),
            (None, ConflictPolicy::Manual) if push.mode.mode == Mode::Bidirectional => None,
            (None, _) => Some(Side::Target),
        };
        if winner == Some(Side::Target) {
            let text = "the record was deleted at the source, and a deleted record cannot be changed: delete it here \
                        as well, or copy it as a new record";
            return Err(WriteError::Refused(Error::invalid(text)));
        }
        let settled = if winner.is_some() { Settled::Unchanged } else { Settled::Parked };
        let mut settlement = Settlement::new(settled);
        settlement.conflicts.push(FieldConflict {
            field: PRESENCE.to_owned(),
            base: Value::Null,
            target: Value::Null,
            source: Value::Bool(true),
            winner,
        });
        self.settle(&settlement).await?;
        if winner.is_some() {
            drop(self.apply(read).await?);
        }
        Ok(Outcome::Unchanged)
    }
}

/// Returns true if the target has a column or a child table as a create has sent it.
fn is_as_sent(created: &Record, record: &LocalRecord, name: &str) -> bool {
    let column = created.fields.get(name).zip(record.fields.get(name));
    let rows = created.children.get(name).zip(record.children.get(name));
    column.is_some_and(|(sent, now)| same_value(sent, now))
        || rows.is_some_and(|(sent, now)| compare_rows(name, sent, now).is_empty())
}

/// Returns the record to write: the target's, with what comes from the source. Nobody here knows the value of a column that
/// the source shows without a part of it.
fn merged(record: &LocalRecord, remote: &Record, merge: &Merge) -> LocalRecord {
    let mut merged = record.clone();
    merged.fields.extend(merge.take.clone());
    merged.children.extend(merge.take_rows.clone());
    merged.children.extend(merge.push_rows.clone());
    merged.fields.retain(|column, _| !remote.cut.contains(column));
    merged.remote_status = remote.fields.get("status").and_then(Value::as_str).map(str::to_owned);
    merged
}
