//! The handler that maintains a mirror: it reads records from the source if needed, and writes them through the guard.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;

use super::{BatchHandler, Handled};
use crate::{
    clock::Clock,
    error::Result,
    guard::{RereadReason, SyncState, changed_without_version, full_sync_rereads, needs_detail},
    mirror::{Applied, Mirror},
    queue::{Claimed, Lane},
    record::{
        Cause, Content, EntityType, Follow, ListedRow, Origin, Read, Record, RecordId, RecordKey, Shape,
        SourcePayload, list_hash,
    },
    source::Source,
};

/// The maximum number of rounds in which a batch reads records from the source. A read that ties with the accepted
/// state is repeated in the next round. After the last round, the item waits.
const PASSES: usize = 3;
/// The batch size of items that need no call. Larger batches need fewer transactions, and no item waits for a call.
const READY: usize = 500;
/// The batch size of items when each record costs its own call.
const SINGLE_READS: usize = 20;

/// A handler that applies the records of a [`Source`] to a [`Mirror`].
pub struct MirrorHandler {
    pub(super) source: Arc<dyn Source>,
    pub(super) mirror: Arc<dyn Mirror>,
    pub(super) clock: Arc<dyn Clock>,
    follow: Option<FollowSettings>,
}

/// How the records that others move are read again.
#[derive(Clone, Debug)]
pub struct FollowSettings {
    /// The length of the slots in which such reads are gathered.
    pub slot: Duration,
    /// The entity types that are followed. If the cell is empty, every entity type is followed.
    pub entities: Arc<OnceLock<BTreeSet<EntityType>>>,
}

/// The state of a batch while it is handled.
pub(super) struct Batch<'a> {
    pub(super) items: &'a [Claimed],
    pub(super) results: Vec<Option<Result<Handled>>>,
    /// List rows that wait for their details. They supply the columns that only the list shows.
    listed: HashMap<usize, Record>,
}

