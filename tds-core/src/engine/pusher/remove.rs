//! The removal of a record that is gone in the target.

use serde_json::Value;

use super::{Pushing, shadow::removal};
use crate::{
    mirror::compare_rows,
    outbound::{
        ConflictPolicy, FieldConflict, LocalRecord, Mode, Removed, Settled, Settlement, Side, WriteError,
    },
    queue::Outcome,
    record::{Content, Fields, Interval, Read, Record, RecordKey, same_value},
};

/// The field of a conflict between a removal on one side and a change on the other.
pub(super) const PRESENCE: &str = "deleted_at";
/// The column that a removal sets where the source keeps the record.
const STATUS: &str = "status";

impl Pushing<'_> {
    pub(super) async fn remove(&self) -> Result<Outcome, WriteError> {
        let (push, handler) = (self.push, self.handler);
        let mut record =
            push.record.clone().unwrap_or_else(|| LocalRecord::new(push.link.key.clone(), Fields::new()));
        let id = match &push.link.remote_id {
            Some(id) => Some(id.clone()),
            None if push.link.in_doubt => {
                let found = handler.writer.find(&record).await?;
                if let Some(id) = &found {
                    handler.outbox.linked(push, id).await?;
                }
                found
            }
            None => None,
        };
        let Some(id) = id else {
            let mut settlement = Settlement::new(Settled::Unchanged);
            settlement.note = Some("the record never existed at the source".to_owned());
            self.settle(&settlement).await?;
            return Ok(Outcome::Unchanged);
        };
        record.remote_id = Some(id.clone());
        if handler.source.is_some() {
            let read = self.read(&id).await?;
            match &read.content {
                Content::Absent => {
                    self.apply(read).await?;
                    self.settle(&Settlement::new(Settled::Unchanged)).await?;
                    return Ok(Outcome::Unchanged);
                }
                Content::Present(remote) => {
                    record.remote_status =
                        remote.fields.get(STATUS).and_then(Value::as_str).map(str::to_owned);
                    if let Some(settlement) = self.contested(remote) {
                        let parks = settlement.settled == Settled::Parked;
                        self.settle(&settlement).await?;
                        if !parks {
                            self.apply(read).await?;
                        }
                        return Ok(Outcome::Unchanged);
                    }
                }
            }
        }
        let removed = handler.writer.remove(&record).await?;
        let mut settlement = Settlement::new(Settled::Pushed);
        settlement.differences.push(removal());
        match removed {
            Removed::Gone => {
                let now = handler.clock.now();
                let key = RecordKey::new(push.entity.clone(), id);
                self.apply(Read::whole(key, Interval { began: now, ended: now }, None)).await?;
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
                    self.apply(self.read(&id).await?).await?;
                }
            }
        }
        Ok(Outcome::Applied)
    }

    /// Decides on a record that was removed in the target and changed at the source. `None`: it is removed.
    fn contested(&self, remote: &Record) -> Option<Settlement> {
        let base = self.base()?;
        if !self.is_edited(&base, remote) || self.push.mode.mode == Mode::TargetPrimary {
            return None;
        }
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

    /// Returns true if somebody edited the record at the source. The status alone is no edit: a removal that the source
    /// refused sets it, and the process may have ended right after that.
    fn is_edited(&self, base: &Record, remote: &Record) -> bool {
        let counts = |column: &&String| *column != STATUS && self.is_writable(column, true);
        let differs = |column: &String| {
            remote.fields.get(column).is_some_and(|value| !same_value(value, &base.fields[column]))
        };
        let tables = || base.children.iter().filter(|(table, _)| self.is_writable(table, true));
        remote.version > base.version
            && (base.fields.keys().filter(counts).any(differs)
                || tables().any(|(table, rows)| {
                    remote
                        .children
                        .get(table)
                        .is_some_and(|theirs| !compare_rows(table, theirs, rows).is_empty())
                }))
    }

    /// Returns the side with the later change. Versions have whole seconds, and in a tie the source wins.
    pub(super) fn newest(&self, remote: &Record) -> Side {
        let source = remote.version.map_or(i64::MIN, time::OffsetDateTime::unix_timestamp);
        if source >= self.push.changed_at.unix_timestamp() { Side::Source } else { Side::Target }
    }
}
