//! The views for operators.

use super::state::{Event, Item, RunState, State};
use crate::{
    error::Result,
    inbox::{EventFilter, EventView, InboxId},
    queue::{Direction, ItemFilter, ItemView, Page},
    runs::{Run, RunId, RunStatus},
};

use time::OffsetDateTime;

impl Item {
    pub(super) fn view(&self) -> ItemView {
        ItemView {
            id: self.id,
            inbox_event_id: self.source_event,
            entity_type: self.key.entity.clone(),
            entity_id: (self.key.direction == Direction::Outbound).then(|| self.key.id.to_string()),
            direction: self.key.direction,
            record: self.key.id.clone(),
            priority: self.lane.priority(),
            status: self.status,
            outcome: self.outcome,
            retry_count: self.retry_count,
            error_message: self.error.clone(),
            queued_at: self.queued_at,
            processing_started_at: self.started_at,
            processing_completed_at: self.ended_at,
            run_at: self.ended_at.is_none().then_some(self.run_at),
            payload: None,
            attempts: None,
        }
    }

    /// Returns the view with payload and attempts. A payload that is not valid JSON is shown as text.
    pub(super) fn whole_view(&self) -> ItemView {
        let payload = self.work.payload.as_ref().map(|payload| {
            let text = payload.json.as_str();
            serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
        });
        ItemView { payload, attempts: Some(self.attempts.clone()), ..self.view() }
    }

    pub(super) fn matches(&self, filter: &ItemFilter, now: OffsetDateTime) -> bool {
        let texts = [Some(self.key.id.as_str()), self.error.as_deref()];
        filter.ids.as_ref().is_none_or(|ids| ids.contains(&self.id))
            && filter.status.is_none_or(|status| status == self.status)
            && filter.entity.as_ref().is_none_or(|entity| *entity == self.key.entity)
            && filter.search.as_ref().is_none_or(|search| contains(&texts, search))
            && filter.older_than.is_none_or(|age| self.queued_at <= super::earlier(now, age))
    }
}

impl Event {
    pub(super) fn view(&self, id: InboxId) -> EventView {
        EventView {
            id,
            event_id: self.event_id.clone(),
            source_type: self.source_type.clone(),
            entity_type: self.entity_type.clone(),
            entity_id: self.entity_id.clone(),
            event_type: self.event_type.clone(),
            status: self.status,
            outcome: self.outcome,
            error_message: self.error.clone(),
            received_at: self.received_at,
            processed_at: self.processed_at,
            headers: None,
            raw_payload: None,
        }
    }

    pub(super) fn matches(&self, filter: &EventFilter, now: OffsetDateTime) -> bool {
        let texts = [self.entity_id.as_deref(), Some(self.event_id.as_str()), self.error.as_deref()];
        filter.status.is_none_or(|status| status == self.status)
            && filter.entity.as_ref().is_none_or(|entity| *entity == self.entity_type)
            && filter.search.as_ref().is_none_or(|search| contains(&texts, search))
            && filter.older_than.is_none_or(|age| self.received_at <= super::earlier(now, age))
    }
}

impl RunState {
    pub(super) fn total(&self) -> i64 {
        count(self.listed.len())
    }

    pub(super) fn view(&self, id: RunId, state: &State) -> Run {
        Run {
            id,
            run_type: self.request.run_type,
            entity_type: self.request.entity.clone(),
            source_type: self.request.source_type.clone(),
            status: self.status,
            total_items: self.total(),
            processed_items: self.processed,
            failed_items: self.failed,
            unchanged_items: self.unchanged,
            pages: self.checkpoint.pages,
            plan: self.plan.clone(),
            calls: self.calls,
            listing_done: self.listing_done,
            expected_items: self.expected(id, state),
            since: self.request.since,
            created_at: self.created_at,
            started_at: self.started_at,
            completed_at: self.completed_at,
            error_log: self.error_log.clone(),
            requested_by: Some(self.request.requested_by.clone()),
            target_database: Some("memory".to_owned()),
            held_deletions: count(self.held.len()),
        }
    }

    /// Returns the number of records that the last run of the same type and entity type listed, among runs that
    /// read their list to the end.
    fn expected(&self, id: RunId, state: &State) -> Option<i64> {
        let is_of_the_kind = |run: &RunState| {
            matches!(run.status, RunStatus::Completed | RunStatus::CompletedWithErrors)
                && run.request.entity == self.request.entity
                && run.request.run_type == self.request.run_type
        };
        let before = state.runs.range(..id).rev();
        before.map(|(_, run)| run).find(|run| is_of_the_kind(run)).map(Self::total)
    }
}

/// Returns a number of things as the columns store it.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Cuts one page out of rows that are ordered newest first and start below the cursor.
pub(super) fn page<T>(mut rows: impl Iterator<Item = (i64, T)>, limit: usize) -> Page<T> {
    let mut items = Vec::new();
    let mut last = None;
    for (id, row) in rows.by_ref().take(limit) {
        items.push(row);
        last = Some(id.to_string());
    }
    let next_cursor = rows.next().and(last);
    Page { items, next_cursor }
}

/// Returns the id below which a page begins.
pub(super) fn below(cursor: Option<&str>) -> Result<i64> {
    let Some(text) = cursor else { return Ok(i64::MAX) };
    text.parse().map_err(|_| crate::error::Error::invalid(format!("{text:?} is not a cursor of this list")))
}

fn contains(texts: &[Option<&str>], search: &str) -> bool {
    let search = search.to_lowercase();
    texts.iter().flatten().any(|text| text.to_lowercase().contains(&search))
}
