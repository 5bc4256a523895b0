//! What handling work would do, without writing anything.
//!
//! The work goes through [`MirrorHandler`] as it would otherwise, with a mirror that judges and compares every read and
//! writes none. Records that have to be read are read from the source.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{BatchHandler as _, Handled, MirrorHandler};
use crate::{
    clock::Clock,
    closed_set::closed_set,
    error::{Error, Result},
    guard::{SyncState, Verdict, judge},
    lock::lock,
    mirror::{
        Applied, Difference, FieldDifference, Mirror, MirrorSchema, Operation, Presence, RecordCount,
        compare_fields, compare_rows,
    },
    queue::{Claimed, ItemId, Lane, LeaseToken, Outcome, Work},
    record::{Content, DateRange, EntityType, Fields, Read, Record, RecordId, RecordKey},
    source::Source,
};

closed_set! {
    /// What would become of work on a record. The order is from the most informative result to the least.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Foreseen {
        /// The record would be written.
        Applied = "applied",
        /// The record would become a tombstone.
        Deleted = "deleted",
        /// The work would fail; the reason says why.
        Failed = "failed",
        /// The record would be read again later, because what the read shows is not plausible.
        Reread = "reread",
        /// The target already shows the state.
        Unchanged = "unchanged",
        /// The read is older than the state in the target.
        Stale = "stale",
        /// No work would follow.
        Ignored = "ignored",
        /// The body is not understood.
        Unparsed = "unparsed",
    }
}

/// What would become of work on one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The record.
    pub key: RecordKey,
    /// The result.
    pub outcome: Foreseen,
    /// What would be done with the record's rows; `None`: nothing.
    pub operation: Option<Operation>,
    /// The reason of the result, if there is more to say.
    pub reason: Option<String>,
    /// The columns and child rows that would change: `source` is the value after, and `target` the value before.
    pub changes: Vec<FieldDifference>,
}

impl Preview {
    /// Creates a preview in which nothing changes.
    #[must_use]
    pub fn nothing(key: RecordKey, outcome: Foreseen, reason: Option<String>) -> Self {
        Self { key, outcome, operation: None, reason, changes: Vec::new() }
    }
}

/// Returns what would become of the work on a record, for the record itself and for the record of the sibling entity
/// type if the work would continue there. `work` returns the source of an entity type.
///
/// # Errors
/// The mirror cannot be asked. What concerns the record alone, such as a body that cannot be decoded, is a preview of the
/// outcome [`Foreseen::Failed`].
pub async fn preview(
    mirror: &Arc<dyn Mirror>,
    clock: &Arc<dyn Clock>,
    sources: impl Fn(&EntityType) -> Option<Arc<dyn Source>>,
    key: &RecordKey,
    work: &Work,
) -> Result<Vec<Preview>> {
    let (mut key, mut work) = (key.clone(), work.clone());
    let mut previews = Vec::new();
    // A record changes its entity type once.
    for _ in 0..2 {
        let Some(source) = sources(&key.entity) else {
            let reason = format!("this program does not mirror {}", key.entity);
            previews.push(Preview::nothing(key, Foreseen::Ignored, Some(reason)));
            break;
        };
        let dry = Arc::new(DryMirror {
            mirror: Arc::clone(mirror),
            clock: Arc::clone(clock),
            judged: Mutex::default(),
            fault: Mutex::default(),
        });
        let handler = MirrorHandler::new(source, dry.clone(), Arc::clone(clock));
        let item = item_of(&key, work.clone(), clock.now());
        let handled = handler.handle_batch(std::slice::from_ref(&item)).await.pop();
        if let Some(fault) = lock(&dry.fault).take() {
            return Err(fault);
        }
        let judged = lock(&dry.judged).take();
        match handled {
            None => return Err(Error::internal("the handler gave no answer")),
            Some(Ok(Handled::Done(_))) => {
                let seen = judged.unwrap_or_else(|| Preview::nothing(key, Foreseen::Unchanged, None));
                previews.push(seen);
                break;
            }
            Some(Ok(Handled::Reread)) => {
                let reason = judged.and_then(|preview| preview.reason);
                previews.push(Preview::nothing(key, Foreseen::Reread, reason));
                break;
            }
            Some(Ok(Handled::Retry { reason, .. })) => {
                previews.push(Preview::nothing(key, Foreseen::Reread, Some(reason)));
                break;
            }
            Some(Err(error)) => {
                previews.push(Preview::nothing(key, Foreseen::Failed, Some(error.chain().to_string())));
                break;
            }
            Some(Ok(Handled::Reroute { entity, work: there })) => {
                // Most such records were never live here.
                previews.extend(judged.filter(|preview| preview.operation.is_some()));
                key = RecordKey::new(entity, key.id);
                work = there;
            }
        }
    }
    Ok(previews)
}

