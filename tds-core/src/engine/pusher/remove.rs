//! The removal of a record that is gone in the target.

use serde_json::Value;

use super::Pushing;
use crate::{
    error::Result,
    mirror::{FieldDifference, compare_rows},
    outbound::{
        ConflictPolicy, FieldConflict, LocalRecord, Mode, PRESENCE, Removed, Sending, Sent, Settled,
        Settlement, Side, WriteError, differing,
    },
    queue::Outcome,
    record::{Content, Fields, Interval, Read, Record, RecordKey, same_value},
};

/// The column that a removal sets where the source keeps the record.
const STATUS: &str = "status";

impl Pushing<'_> {
    pub(super) async fn remove(&self) -> Result<Outcome, WriteError> {
        let (push, handler) = (self.push, self.handler);
        let mut record =
            push.record.clone().unwrap_or_else(|| LocalRecord::new(push.link.key.clone(), Fields::new()));
        let Some(id) = push.link.remote_id.clone() else {
            let mut settlement = Settlement::new(Settled::Unchanged);
            settlement.note = Some("the record never existed at the source".to_owned());
            self.settle(&settlement).await?;
            return Ok(Outcome::Unchanged);
        };
        record.remote_id = Some(id.clone());
        let mut overruled = Vec::new();
        if handler.source.is_some() {
            let read = self.read(&id).await?;
            match &read.content {
                Content::Absent => {
                    drop(self.apply(read).await?);
                    self.settle(&Settlement::new(Settled::Unchanged)).await?;
                    return Ok(Outcome::Unchanged);
                }
                Content::Present(remote) => {
                    record.remote_status =
                        remote.fields.get(STATUS).and_then(Value::as_str).map(str::to_owned);
                    let edits = self.edits_there(remote);
                    if !edits.is_empty() {
                        if let Some(settlement) = self.contested(remote) {
                            self.keep(settlement, read).await?;
                            return Ok(Outcome::Unchanged);
                        }
                        overruled = edits;
                    }
                }
            }
        }
        if !overruled.is_empty() {
            let sending = Sending { sent: Sent::default(), conflicts: overruled };
            handler.outbox.sending(push, &sending).await?;
        }
        let removed = handler.writer.remove(&record).await?;
        let mut settlement = Settlement::new(Settled::Pushed);
        settlement.differences.push(removal());
        match removed {
            Removed::Gone => {
                let now = handler.clock.now();
                let key = RecordKey::new(push.entity.clone(), id);
                drop(self.apply(Read::whole(key, Interval { began: now, ended: now }, None)).await?);
                self.settle(&settlement).await?;
            }
            Removed::Kept => {
                settlement.note = Some(
                    "other records of the source use the record, so the source keeps it: it is inactive or void there"
                        .to_owned(),
                );
                // The record comes back as the source has it, which pending changes would prevent.
                settlement.take.insert(PRESENCE.to_owned(), Value::Null);
                self.settle(&settlement).await?;
                if handler.source.is_some() {
                    drop(self.apply(self.read(&id).await?).await?);
                }
            }
        }
        Ok(Outcome::Applied)
    }

    /// Ends the push of a removal that does not happen: a person has to decide, or the source won.
    async fn keep(&self, mut settlement: Settlement, read: Read) -> Result<()> {
        if settlement.settled == Settled::Parked {
            return self.settle(&settlement).await;
        }
        let (Some(record), Content::Present(remote)) = (&self.push.record, &read.content) else {
            // The row is gone, so the sync state is forgotten, and the read writes the row anew.
            self.settle(&settlement).await?;
            return self.apply(read).await.map(drop);
        };
        // What the source has changed since was kept out of the row.
        let (fields, rows) = differing(record, remote);
        settlement.take.extend(fields);
        settlement.take_rows.extend(rows);
        settlement.accepted = self.apply(read).await?;
        self.settle(&settlement).await
    }

    /// Decides on a record that was removed in the target and changed at the source. `None`: it is removed.
    fn contested(&self, remote: &Record) -> Option<Settlement> {
        let decided = self.push.decisions.get(PRESENCE).map(|(_, side)| *side);
        let winner = decided.or_else(|| match self.push.mode.policy_of(PRESENCE) {
            ConflictPolicy::SourceWins => Some(Side::Source),
            ConflictPolicy::TargetWins => Some(Side::Target),
            ConflictPolicy::NewestWins => Some(self.newest(remote)),
            ConflictPolicy::Manual => None,
        });
        if winner == Some(Side::Target) {
            return None;
        }
        let mut settlement =
            Settlement::new(if winner.is_some() { Settled::Unchanged } else { Settled::Parked });
        settlement.conflicts.push(FieldConflict {
            field: PRESENCE.to_owned(),
            base: Value::Null,
            target: Value::Bool(true),
            source: Value::Null,
            winner,
        });
        if winner.is_some() {
            settlement.take.insert(PRESENCE.to_owned(), Value::Null);
        }
        Some(settlement)
    }

    /// Returns what others edited at the source since the last common state, as conflicts that the removal has won. The
    /// status alone is no edit: a removal that the source refused sets it, and the process may have ended right after that.
    fn edits_there(&self, remote: &Record) -> Vec<FieldConflict> {
        let common = self.common(&LocalRecord::new("", Fields::new()), remote);
        let Some(base) = common.base.filter(|_| self.push.mode.mode != Mode::TargetPrimary) else {
            return Vec::new();
        };
        if remote.version <= base.version {
            return Vec::new();
        }
        let counts = |name: &str| name != STATUS && self.is_writable(name, true);
        let columns =
            base.fields.iter().filter(|(column, _)| counts(column)).filter_map(|(column, before)| {
                let now = remote.fields.get(column).filter(|now| !same_value(now, before))?;
                Some((column.clone(), before.clone(), now.clone()))
            });
        let tables = base.children.iter().filter(|(table, _)| counts(table));
        let rows = tables.filter_map(|(table, before)| Some((table, before, remote.children.get(table)?)));
        let rows = rows.flat_map(|(table, before, now)| {
            compare_rows(table, now, before).into_iter().map(|it| (it.field, it.target, it.source))
        });
        let overruled = |(field, base, source): (String, Value, Value)| FieldConflict {
            field,
            base,
            target: Value::Null,
            source,
            winner: Some(Side::Target),
        };
        columns.chain(rows).map(overruled).collect()
    }

    /// Returns the side with the later change. Versions have whole seconds, and in a tie the source wins.
    pub(super) fn newest(&self, remote: &Record) -> Side {
        let source = remote.version.map_or(i64::MIN, time::OffsetDateTime::unix_timestamp);
        if source >= self.push.changed_at.unix_timestamp() { Side::Source } else { Side::Target }
    }
}

/// Returns the difference of a removal: the source has the record, and the target does not.
pub(super) fn removal() -> FieldDifference {
    FieldDifference { field: PRESENCE.to_owned(), source: Value::Null, target: Value::Bool(true) }
}
