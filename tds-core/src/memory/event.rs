//! Inbox events: their status follows from their items.

use super::state::{Event, Progress, State};
use crate::{
    inbox::{EventStatus, InboxId},
    queue::{ItemId, Outcome},
};

impl State {
    /// Records the progress of an event's item, and updates the status of the event.
    pub(super) fn event_progress(&mut self, id: InboxId, item: ItemId, progress: Progress) {
        if let Some(event) = self.events.get_mut(&id) {
            event.items.insert(item, progress);
        }
        self.refresh_event(id);
    }

    /// Removes an item from the event.
    pub(super) fn event_leaves(&mut self, id: InboxId, item: ItemId) {
        if let Some(event) = self.events.get_mut(&id) {
            event.items.remove(&item);
        }
    }

    /// Derives the status of the event from its items. An event without items keeps its status.
    pub(super) fn refresh_event(&mut self, id: InboxId) {
        let Some(event) = self.events.get_mut(&id) else { return };
        if event.items.is_empty() {
            return;
        }
        let open = |(_, progress): &(&ItemId, &Progress)| **progress == Progress::Open;
        let claim = |(item, _): (&ItemId, &Progress)| self.items.get(item)?.claim.as_ref();
        let in_work = event.items.iter().filter(open).filter_map(claim).any(|claim| claim.shown);
        let error = event.items.values().find_map(|progress| match progress {
            Progress::Dead(error) => Some(error.clone()),
            Progress::Open | Progress::Ended(_) => None,
        });
        let waits = event.items.values().any(|progress| *progress == Progress::Open);
        let (status, outcome) = match (&error, waits) {
            (Some(_), _) => (EventStatus::Failed, None),
            (None, true) if in_work => (EventStatus::Processing, None),
            (None, true) => (EventStatus::Pending, None),
            (None, false) => (EventStatus::Completed, best_outcome(event)),
        };
        event.row.status = status;
        event.row.outcome = outcome;
        event.row.error_message = error;
        event.row.processed_at = match status {
            EventStatus::Completed | EventStatus::Failed => event.row.processed_at.or(Some(self.now.0)),
            EventStatus::Pending | EventStatus::Processing => None,
        };
    }
}

/// Returns the outcome, among those of several items, that says most about what the event changed.
fn best_outcome(event: &Event) -> Option<Outcome> {
    let outcome = |progress: &Progress| match progress {
        Progress::Ended(outcome) => Some(*outcome),
        Progress::Open | Progress::Dead(_) => None,
    };
    event.items.values().filter_map(outcome).min()
}
