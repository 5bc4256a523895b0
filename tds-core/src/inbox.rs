//! The inbox: every pushed body, byte for byte, before anything else is done with it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    error::Result,
    queue::{Page, Work},
    record::{EntityType, RecordId, RecordKey},
};
pub use crate::{ids::InboxId, record::hash::event_id};

/// A pushed body that proved authentic.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Identity of the delivery; the same again is a duplicate.
    pub event_id: String,
    /// Who pushed it, such as `zoho`.
    pub source_type: String,
    /// The entity type of the address it came to.
    pub entity_type: EntityType,
    /// The record's id at the source, where one was found.
    pub entity_id: Option<String>,
    /// `created`, `updated` or `deleted`, as the address says.
    pub event_type: String,
    /// The body.
    pub raw_payload: Vec<u8>,
    /// The request's headers, secrets removed, as a JSON object.
    pub headers: serde_json::Value,
    /// What follows from it.
    pub disposition: Disposition,
}

/// The records that an event is about, where that is not just the one of its id: an adjustment of stock names several.
#[must_use]
pub fn other_records(event: &NewEvent) -> Vec<RecordId> {
    let Disposition::Work(work) = &event.disposition else { return Vec::new() };
    let records: Vec<RecordId> = work.iter().map(|(key, _)| key.id.clone()).collect();
    match records.as_slice() {
        [one] if event.entity_id.as_deref() == Some(one.as_str()) => Vec::new(),
        _ => records,
    }
}

/// What follows from an event.
#[derive(Clone, Debug)]
pub enum Disposition {
    /// These records are to be looked at.
    Work(Vec<(RecordKey, Work)>),
    /// Authentic, and nothing here handles it: `completed`, outcome `ignored`.
    Ignored(String),
    /// Not understood: `failed` with this reason, for a person.
    Unparsed(String),
}

/// Status of an inbox event. It follows its queue items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventStatus {
    /// Stored and queued.
    Pending,
    /// In a worker's hands.
    Processing,
    /// At its end; the outcome says more.
    Completed,
    /// Its item became a dead letter, or the body was not understood.
    Failed,
}

impl EventStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Completed, Self::Failed];

    /// The name as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// What was done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its row; for a duplicate, the row of the first delivery.
    pub id: InboxId,
    /// True: it was there already. Nothing was queued, unless other deliveries of its record came in between.
    pub duplicate: bool,
}

/// Takes pushed bodies.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Stores the event and queues its work in one transaction. When it returns `Ok`, both are durable;
    /// when it fails, the same delivery may be tried again without harm. A delivery that is there already
    /// changes nothing where it is the newest one known of its records. Where others came in between, a state may
    /// have come back: these records are read, and the row that is there waits for that. `Err` of kind `Unavailable`
    /// means: not now, try again.
    async fn accept(&self, event: NewEvent) -> Result<Accepted>;
}

/// Which events an operator means. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this status.
    pub status: Option<EventStatus>,
    /// Only of this entity type.
    pub entity: Option<EntityType>,
    /// Only with this text in the record id, event id or error, taken literally, without regard to case.
    pub search: Option<String>,
    /// Only received at least this long ago.
    pub older_than: Option<std::time::Duration>,
}

/// An inbox event as operators see it.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Its id.
    pub id: InboxId,
    /// Identity of the delivery.
    pub event_id: String,
    /// Who pushed it.
    pub source_type: String,
    /// Kind of record, by the address.
    pub entity_type: EntityType,
    /// The record's id at the source.
    pub entity_id: Option<String>,
    /// `created`, `updated` or `deleted`.
    pub event_type: String,
    /// Where it stands.
    pub status: EventStatus,
    /// How it ended.
    pub outcome: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// When it came.
    pub received_at: OffsetDateTime,
    /// When it ended.
    pub processed_at: Option<OffsetDateTime>,
    /// The request's headers; only where one event is asked for.
    pub headers: Option<serde_json::Value>,
    /// The body; only where one event is asked for.
    pub raw_payload: Option<Vec<u8>>,
}

/// Counts of the inbox.
#[derive(Clone, Debug, Default)]
pub struct InboxStats {
    /// All events.
    pub total: i64,
    /// By status.
    pub by_status: BTreeMap<String, i64>,
    /// By entity type.
    pub by_entity: BTreeMap<EntityType, i64>,
    /// The last 24 hours.
    pub last_24h: LastDay,
    /// When the newest came.
    pub last_received_at: Option<OffsetDateTime>,
}

/// Events of the last 24 hours.
#[derive(Clone, Debug, Default)]
pub struct LastDay {
    /// All.
    pub total: i64,
    /// Ended well.
    pub completed: i64,
    /// Ended badly.
    pub failed: i64,
    /// Share of `completed` in `total`, two decimals; `None` without events.
    pub success_rate_percent: Option<f64>,
}

/// The inbox, from the operators' side.
#[async_trait]
pub trait InboxOperator: Send + Sync {
    /// One page, newest first.
    async fn list_events(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>>;

    /// One event with headers and body.
    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>>;

    /// Queues an event's work once more. The event is pending again and follows its items.
    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()>;

    /// Counts.
    async fn inbox_stats(&self) -> Result<InboxStats>;
}
