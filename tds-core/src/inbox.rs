//! The inbox: it stores every pushed body, byte for byte, before anything else is done with the body.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    closed_set::closed_set,
    error::Result,
    queue::{Outcome, Page, Work},
    record::{EntityType, RecordId, RecordKey},
};
pub use crate::{ids::InboxId, record::hash::event_id};

/// A pushed delivery whose authenticity was verified.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The identity of the delivery. A delivery with the same identity is a duplicate.
    pub event_id: String,
    /// The system that pushed the delivery, such as `zoho`.
    pub source_type: String,
    /// The entity type of the address to which the delivery was sent.
    pub entity_type: EntityType,
    /// The record's id at the source, if the body shows one.
    pub entity_id: Option<String>,
    /// The kind of change: `created`, `updated` or `deleted`, as the address says.
    pub event_type: String,
    /// The body, byte for byte.
    pub raw_payload: Vec<u8>,
    /// The headers of the request as a JSON object, without secrets.
    pub headers: serde_json::Value,
    /// The work that follows from the event.
    pub disposition: Disposition,
}

/// Returns the records that an event concerns, if they are not just the record of `entity_id`. For example, an
/// adjustment of stock names several records. Returns an empty vector if `entity_id` is the only record, or if
/// no work follows from the event.
#[must_use]
pub fn other_records(event: &NewEvent) -> Vec<RecordId> {
    let records: Vec<RecordId> = event.disposition.work().iter().map(|(key, _)| key.id.clone()).collect();
    match records.as_slice() {
        [one] if event.entity_id.as_deref() == Some(one.as_str()) => Vec::new(),
        _ => records,
    }
}

/// The disposition of an event: what follows from it.
#[derive(Clone, Debug)]
pub enum Disposition {
    /// Work for these records.
    Work(Vec<(RecordKey, Work)>),
    /// The event is authentic, but this installation has no handler for it. The event becomes `completed` with the
    /// outcome `ignored`; the text is the reason.
    Ignored(String),
    /// The body was not understood. The event becomes `failed` with this reason, and an operator has to look at it.
    Unparsed(String),
}

impl Disposition {
    /// Returns the work that follows.
    #[must_use]
    pub fn work(&self) -> &[(RecordKey, Work)] {
        if let Self::Work(work) = self { work } else { &[] }
    }

    /// Returns the status with which the event begins. Without work, the event ends at once.
    #[must_use]
    pub fn status(&self) -> EventStatus {
        match self {
            Self::Work(work) if !work.is_empty() => EventStatus::Pending,
            Self::Work(_) | Self::Ignored(_) => EventStatus::Completed,
            Self::Unparsed(_) => EventStatus::Failed,
        }
    }

    /// Returns the outcome with which the event begins.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        (self.status() == EventStatus::Completed).then_some(Outcome::Ignored)
    }

    /// Returns the reason for which no work follows.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Work(_) => None,
            Self::Ignored(reason) | Self::Unparsed(reason) => Some(reason),
        }
    }
}

closed_set! {
    /// The status of an inbox event. The status follows the items of the event.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum EventStatus {
        /// The event is stored, and its work is enqueued.
        Pending = "pending",
        /// A worker handles an item of the event.
        Processing = "processing",
        /// All items of the event have ended; the outcome says how.
        Completed = "completed",
        /// An item of the event became a dead letter, or the body was not understood.
        Failed = "failed",
    }
}

/// The result of accepting an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id of the event; for a duplicate, the id of the first delivery.
    pub id: InboxId,
    /// Whether an event with the same identity was stored before. Nothing was enqueued for such a duplicate, unless
    /// other deliveries that concern its records arrived in between.
    pub duplicate: bool,
}

/// The inbox, as the receiver of pushed events sees it.
///
/// # Contract
/// - An event with work is `pending` from its acceptance on. It is `processing` while a held claim of one of its items
///   is marked as processing.
/// - An event completes when its last item completes. Its outcome is the most informative outcome of its items.
/// - An event is `failed` while one of its items is a dead letter, or if its body was not understood.
/// - The body is stored byte for byte, together with the headers.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Stores the event and enqueues its work in one transaction.
    ///
    /// # Contract
    /// - When the method returns `Ok`, the event and its work are durable.
    /// - When the method returns an error, the same delivery may be accepted again without harm.
    /// - A duplicate changes nothing if it is the newest known delivery for each of its records.
    /// - If other deliveries for a record arrived after the first delivery of a duplicate, the record may have
    ///   returned to an earlier state. Such records are read from the source, and the stored event waits for these
    ///   reads.
    ///
    /// # Errors
    /// `Unavailable`: the store cannot accept the event now. Accept the delivery again later.
    async fn accept(&self, event: NewEvent) -> Result<Accepted>;
}

