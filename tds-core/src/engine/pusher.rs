//! The handler of outbound items: it brings the source to the state of a local record.
//!
//! ```text
//! load ─┬─ shadow ─────────────────────────────────────────────────────► settle (differences only)
//!       ├─ in doubt ── find ── linked ─────────────────────────────────► load again
//!       ├─ delete ── read ── remove ───────────────────────────────────► settle
//!       ├─ no id at the source ── sending ── create ── linked ─┐
//!       └─ an id ── read ── merge ── sending ── update ────────┴─ apply the answer ──► settle
//! ```
//!
//! The process may end at every arrow. The changes of the record stay pending until `settle`, so the push begins again,
//! reads the source, and finds there what it wrote. A create whose answer did not arrive stays in doubt: the record is
//! searched for before anything else is done with it. A record that is found is one that both sides have, and what the
//! create sent is their last common state.

mod common;
mod doubt;
mod remove;
mod shadow;
mod update;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use self::common::Common;
use crate::{
    clock::Clock,
    error::{Error, Result},
    handler::{EntityHandler, FollowSettings, Handled},
    mirror::{Applied, Mirror},
    outbound::{
        LocalRecord, Mode, Operation, Outbox, Push, RemoteWriter, Sending, Sent, Settled, Settlement, Values,
        Writable, WriteError, Written, differing, is_respelled, overtaken,
    },
    queue::{Claimed, Direction, Lane, Outcome},
    record::{
        Cause, Content, ContentHash, EntityType, Fields, Follow, Origin, Read, Record, RecordId, content_hash,
    },
    source::Source,
};

/// The shortest and the longest wait of a push for a record that it refers to.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// How long pushes wait that the mode of their entity type does not allow.
const OTHER_MODE: Duration = Duration::from_secs(60);

/// The handler of the outbound items of one entity type.
pub struct PushHandler {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) mirror: Arc<dyn Mirror>,
    /// The source of the records; `None` if the records are not mirrored.
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) writer: Arc<dyn RemoteWriter>,
    pub(super) clock: Arc<dyn Clock>,
    /// How the records are read again whose derived values a push moves; `None`: they are not.
    pub(super) follow: Option<FollowSettings>,
}

/// A push that is being handled.
struct Pushing<'a> {
    handler: &'a PushHandler,
    push: &'a Push,
    item: &'a Claimed,
    /// The columns and child tables of the record with values that the source does not get.
    withheld: BTreeSet<String>,
    /// The columns and child tables that the source shows without their hidden values.
    cut: BTreeSet<String>,
}

/// What was updated.
struct Update<'a> {
    /// The columns and child tables that were written.
    pushed: &'a BTreeSet<String>,
    /// What they were merged with.
    common: &'a Common,
}

#[async_trait]
impl EntityHandler for PushHandler {
    fn entity(&self) -> &EntityType {
        &self.writer.schema().entity
    }

    fn direction(&self) -> Direction {
        Direction::Outbound
    }

    async fn handle(&self, item: &Claimed) -> Result<Handled> {
        let local_id =
            item.key.id.as_str().parse().map_err(|error| {
                Error::invalid(format!("{} is no local id", item.key.id)).with_source(error)
            })?;
        let Some(mut push) = self.outbox.load(self.writer.schema(), local_id).await? else {
            return Ok(Handled::Done(Outcome::Unchanged));
        };
        let mut withheld = BTreeSet::new();
        if let Some(record) = push.record.take() {
            let visible = self.writer.visible(record.clone());
            withheld = withheld_from(&record, &visible);
            push.record = Some(visible);
        }
        Pushing { handler: self, push: &push, item, withheld, cut: BTreeSet::new() }.run().await
    }
}