impl MirrorHandler {
    /// Creates a handler that writes the records of a source to a mirror.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, mirror: Arc<dyn Mirror>, clock: Arc<dyn Clock>) -> Self {
        Self { source, mirror, clock, follow: None }
    }

    /// Lets the records that a read moves be read again. By default they are read on their schedules only.
    #[must_use]
    pub fn following(mut self, follow: Option<FollowSettings>) -> Self {
        self.follow = follow;
        self
    }

    /// Returns how the records that a read of this item moves are read again.
    fn follow(&self, item: &Claimed) -> Option<Follow> {
        let FollowSettings { slot, entities } = self.follow.clone()?;
        let is_derived = item.lane == Lane::Derived;
        // A recheck is the second look, or the check of a full sync.
        let may_look_again =
            is_derived && !item.work.recheck && self.source.reads_wait(Lane::Derived).is_zero();
        let look_again = self.source.profile().derives_late.filter(|_| may_look_again);
        Some(Follow { slot, entities, is_derived, look_again })
    }

    /// Handles the items of a batch.
    async fn handle_items(&self, batch: &mut Batch<'_>) -> Result<()> {
        let (ready, fetch) = self.prepare(batch).await?;
        let mut fetch = self.put_off(batch, fetch);
        let own = self.redirect(batch, ready).await?;
        fetch.extend(self.apply(batch, own).await);
        for _ in 0..PASSES {
            if fetch.is_empty() {
                break;
            }
            let reads = self.fetch(batch, fetch).await;
            let own = self.redirect(batch, reads).await?;
            fetch = self.apply(batch, own).await;
        }
        Ok(())
    }

    /// Divides the items into reads that can be applied and items that need the source.
    async fn prepare(&self, batch: &mut Batch<'_>) -> Result<(Vec<(usize, Read)>, Vec<usize>)> {
        let with_payload = batch.items.iter().filter(|item| item.work.payload.is_some());
        let with_payload: Vec<RecordId> = with_payload.map(|item| item.key.id.clone()).collect();
        let states = self.states(batch.items).await?;
        let moved = self.at_the_sibling(&with_payload).await?;
        let (mut ready, mut fetch) = (Vec::new(), Vec::new());
        let mut rows = Vec::new();
        for (index, item) in batch.items.iter().enumerate() {
            let Some(payload) = &item.work.payload else {
                fetch.push(index);
                continue;
            };
            match self.source.decode(payload) {
                // The source may return the record in a form that can be read, or the record may have been repaired in
                // the meantime.
                Err(error) => {
                    batch.results[index] = Some(Err(error));
                    fetch.push(index);
                }
                Ok(record) if self.needs_detail(item, payload, &record, states.get(&item.key.id)) => {
                    if payload.shape == Shape::List {
                        batch.listed.insert(index, record);
                    }
                    fetch.push(index);
                }
                // The record may have moved to the sibling after this payload was seen. Only a read shows its present
                // type.
                Ok(_) if moved.contains(&item.key.id) => fetch.push(index),
                Ok(record) if self.is_row_to_compare(item, payload) => rows.push((index, record)),
                Ok(record) => ready.push((index, self.read_of(item, payload, record))),
            }
        }
        let differing = self.differing(&rows, &states).await;
        for (index, record) in rows {
            let item = &batch.items[index];
            match (&differing, &item.work.payload) {
                (Err(error), _) => batch.results[index] = Some(Err(error.clone())),
                (Ok(differing), Some(payload)) if !differing.contains(&item.key.id) => {
                    ready.push((index, self.read_of(item, payload, record)));
                }
                (Ok(_), _) => {
                    batch.listed.insert(index, record);
                    fetch.push(index);
                }
            }
        }
        Ok((ready, fetch))
    }

    /// Returns true for list rows that a full sync enqueued. A full sync also enqueues rows of known versions, if the
    /// target's rows do not show them: see [`comparable`].
    fn is_row_to_compare(&self, item: &Claimed, payload: &SourcePayload) -> bool {
        item.work.recheck && payload.shape == Shape::List && self.source.profile().needs_detail
    }

    /// Returns the records of those list rows that the target's rows do not show.
    async fn differing(
        &self,
        rows: &[(usize, Record)],
        states: &HashMap<RecordId, SyncState>,
    ) -> Result<HashSet<RecordId>> {
        let reads: Vec<Read> =
            rows.iter().filter_map(|(_, record)| comparable(states.get(&record.id)?, record)).collect();
        if reads.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self.mirror.compare(self.source.schema(), &reads).await?.into_keys().collect())
    }

    /// Creates the read of a payload. If the list shows whole records, a list row counts as a whole record.
    fn read_of(&self, item: &Claimed, payload: &SourcePayload, record: Record) -> Read {
        let whole_row = payload.shape == Shape::List && !self.source.profile().needs_detail;
        let listed = whole_row.then(|| ListedRow { hash: list_hash(&record), spelled: Vec::new() });
        Read {
            key: RecordKey::new(item.key.entity.clone(), item.key.id.clone()),
            shape: if whole_row { Shape::Detail } else { payload.shape },
            observed: payload.observed,
            content: Content::Present(Box::new(record)),
            listed,
            follow: None,
            cause: Some(cause_of(item, Some(payload.shape))),
        }
    }

    /// Returns what is known about the records whose details may be due.
    async fn states(&self, items: &[Claimed]) -> Result<HashMap<RecordId, SyncState>> {
        let may_need_detail = |item: &&Claimed| {
            let is_list = |payload: &SourcePayload| payload.shape == Shape::List;
            item.work.payload.as_ref().is_some_and(|payload| is_list(payload) || item.work.recheck)
        };
        let ids: Vec<RecordId> =
            items.iter().filter(may_need_detail).map(|item| item.key.id.clone()).collect();
        if ids.is_empty() || !self.source.profile().needs_detail {
            return Ok(HashMap::new());
        }
        self.mirror.states(self.entity(), &ids).await
    }

    /// Returns true if the payload does not suffice and the whole record has to be read.
    fn needs_detail(
        &self,
        item: &Claimed,
        payload: &SourcePayload,
        record: &Record,
        state: Option<&SyncState>,
    ) -> bool {
        let profile = self.source.profile();
        let max_age = profile.detail_max_age;
        // A full sync reads every such detail, because the planner enqueued its row for that reason. The row may have
        // been folded into a pushed body, which does not settle the detail.
        let is_rechecked = item.work.recheck && full_sync_rereads(state, max_age);
        profile.needs_detail
            && match payload.shape {
                Shape::List => {
                    is_rechecked
                        || needs_detail(state, item.work.version, self.clock.now(), max_age)
                        || changed_without_version(state, record)
                }
                Shape::Webhook => is_rechecked,
                Shape::Detail => false,
            }
    }

    /// Reads whole records from the source.
    async fn fetch(&self, batch: &mut Batch<'_>, indexes: Vec<usize>) -> Vec<(usize, Read)> {
        let ids: Vec<RecordId> = indexes.iter().map(|index| batch.items[*index].key.id.clone()).collect();
        let lane = indexes.iter().map(|index| batch.items[*index].lane).min().unwrap_or(Lane::Full);
        let answers = self.source.fetch(&ids, lane).await;
        let mut reads = Vec::with_capacity(indexes.len());
        for (index, answer) in indexes.into_iter().zip(answers) {
            match answer {
                Err(error) => batch.results[index] = Some(Err(error)),
                Ok(mut read) => {
                    read.cause = Some(cause_of(&batch.items[index], None));
                    // The record can be read, so what its payload looked like decides nothing any more, whatever
                    // happens to this read.
                    if let Content::Present(_) = read.content {
                        batch.results[index] = None;
                    }
                    if let (Content::Present(record), Some(listed)) =
                        (&mut read.content, batch.listed.remove(&index))
                    {
                        read.listed = Some(ListedRow::beside(&listed, record));
                        record.fill_from(listed);
                    }
                    reads.push((index, read));
                }
            }
        }
        reads
    }

    /// Keeps the list row of an item that is read from the source. The whole record that is read because of a list row
    /// shows what the next such row means.
    fn keep_row(&self, batch: &mut Batch<'_>, index: usize) {
        let Some(payload) = &batch.items[index].work.payload else { return };
        if payload.shape == Shape::List
            && let Ok(record) = self.source.decode(payload)
        {
            batch.listed.insert(index, record);
        }
    }

    /// Writes reads to the mirror. Returns the items that have to be read again.
    async fn apply(&self, batch: &mut Batch<'_>, reads: Vec<(usize, Read)>) -> Vec<usize> {
        if reads.is_empty() {
            return Vec::new();
        }
        let (indexes, mut reads): (Vec<usize>, Vec<Read>) = reads.into_iter().unzip();
        for (index, read) in indexes.iter().zip(&mut reads) {
            read.follow = self.follow(&batch.items[*index]);
        }
        let applied = self.mirror.apply(self.source.schema(), reads).await;
        let mut again = Vec::new();
        for (index, result) in indexes.into_iter().zip(applied) {
            match result {
                Ok(Applied::Done(outcome)) => batch.results[index] = Some(Ok(Handled::Done(outcome))),
                // Any read that begins now breaks a tie. An implausible state has to be confirmed by a later read.
                Ok(Applied::Reread(reason @ (RereadReason::Tie | RereadReason::Resurrection))) => {
                    tracing::debug!(record = %batch.items[index].key, %reason, "reading again");
                    self.keep_row(batch, index);
                    again.push(index);
                }
                Ok(Applied::Reread(reason)) => {
                    tracing::warn!(
                        record = %batch.items[index].key, %reason,
                        "the read is implausible; the record is read again later"
                    );
                    batch.results[index] = Some(Ok(Handled::Reread));
                }
                Err(error) => batch.results[index] = Some(Err(error)),
            }
        }
        again
    }
}

