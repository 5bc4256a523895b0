//! The history of a record.

use serde_json::Value;
use tds_core::{
    guard::VerdictKind,
    history::{History, HistoryEntry, KnownRecord},
    mirror::Operation,
    queue::Outcome,
    record::{Interval, Observed},
};
use time::OffsetDateTime;

use super::{
    each,
    names::{HappeningName, OperationName, OriginName, OutcomeName, VerdictName},
};

wire! {
    /// Everything that happened to a record, as far as it is still known
    RecordHistory from history: History {
        record: RecordState = history.record.into(),
        /// What happened, oldest first
        events: Vec<RecordEvent> = each(history.entries),
        /// Whether there are older events
        has_older: bool,
    }

    /// What is known of a record now
    RecordState from known: KnownRecord {
        entity_type: String = known.key.entity.to_string(),
        zoho_id: String = known.key.id.to_string(),
        /// The id of the head row
        local_id: Option<i64>,
        /// The time of the last change that was accepted, as Zoho states it
        #[serde(with = "time::serde::rfc3339::option")]
        version: Option<OffsetDateTime> = known.state.as_ref().and_then(|state| state.version),
        /// Between this time and `observed_until`, Zoho had the accepted state
        #[serde(with = "time::serde::rfc3339::option")]
        observed_from: Option<OffsetDateTime> = seen(&known).map(|seen| seen.began),
        #[serde(with = "time::serde::rfc3339::option")]
        observed_until: Option<OffsetDateTime> = seen(&known).map(|seen| seen.ended),
        /// Whether the accepted state was observed in a webhook and not by a call
        pushed: bool = known.state.as_ref().is_some_and(|state| matches!(state.observed, Observed::Push(_))),
        /// When the whole record was last seen
        #[serde(with = "time::serde::rfc3339::option")]
        detail_seen_at: Option<OffsetDateTime> = known.state.as_ref().and_then(|state| state.detail_seen),
        /// When the values that Zoho derives were last seen
        #[serde(with = "time::serde::rfc3339::option")]
        volatile_seen_at: Option<OffsetDateTime> = known.state.as_ref().and_then(|state| state.volatile_seen),
        /// Why a read that was not plausible waits to be confirmed
        suspect: Option<String> =
            known.state.as_ref().and_then(|state| state.suspect.as_ref()).map(|suspect| suspect.reason.to_string()),
        #[serde(with = "time::serde::rfc3339::option")]
        first_seen_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339::option")]
        deleted_at: Option<OffsetDateTime>,
        /// The columns of the head row that have a simple value
        #[schema(value_type = Option<BTreeMap<String, Value>>)]
        row: Option<Value> = known.row.map(Value::Object),
    }

    /// Something that happened to a record
    RecordEvent from entry: HistoryEntry {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        #[schema(inline, value_type = OriginName)]
        kind: &'static str = entry.origin.as_str(),
        #[schema(inline, value_type = HappeningName)]
        action: &'static str = entry.happening.as_str(),
        /// The version that the read shows
        #[serde(with = "time::serde::rfc3339::option")]
        version: Option<OffsetDateTime>,
        /// Between this time and `observed_until`, Zoho had the state that the read shows
        #[serde(with = "time::serde::rfc3339::option")]
        observed_from: Option<OffsetDateTime> = entry.observed.map(|seen| seen.began),
        #[serde(with = "time::serde::rfc3339::option")]
        observed_until: Option<OffsetDateTime> = entry.observed.map(|seen| seen.ended),
        #[schema(inline, value_type = Option<VerdictName>)]
        verdict: Option<&'static str> = entry.verdict.map(VerdictKind::as_str),
        #[schema(inline, value_type = Option<OutcomeName>)]
        outcome: Option<&'static str> = entry.outcome.map(Outcome::as_str),
        #[schema(inline, value_type = Option<OperationName>)]
        operation: Option<&'static str> = entry.operation.map(Operation::as_str),
        /// The columns and child tables that changed; empty for a new record
        changed: Vec<String>,
        inbox_event_id: Option<i64> = entry.inbox_event.map(|id| id.0),
        /// The run that listed the record
        run_id: Option<i64> = entry.run.map(|id| id.0),
        /// The queue item
        item_id: Option<i64> = entry.item.map(|id| id.0),
        /// An error or a reason
        detail: Option<String>,
    }
}

fn seen(known: &KnownRecord) -> Option<Interval> {
    known.state.as_ref().map(|state| state.observed.interval())
}
