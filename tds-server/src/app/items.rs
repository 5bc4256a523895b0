//! Queue items: list, find, retry, discard, pause and prune.

use std::{collections::BTreeMap, time::Duration};

use tds_core::{
    error::Result,
    queue::{ItemFilter, ItemId, ItemStatus, ItemView, Page},
    record::EntityType,
};
use time::OffsetDateTime;

use super::{refusal::Refusal, services::Ports};

/// A change of queue items that an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The items become due now, and their attempts are counted from zero.
    Retry,
    /// The items are given up for good. Their errors stay readable.
    Discard,
}

impl Change {
    /// Returns the verb: `retry` or `discard`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    /// Returns the statuses of the items that the change applies to.
    fn statuses(self) -> &'static [ItemStatus] {
        match self {
            Self::Retry => &ItemStatus::RETRYABLE,
            Self::Discard => &ItemStatus::DISCARDABLE,
        }
    }

    /// Refuses an empty filter: a change must say which items it means, and an empty filter would mean all items.
    fn check(self, filter: &ItemFilter) -> Result<(), Refusal> {
        let ItemFilter { ids, status, entity, search, older_than } = filter;
        let says_nothing =
            ids.is_none() && status.is_none() && entity.is_none() && search.is_none() && older_than.is_none();
        if says_nothing { Err(Refusal::EveryItem(self.as_str())) } else { Ok(()) }
    }
}

/// The operations of operators on queue items.
#[derive(Clone)]
pub(crate) struct Items(pub(crate) Ports);

impl Items {
    /// Returns one page of items, newest first.
    pub(crate) async fn list(
        &self,
        filter: &ItemFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<ItemView>> {
        self.0.queue.list(filter, limit, cursor).await
    }

    /// Returns one item with its payload and its attempts.
    pub(crate) async fn find(&self, id: i64) -> Result<ItemView, Refusal> {
        self.0.queue.get(ItemId(id)).await?.ok_or(Refusal::Unknown("queue item", id))
    }

    /// Changes one item. Returns 1, or 0 if the status of the item does not allow the change.
    pub(crate) async fn change_one(&self, change: Change, id: i64) -> Result<u64, Refusal> {
        let item = self.find(id).await?;
        self.change(change, &ItemFilter { ids: Some(vec![item.id]), ..ItemFilter::default() }).await
    }

    /// Changes the items that match the filter. Returns the number of changed items.
    pub(crate) async fn change(&self, change: Change, filter: &ItemFilter) -> Result<u64, Refusal> {
        change.check(filter)?;
        Ok(match change {
            Change::Retry => self.0.queue.retry(filter).await?,
            Change::Discard => self.0.queue.discard(filter).await?,
        })
    }

    /// Returns the number of items that the change would apply to.
    pub(crate) async fn count(&self, change: Change, filter: &ItemFilter) -> Result<usize, Refusal> {
        const PAGE: usize = 200;
        change.check(filter)?;
        let mut count = 0;
        for &status in change.statuses() {
            if filter.status.is_some_and(|wanted| wanted != status) {
                continue;
            }
            let filter = ItemFilter { status: Some(status), ..filter.clone() };
            let mut cursor = None;
            loop {
                let page = self.0.queue.list(&filter, PAGE, cursor.as_deref()).await?;
                count += page.items.len();
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(count)
    }

    /// Returns the paused entity types, each with the time since which it is paused.
    pub(crate) async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>> {
        self.0.queue.paused().await
    }

    /// Pauses (`true`) or resumes (`false`) the processing of an entity type in every process.
    pub(crate) async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()> {
        self.0.queue.set_paused(entity, paused).await
    }

    /// Blanks the bodies of events that ended longer than `age` ago. Returns their number.
    pub(crate) async fn blank(&self, age: Duration) -> Result<u64> {
        self.0.maintenance.blank(age).await
    }

    /// Returns the number of ended items and events that [`Items::prune`] would delete.
    pub(crate) async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        self.0.maintenance.prunable(age, dead_letters).await
    }

    /// Deletes ended items and events older than `age`. Dead letters are deleted only if `dead_letters` is set.
    /// Returns the number of deleted rows.
    pub(crate) async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        self.0.maintenance.prune(age, dead_letters).await
    }
}