#[async_trait]
impl BatchHandler for MirrorHandler {
    fn entity(&self) -> &EntityType {
        &self.source.schema().entity
    }

    fn batch_size(&self, item: &Claimed) -> usize {
        let profile = self.source.profile();
        let shows_all = |payload: &SourcePayload| {
            !profile.needs_detail || payload.shape != Shape::List && !item.work.recheck
        };
        if item.work.payload.as_ref().is_some_and(shows_all) {
            return READY;
        }
        // If the source reads one record per call, the items of a batch still share their writes.
        match profile.fetch_batch {
            0 | 1 => SINGLE_READS,
            many => many,
        }
    }

    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>> {
        let mut batch =
            Batch { items, results: items.iter().map(|_| None).collect(), listed: HashMap::new() };
        let handled = self.handle_items(&mut batch).await;
        // Items without a result have the error of the mirror, or could not be decided in this round and are handled
        // again.
        let open = || handled.clone().map(|()| Handled::Reread);
        batch.results.into_iter().map(|result| result.unwrap_or_else(open)).collect()
    }
}

/// Returns why a read is made: with the shape of the item's payload, or by a call if there is no payload that suffices.
fn cause_of(item: &Claimed, payload: Option<Shape>) -> Cause {
    let origin = match (item.lane, payload) {
        (Lane::Verify, _) => Origin::Verify,
        (Lane::Operator, _) => Origin::Operator,
        (_, Some(Shape::Webhook)) => Origin::Webhook,
        (_, Some(Shape::List)) => Origin::List,
        (_, Some(Shape::Detail) | None) => Origin::Detail,
    };
    let by_run = matches!(item.lane, Lane::Incremental | Lane::Full | Lane::Verify);
    Cause { item: item.id, event: item.source_event, origin, by_run }
}

/// Returns the part of a list row that can be compared with the target's row. The result has no columns that the list
/// spells in its own way, and no composite values such as addresses, whose form differs between a list row and a whole
/// record. Returns `None` if the row does not have the accepted version.
pub(crate) fn comparable(state: &SyncState, record: &Record) -> Option<Read> {
    if record.version != state.version {
        return None;
    }
    let mut record = record.clone();
    record.fields.retain(|name, value| {
        !state.spelled.contains(name) && !matches!(value, Value::Array(_) | Value::Object(_))
    });
    record.children.clear();
    Some(Read::of(record, Shape::List, state.observed))
}