/// Returns an item that nobody has claimed.
fn item_of(key: &RecordKey, work: Work, now: OffsetDateTime) -> Claimed {
    Claimed {
        id: ItemId(0),
        token: LeaseToken(0),
        generation: 0,
        key: key.clone().into(),
        // An operator waits for the answer.
        lane: Lane::Operator,
        work,
        source_event: None,
        retry_count: 0,
        lost_leases: 0,
        queued_at: now,
    }
}

/// A mirror that judges and compares reads, and writes nothing.
struct DryMirror {
    mirror: Arc<dyn Mirror>,
    clock: Arc<dyn Clock>,
    /// What would become of the last read.
    judged: Mutex<Option<Preview>>,
    /// The error of the mirror.
    fault: Mutex<Option<Error>>,
}

#[async_trait]
impl Mirror for DryMirror {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.noting(self.mirror.states(entity, ids).await)
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        self.noting(self.mirror.compare(schema, reads).await)
    }

    async fn count(
        &self,
        schema: &MirrorSchema,
        dated: Option<(&str, DateRange)>,
    ) -> Result<Option<RecordCount>> {
        self.mirror.count(schema, dated).await
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let mut applied = Vec::with_capacity(reads.len());
        for read in reads {
            applied.push(self.judge(schema, &read).await);
        }
        applied
    }
}

impl DryMirror {
    /// Keeps an error: it is not the fault of the record.
    fn noting<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| *lock(&self.fault) = Some(error.clone()))
    }

    async fn judge(&self, schema: &MirrorSchema, read: &Read) -> Result<Applied> {
        let states = self.states(&schema.entity, std::slice::from_ref(&read.key.id)).await?;
        let stored = states.get(&read.key.id);
        let whole = self.difference(schema, read).await?;
        let rows = |table: &str| match &read.content {
            Content::Present(record) => rows_before(whole.as_ref(), record, table),
            Content::Absent => 0,
        };
        let shrinks = |record: &Record| schema.shrinks(record, rows);
        let (verdict, _) = judge(stored, read, self.clock.now(), shrinks);
        let preview = self.foresee(schema, read, verdict, stored).await?;
        let applied = match (verdict, preview.outcome) {
            (Verdict::Reread(reason), _) => Applied::Reread(reason),
            (Verdict::Stale, _) => Applied::Done(Outcome::Stale),
            (_, Foreseen::Deleted) => Applied::Done(Outcome::Deleted),
            (_, Foreseen::Applied) => Applied::Done(Outcome::Applied),
            _ => Applied::Done(Outcome::Unchanged),
        };
        *lock(&self.judged) = Some(preview);
        Ok(applied)
    }

    async fn foresee(
        &self,
        schema: &MirrorSchema,
        read: &Read,
        verdict: Verdict,
        stored: Option<&SyncState>,
    ) -> Result<Preview> {
        let nothing = |outcome, reason| Ok(Preview::nothing(read.key.clone(), outcome, reason));
        let (stable, volatile) = match verdict {
            Verdict::Reread(reason) => return nothing(Foreseen::Reread, Some(reason.to_string())),
            Verdict::Stale => return nothing(Foreseen::Stale, None),
            Verdict::Unchanged => return nothing(Foreseen::Unchanged, None),
            Verdict::Apply { stable, volatile } => (stable, volatile),
        };
        let Content::Present(record) = &read.content else {
            let operation = Operation::of(stored, Outcome::Deleted, false);
            let deleted_at = FieldDifference {
                field: "deleted_at".to_owned(),
                source: text(self.clock.now()),
                target: Value::Null,
            };
            let changes = operation.map(|_| deleted_at).into_iter().collect();
            let key = read.key.clone();
            return Ok(Preview { key, outcome: Foreseen::Deleted, operation, reason: None, changes });
        };
        let shown = shown(record, stable, volatile);
        let written = Read { content: Content::Present(Box::new(shown.clone())), ..read.clone() };
        let Some(difference) = self.difference(schema, &written).await? else {
            return nothing(Foreseen::Unchanged, None);
        };
        let changes = match difference.presence {
            // Volatile columns alone make no row.
            Presence::Missing if !stable => return nothing(Foreseen::Unchanged, None),
            Presence::Missing => of_new(&shown),
            Presence::Deleted => vec![FieldDifference {
                field: "deleted_at".to_owned(),
                source: Value::Null,
                target: Value::Bool(true),
            }],
            Presence::Live => difference.fields,
        };
        let inserted = difference.presence == Presence::Missing;
        let operation = Operation::of(stored, Outcome::Applied, inserted);
        let key = read.key.clone();
        Ok(Preview { key, outcome: Foreseen::Applied, operation, reason: None, changes })
    }

    async fn difference(&self, schema: &MirrorSchema, read: &Read) -> Result<Option<Difference>> {
        Ok(self.compare(schema, std::slice::from_ref(read)).await?.remove(&read.key.id))
    }
}