impl Pushing<'_> {
    async fn run(&self) -> Result<Handled> {
        let push = self.push;
        match push.mode.mode {
            Mode::SourcePrimary => {
                let reason = format!(
                    "local changes of {} wait: its mode does not write them to the source",
                    push.entity
                );
                return Ok(Handled::Retry { after: OTHER_MODE, reason });
            }
            Mode::Shadow => return self.shadow().await,
            Mode::Bidirectional | Mode::TargetPrimary => {}
        }
        if let Some(after) = self.settles_in() {
            let reason = "a create without an answer may still be under way at the source".to_owned();
            return Ok(Handled::Retry { after, reason });
        }
        match self.done().await {
            Ok(Some(outcome)) => Ok(Handled::Done(outcome)),
            // Both sides have the record, which is another state of the target.
            Ok(None) => self.handler.handle(self.item).await,
            Err(WriteError::WaitsFor(awaited)) => Ok(Handled::Retry {
                after: self.patience(),
                reason: WriteError::WaitsFor(awaited).to_string(),
            }),
            Err(
                WriteError::Refused(error) | WriteError::InDoubt(error) | WriteError::Partly { error, .. },
            ) => Err(error),
        }
    }

    /// Does what the record needs. `None`: a create in doubt has made the record, and the link is stored.
    async fn done(&self) -> Result<Option<Outcome>, WriteError> {
        let push = self.push;
        if self.is_in_doubt() && self.link_found().await? {
            return Ok(None);
        }
        let outcome = match (&push.record, push.operation, &push.link.remote_id) {
            (None, ..) | (_, Operation::Delete, _) => self.remove().await,
            (Some(record), Operation::Upsert, None) => self.create(record).await,
            (Some(record), Operation::Upsert, Some(id)) => self.update(record, id).await,
        };
        outcome.map(Some)
    }

    /// Returns how long the push waits for a record that it refers to: a quarter of the time that it has waited.
    fn patience(&self) -> Duration {
        let waited = Duration::try_from(self.handler.clock.now() - self.push.changed_at).unwrap_or_default();
        (waited / 4).clamp(SHORTEST, LONGEST)
    }

    /// Creates a record that the source does not have, as far as is known.
    async fn create(&self, record: &LocalRecord) -> Result<Outcome, WriteError> {
        let PushHandler { outbox, writer, .. } = self.handler;
        // What can be known without a call must not leave a record in doubt.
        writer.check(record, None)?;
        let sending = Sending { sent: Sent::of(record, None), conflicts: Vec::new() };
        outbox.sending(self.push, &sending).await?;
        let written = match writer.create(record).await {
            Ok(written) => written,
            Err(WriteError::Partly { id, error }) => {
                outbox.linked(self.push, &id).await?;
                return Err(WriteError::Partly { id, error });
            }
            Err(error @ (WriteError::WaitsFor(_) | WriteError::Refused(_))) => {
                // A refusal says nothing about an earlier create.
                if !self.is_in_doubt() {
                    outbox.not_created(self.push).await?;
                }
                return Err(error);
            }
            Err(error @ WriteError::InDoubt(_)) => return Err(error),
        };
        outbox.linked(self.push, &written.id).await?;
        self.finish((record, None), written, self.pushed(record)).await
    }

    /// Returns the settlement of a record that was created.
    fn pushed(&self, record: &LocalRecord) -> Settlement {
        let mut settlement = Settlement::new(Settled::Pushed);
        settlement.note = not_written(&self.withheld);
        settlement.differences = self.all_fields(record);
        settlement
    }

    /// Applies the answer of a write, and settles the push. `update`: `None` if the record was created.
    async fn finish(
        &self,
        (record, update): (&LocalRecord, Option<Update<'_>>),
        written: Written,
        mut settlement: Settlement,
    ) -> Result<Outcome, WriteError> {
        let read = match (written.read, &self.handler.source) {
            (Some(read), _) => Some(self.handler.mirror.kept(read).await?),
            (None, Some(_)) => Some(self.read(&written.id).await?),
            (None, None) => None,
        };
        if let Some(mut read) = read {
            if let Content::Present(answer) = &mut read.content {
                self.leave_out(answer, update.as_ref().map(|update| update.pushed));
                let (fields, rows) = differing(record, answer);
                settlement.take.extend(fields);
                settlement.take_rows.extend(rows);
            }
            settlement.before = match update {
                Some(Update { pushed, common }) => {
                    let Values { mut fields, children } = common.before(&settlement);
                    // Rows that were written are merged anew with what was sent; a column has what was written.
                    fields.retain(|column, _| !pushed.contains(column));
                    let written = self.written_over(record, &settlement.take);
                    fields.extend(written.filter(|(column, _)| pushed.contains(column)));
                    Values { fields, children }
                }
                None => Values {
                    fields: self.written_over(record, &settlement.take).collect(),
                    children: settlement.take_rows.keys().map(|table| (table.clone(), Vec::new())).collect(),
                },
            };
            settlement.accepted = self.apply(read).await?;
        }
        self.settle(&settlement).await?;
        Ok(Outcome::Applied)
    }

    /// Returns the values that were written and that the answer shows differently: others have changed them since.
    fn written_over<'r>(
        &'r self,
        record: &'r LocalRecord,
        answer: &'r Fields,
    ) -> impl Iterator<Item = (String, Value)> + 'r {
        answer.iter().filter_map(|(column, shown)| {
            let sent = record.value(column).filter(|_| self.is_writable(column, false))?;
            (!is_respelled(sent, shown)).then(|| (column.clone(), sent.clone()))
        })
    }

    /// Reads the whole record from the source.
    async fn read(&self, id: &RecordId) -> Result<Read> {
        let Some(source) = &self.handler.source else {
            return Err(Error::internal(format!("{} has no source to read from", self.push.entity)));
        };
        let mut reads = source.fetch(std::slice::from_ref(id), Lane::Outbound).await;
        let read = reads
            .pop()
            .unwrap_or_else(|| Err(Error::internal("the source returned no result for the record")))?;
        self.handler.mirror.kept(read).await
    }

    /// Writes a read to the mirror. Pending columns stay as they are. Returns what the mirror has accepted if nothing newer
    /// comes; `None` for a record that is gone. If the guard asks for another read, the push begins again with one.
    async fn apply(&self, mut read: Read) -> Result<Option<ContentHash>> {
        let Some(source) = &self.handler.source else { return Ok(None) };
        let hash = match &read.content {
            Content::Present(record) => Some(content_hash(record)),
            Content::Absent => None,
        };
        read.cause = Some(Cause { item: self.item.id, event: None, origin: Origin::Push, by_run: false });
        // The source announces the write as well, but then nothing differs any more, and nothing is moved.
        let follow = self.handler.follow.clone();
        read.follow = follow.map(|FollowSettings { slot, entities }| Follow {
            slot,
            entities,
            is_derived: false,
            look_again: None,
        });
        let applied = self.handler.mirror.apply(source.schema(), vec![read]).await;
        let applied = applied.into_iter().next();
        match applied.unwrap_or_else(|| Err(Error::internal("the read has no result")))? {
            Applied::Done(_) => Ok(hash),
            Applied::Reread(_) => Err(overtaken(self.push)),
        }
    }

    /// Leaves out of an answer what others changed at the source, if the target is the primary: that stays as drift.
    fn leave_out(&self, answer: &mut Record, pushed: Option<&BTreeSet<String>>) {
        let Some(pushed) = pushed.filter(|_| self.push.mode.mode == Mode::TargetPrimary) else { return };
        answer.fields.retain(|column, _| pushed.contains(column) || !self.is_writable(column, true));
        answer.children.retain(|table, _| pushed.contains(table));
    }

    async fn settle(&self, settlement: &Settlement) -> Result<()> {
        self.handler.outbox.settle(self.push, settlement).await
    }

    fn is_writable(&self, column: &str, exists: bool) -> bool {
        // A new record has nothing at the source that it could lose.
        let is_kept_back = exists && self.hides(column);
        !is_kept_back && self.handler.writer.writable(column, exists) == Writable::Yes
    }

    fn hides(&self, column: &str) -> bool {
        self.handler.writer.hides(column, &self.cut)
    }

    /// Returns a note about what changed in a record that exists, and is not written because values are hidden. `taken`:
    /// what comes from the source, for a push that may be about any column.
    fn hidden(&self, taken: &BTreeSet<String>) -> Option<String> {
        let is_hidden = |name: &&String| self.hides(name) || self.withheld.contains(*name);
        let names = match &self.push.fields {
            Some(fields) => fields.iter().filter(is_hidden).cloned().collect(),
            None => &self.withheld | &taken.iter().filter(|name| self.hides(name)).cloned().collect(),
        };
        not_written(&names)
    }

    /// Returns the columns and child tables that changed and that the source does not take, with the reasons. Hidden ones
    /// are not among them.
    fn unwritable(&self, columns: &BTreeSet<String>) -> Vec<String> {
        let reason = |column: &String| match self.handler.writer.writable(column, true) {
            Writable::Yes => None,
            Writable::No(reason) => Some(format!("{column} cannot be written: {reason}")),
        };
        columns.iter().filter(|column| !self.hides(column)).filter_map(reason).collect()
    }
}

/// Returns a note about columns and child tables that are not written because values are hidden.
fn not_written(names: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("not written, because the values are hidden: {}", names.join(", ")))
}

/// Returns the columns and child tables whose values the source does not get as the target has them.
fn withheld_from(record: &LocalRecord, visible: &LocalRecord) -> BTreeSet<String> {
    let is_other =
        |(name, value): &(&String, &Value)| !value.is_null() && visible.fields.get(*name) != Some(*value);
    let columns = record.fields.iter().filter(is_other).map(|(name, _)| name);
    let is_filled = |row: &Fields, visible: &Fields| {
        row.iter().any(|(name, value)| !value.is_null() && visible.get(name) != Some(value))
    };
    let tables = record.children.iter().filter(|(table, rows)| {
        let shown = visible.children.get(*table).map_or(&[][..], Vec::as_slice);
        rows.iter().zip(shown).any(|(row, visible)| is_filled(row, visible))
    });
    columns.chain(tables.map(|(table, _)| table)).cloned().collect()
}

impl From<Error> for WriteError {
    /// A failure of a store or of a read: nothing was written by it.
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}
