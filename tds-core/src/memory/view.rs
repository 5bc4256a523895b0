//! The views for operators.

use super::state::{Event, Item, RunState, State};
use crate::{
    error::Result,
    inbox::{EventFilter, EventView},
    queue::{Direction, ItemFilter, ItemStatus, ItemView, Page},
    runs::{Run, RunStatus},
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
            work: None,
            attempts: None,
        }
    }

    /// Returns the view with payload and attempts. A payload that is not valid JSON is shown as text.
    pub(super) fn whole_view(&self) -> ItemView {
        let payload = self.work.payload.as_ref().map(|payload| {
            let text = payload.json.as_str();
            serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
        });
        let work = self.ended_at.is_none() || self.status == ItemStatus::DeadLetter;
        let work = work.then(|| self.work.clone());
        ItemView { payload, work, attempts: Some(self.attempts.clone()), ..self.view() }
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
    pub(super) fn matches(&self, filter: &EventFilter, now: OffsetDateTime) -> bool {
        let EventView { entity_id, event_id, error_message, .. } = &self.row;
        let texts = [entity_id.as_deref(), Some(event_id.as_str()), error_message.as_deref()];
        filter.status.is_none_or(|status| status == self.row.status)
            && filter.entity.as_ref().is_none_or(|entity| *entity == self.row.entity_type)
            && filter.search.as_ref().is_none_or(|search| contains(&texts, search))
            && filter.older_than.is_none_or(|age| self.row.received_at <= super::earlier(now, age))
    }
}

impl RunState {
    pub(super) fn total(&self) -> i64 {
        count(self.listed.len())
    }

    pub(super) fn view(&self, state: &State) -> Run {
        Run {
            total_items: self.total(),
            pages: self.checkpoint.pages,
            expected_items: self.expected(state),
            held_deletions: count(self.held.len()),
            ..self.row.clone()
        }
    }

    /// Returns the number of records that the last run of the same type and entity type listed, among runs without a
    /// selection that read their list to the end.
    fn expected(&self, state: &State) -> Option<i64> {
        if self.row.selection.is_some() {
            return None;
        }
        let is_of_the_kind = |RunState { row, .. }: &RunState| {
            matches!(row.status, RunStatus::Completed | RunStatus::CompletedWithErrors)
                && row.entity_type == self.row.entity_type
                && row.run_type == self.row.run_type
                && row.selection.is_none()
        };
        let before = state.runs.range(..self.row.id).rev();
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
