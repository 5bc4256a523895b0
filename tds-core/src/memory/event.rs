//! Inbox events: their status follows from their items.

use super::state::{Progress, State};
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
        let (mut waits, mut in_work, mut error, mut best) = (false, false, None, None::<Outcome>);
        for (item, progress) in &event.items {
            match progress {
                Progress::Open => {
                    waits = true;
                    let claim = self.items.get(item).and_then(|item| item.claim.as_ref());
                    in_work |= claim.is_some_and(|claim| claim.shown);
                }
                Progress::Dead(text) => error = error.or(Some(text.clone())),
                Progress::Ended(outcome) => best = Some(best.unwrap_or(*outcome).min(*outcome)),
            }
        }
        let (status, outcome) = match (&error, waits) {
            (Some(_), _) => (EventStatus::Failed, None),
            (None, true) if in_work => (EventStatus::Processing, None),
            (None, true) => (EventStatus::Pending, None),
            // The most informative outcome is the least.
            (None, false) => (EventStatus::Completed, best),
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
