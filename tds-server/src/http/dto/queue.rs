//! Queue items.

use serde_json::Value;
use tds_core::queue::{AttemptView, Direction, ItemView, Outcome, Page};
use time::OffsetDateTime;

use super::{
    each,
    names::{OutcomeName, QueueStatus},
};

wire! {
    /// The number of changed items
    Affected from affected: u64 {
        affected: u64 = affected,
    }

    /// One page of items
    ItemPage from page: Page<ItemView> {
        items: Vec<QueueItem> = each(page.items),
        next_cursor: Option<String>,
    }

    /// A queue item; `payload` and `attempts` are present if one item was requested
    QueueItem from item: ItemView {
        id: i64 = item.id.0,
        inbox_event_id: Option<i64> = item.inbox_event_id.map(|id| id.0),
        entity_type: String = item.entity_type.to_string(),
        entity_id: Option<String>,
        zoho_entity_id: String = match item.direction {
            Direction::Inbound => item.record.to_string(),
            Direction::Outbound => String::new(),
        },
        /// Items with a lower number are processed first
        priority: i16,
        #[schema(inline, value_type = QueueStatus)]
        status: &'static str = item.status.as_str(),
        #[schema(inline, value_type = Option<OutcomeName>)]
        outcome: Option<&'static str> = item.outcome.map(Outcome::as_str),
        retry_count: u32,
        error_message: Option<String>,
        #[serde(with = "time::serde::rfc3339")]
        queued_at: OffsetDateTime,
        #[serde(with = "time::serde::rfc3339::option")]
        processing_started_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339::option")]
        processing_completed_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339::option")]
        run_at: Option<OffsetDateTime>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        attempts: Option<Vec<Attempt>> = item.attempts.map(each),
    }

    /// An attempt that has ended
    Attempt from attempt: AttemptView {
        attempt: u32,
        #[serde(with = "time::serde::rfc3339::option")]
        started_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339")]
        ended_at: OffsetDateTime,
        worker: Option<String>,
        result: &'static str = attempt.result.as_str(),
        error: Option<String>,
    }
}