/// A selection of inbox events. The default filter selects all events.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only events with this status.
    pub status: Option<EventStatus>,
    /// Only events of this entity type.
    pub entity: Option<EntityType>,
    /// Only events with this text in the record id, the event id or the error. The text is taken literally; the case
    /// of letters is ignored.
    pub search: Option<String>,
    /// Only events that were received at least this long ago.
    pub older_than: Option<Duration>,
}

/// An inbox event, as operators see it.
#[derive(Clone, Debug)]
pub struct EventView {
    /// The id of the event.
    pub id: InboxId,
    /// The identity of the delivery.
    pub event_id: String,
    /// The system that pushed the delivery.
    pub source_type: String,
    /// The entity type of the address to which the delivery was sent.
    pub entity_type: EntityType,
    /// The record's id at the source.
    pub entity_id: Option<String>,
    /// The kind of change: `created`, `updated` or `deleted`.
    pub event_type: String,
    /// The status of the event.
    pub status: EventStatus,
    /// The outcome, if the event is completed.
    pub outcome: Option<Outcome>,
    /// The reason of a failure, or of the disposition `ignored`.
    pub error_message: Option<String>,
    /// When the event was received.
    pub received_at: OffsetDateTime,
    /// When the event ended.
    pub processed_at: Option<OffsetDateTime>,
    /// When the body was blanked; `None`: the body is as it was stored.
    pub blanked_at: Option<OffsetDateTime>,
    /// The headers of the request. Only [`InboxOperator::get_event`] fills this field.
    pub headers: Option<serde_json::Value>,
    /// The body. Only [`InboxOperator::get_event`] fills this field.
    pub raw_payload: Option<Vec<u8>>,
}

/// Counts of inbox events.
#[derive(Clone, Debug, Default)]
pub struct InboxStats {
    /// The number of all events.
    pub total: i64,
    /// The number of events by status.
    pub by_status: BTreeMap<EventStatus, i64>,
    /// The number of events by entity type.
    pub by_entity: BTreeMap<EntityType, i64>,
    /// Counts of the events received in the last 24 hours.
    pub last_24h: LastDay,
    /// When the newest event was received.
    pub last_received_at: Option<OffsetDateTime>,
}

/// Counts of the inbox events received in the last 24 hours.
#[derive(Clone, Debug, Default)]
pub struct LastDay {
    /// The number of all events.
    pub total: i64,
    /// The number of completed events.
    pub completed: i64,
    /// The number of failed events.
    pub failed: i64,
}

impl InboxStats {
    /// Counts events of one entity type and status, some of them received in the last 24 hours.
    pub fn add(&mut self, entity: EntityType, status: EventStatus, events: i64, last_24h: i64) {
        self.total += events;
        *self.by_status.entry(status).or_default() += events;
        *self.by_entity.entry(entity).or_default() += events;
        self.last_24h.total += last_24h;
        match status {
            EventStatus::Completed => self.last_24h.completed += last_24h,
            EventStatus::Failed => self.last_24h.failed += last_24h,
            EventStatus::Pending | EventStatus::Processing => {}
        }
    }
}

impl LastDay {
    /// Returns the share of `completed` in `total`, in percent with two decimals; `None` if there are no events.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
    pub fn success_rate_percent(&self) -> Option<f64> {
        (self.total > 0).then(|| (self.completed as f64 / self.total as f64 * 10_000.0).round() / 100.0)
    }
}

/// The numbers of the events of some time.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// The time since the first of these events was received.
    pub span: Duration,
    /// The number of events by entity type.
    pub by_entity: BTreeMap<EntityType, i64>,
}

/// The inbox, as operators see it.
///
/// # Errors
/// Unless a method documents other errors, it fails only if the store cannot be reached.
#[async_trait]
pub trait InboxOperator: Send + Sync {
    /// Returns one page of events, newest first. `cursor` is the [`Page::next_cursor`] of the previous page.
    ///
    /// # Errors
    /// `Invalid`: the cursor was not returned with a page.
    async fn list_events(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>>;

    /// Returns one event with its headers and its body.
    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>>;

    /// Enqueues the work of an event once more. The event becomes pending and follows its items again. A disposition
    /// without work ends the event at once.
    ///
    /// # Errors
    /// `NotFound`: there is no such event.
    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()>;

    /// Returns the numbers of events that were received in this time before now, by entity type.
    async fn deliveries(&self, within: Duration) -> Result<Deliveries>;

    /// Returns counts of the inbox.
    async fn inbox_stats(&self) -> Result<InboxStats>;
}