/// Returns the part of a record that a verdict allows to write.
fn shown(record: &Record, stable: bool, volatile: bool) -> Record {
    let mut shown = record.clone();
    if !stable {
        shown.fields.clear();
        shown.children.clear();
    }
    if !volatile {
        shown.volatile.clear();
    }
    shown
}

/// Returns the values of a record that the target does not have.
fn of_new(record: &Record) -> Vec<FieldDifference> {
    let mut changes = compare_fields(record.fields.iter().chain(&record.volatile), &Fields::new());
    changes.extend(record.children.iter().flat_map(|(table, rows)| compare_rows(table, rows, &[])));
    changes
}

/// Returns the number of rows that a record has in a child table of the target, from the rows that a read shows and those
/// that are on one side only.
fn rows_before(difference: Option<&Difference>, record: &Record, table: &str) -> usize {
    let shown = record.children.get(table).map_or(0, Vec::len);
    let Some(difference) = difference else { return shown };
    if difference.presence != Presence::Live {
        return 0;
    }
    let whole = |it: &&FieldDifference| {
        it.field.strip_prefix(table).is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']'))
    };
    let rows = difference.fields.iter().filter(whole);
    let (new, gone): (Vec<_>, Vec<_>) = rows.partition(|it| it.target.is_null());
    (shown + gone.len()).saturating_sub(new.len())
}

fn text(at: OffsetDateTime) -> Value {
    at.format(&Rfc3339).map_or(Value::Null, Value::String)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::RecordBuilder;

    const LISTS: EntityType = EntityType::from_static("prices");

    #[test]
    fn the_rows_of_a_set_are_counted_from_those_that_one_side_has() {
        let record = RecordBuilder::new(&LISTS, "1");
        let record = record.children("items", [json!({"position": 1}), json!({"position": 2})]).build();
        let whole = |field: &str, source: Value, target: Value| FieldDifference {
            field: field.to_owned(),
            source,
            target,
        };
        let fields = vec![
            whole("items[2]", json!({}), Value::Null),
            whole("items[7]", Value::Null, json!({})),
            whole("items[8]", Value::Null, json!({})),
            whole("items[1].rate", json!(1), json!(2)),
            whole("items_of_others[9]", Value::Null, json!({})),
        ];
        let difference = Difference { presence: Presence::Live, fields };
        assert_eq!(rows_before(Some(&difference), &record, "items"), 3);
        assert_eq!(rows_before(None, &record, "items"), 2);
        let missing = Difference { presence: Presence::Missing, fields: Vec::new() };
        assert_eq!(rows_before(Some(&missing), &record, "items"), 0);
    }
}
