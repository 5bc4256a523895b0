//! The end of a claim.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::{
    later,
    state::{Item, ItemClaim, State},
};
use crate::{
    queue::{
        AttemptResult, AttemptView, ItemId, ItemStatus, NewItem, Outcome, Settle, Settled, Settlement,
        Waiter, Work, WorkKey,
    },
    record::EntityType,
};

impl State {
    /// Settles a claim, and counts the effect of the settlement.
    pub(super) fn settle_one(&mut self, settlement: Settlement, settled: &mut Settled) {
        let (id, now) = (settlement.lease.id, self.now.0);
        let taken = self.with_item(id, |item| {
            let claim = item.claim.take_if(|claim| claim.token == settlement.lease.token)?;
            if let Some((result, error)) = settlement.settle.attempt(item.retry_count) {
                item.push_attempt(&claim, result, error.map(Cow::into_owned), now);
            }
            item.lost_leases = 0;
            let hurried = std::mem::take(&mut item.hurried);
            Some((claim, item.generation > settlement.generation, hurried))
        });
        let Some((claim, has_new_work, hurried)) = taken.flatten() else {
            settled.fenced += 1;
            return;
        };
        settled.accepted += 1;
        if has_new_work {
            settled.again += 1;
            self.settle_with_new_work(id, &settlement, &claim);
            return;
        }
        // Work that is more urgent than the claim was does not wait for the claim's delay.
        let due = |after| if hurried { now } else { later(now, after) };
        match settlement.settle {
            Settle::Complete(outcome) => {
                if outcome == Outcome::Ignored {
                    self.blank_named_of(id);
                }
                self.with_item(id, |item| item.show_success(&claim, now));
                // The older dead letters are resolved first: a run that ends with this item is then not held up by a
                // dead letter of the same record.
                self.resolve_dead_letters(id);
                self.archive(id, outcome, claim.source_event);
            }
            Settle::Retry { after, error } => {
                self.wait_again(id, ItemStatus::Failed, due(after), |item| {
                    item.retry_count += 1;
                    item.error = Some(error);
                });
            }
            Settle::Release { after, fetch, reason } => {
                self.wait_again(id, ItemStatus::Pending, due(after), |item| {
                    item.work.payload.take_if(|_| fetch);
                    item.error = reason.or_else(|| item.error.take());
                });
            }
            Settle::DeadLetter { error } => self.dead_letter(id, &error),
            Settle::Redirect { to, work } => self.redirect(id, to, work, &claim),
        }
    }

    /// Settles an item to which work was added during the claim. The item becomes pending whatever the settlement
    /// is, and its attempts are counted from zero again.
    fn settle_with_new_work(&mut self, id: ItemId, settlement: &Settlement, claim: &ItemClaim) {
        if let Settle::Complete(outcome) = settlement.settle {
            self.resolve_dead_letters(id);
            self.notify(id, settlement.generation, claim.source_event, outcome);
        }
        let drop_payload = matches!(settlement.settle, Settle::Release { fetch: true, .. });
        // The work that arrived may wait for other work.
        let due = self.items.get(&id).map_or(self.now.0, |item| item.run_at.max(self.now.0));
        self.wait_again(id, ItemStatus::Pending, due, |item| {
            item.retry_count = 0;
            item.work.payload.take_if(|_| drop_payload);
            item.queued_at = item.new_work_since.unwrap_or(item.queued_at);
        });
    }

    fn wait_again(
        &mut self,
        id: ItemId,
        status: ItemStatus,
        run_at: OffsetDateTime,
        change: impl FnOnce(&mut Item),
    ) {
        self.with_item(id, |item| {
            item.status = status;
            item.run_at = run_at;
            change(item);
            item.new_work_since = None;
        });
        self.refresh_waiters(id);
    }

    /// Updates the events of an item when the item is marked `processing`, or stops being claimed.
    pub(super) fn refresh_waiters(&mut self, id: ItemId) {
        let waiters = self.items.get(&id).map(|item| item.waiters.clone()).unwrap_or_default();
        for entry in waiters {
            if let Waiter::Event(event) = entry.waiter {
                self.refresh_event(event);
            }
        }
    }

    /// Moves the work, the events and the runs to the same record of another entity type.
    fn redirect(&mut self, id: ItemId, to: EntityType, work: Work, claim: &ItemClaim) {
        let Some(item) = self.items.get(&id) else { return };
        if to == item.key.entity {
            self.wait_again(id, ItemStatus::Pending, self.now.0, |item| item.work.payload = None);
            return;
        }
        let waiters = item.waiters.clone();
        let waiter = claim.source_event.map_or(Waiter::Operator, Waiter::Event);
        let new = NewItem { key: WorkKey { entity: to, ..item.key.clone() }, lane: item.lane, work, waiter };
        // The source event need not wait any more. The waiters move to the new item.
        let target = self.place(new);
        for entry in waiters {
            self.move_waiter(entry, id, target);
        }
        self.archive(id, Outcome::Superseded, None);
    }
}

impl Item {
    /// Adds the success that ended the item, if no attempt shows how the item ended. See [`Settle::attempt`].
    fn show_success(&mut self, claim: &ItemClaim, now: OffsetDateTime) {
        let ends = |attempt: &AttemptView| {
            matches!(attempt.result, AttemptResult::Completed | AttemptResult::DeadLetter)
        };
        if self.retry_count == 0 && !self.attempts.iter().any(ends) {
            self.push_attempt(claim, AttemptResult::Completed, None, now);
        }
    }

    /// Keeps an attempt that has ended.
    pub(super) fn push_attempt(
        &mut self,
        claim: &ItemClaim,
        result: AttemptResult,
        error: Option<String>,
        now: OffsetDateTime,
    ) {
        self.attempts.push(AttemptView {
            attempt: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1),
            started_at: self.started_at,
            ended_at: now,
            worker: Some(claim.worker.0.clone()),
            result,
            error,
        });
    }
}
