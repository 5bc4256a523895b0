//! The end of a claim.

use std::{borrow::Cow, time::Duration};

use time::OffsetDateTime;

use super::{
    later,
    state::{Item, ItemClaim, State},
};
use crate::queue::{
    AttemptResult, AttemptView, ItemId, ItemStatus, NewItem, Outcome, Settle, Settlement, Waiter, WorkKey,
};

/// The effect of one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Fenced,
    Ended,
    Again,
}

impl State {
    pub(super) fn settle_one(&mut self, settlement: Settlement, now: OffsetDateTime) -> Effect {
        let id = settlement.lease.id;
        let taken = self.with_item(id, |item| {
            if item.claim.as_ref().is_none_or(|claim| claim.token != settlement.lease.token) {
                return None;
            }
            let claim = item.claim.take()?;
            let (result, error) = settlement.settle.result();
            item.push_attempt(&claim, result, error.map(Cow::into_owned), now);
            item.lost_leases = 0;
            let hurried = std::mem::take(&mut item.hurried);
            Some((claim, item.generation > settlement.generation, hurried))
        });
        let Some((claim, has_new_work, hurried)) = taken.flatten() else { return Effect::Fenced };
        // Work that is more urgent than the claim was does not wait for the claim's delay.
        let due = |after| if hurried { now } else { later(now, after) };
        if has_new_work {
            self.settle_with_new_work(id, &settlement, &claim, now);
            return Effect::Again;
        }
        match settlement.settle {
            Settle::Complete(outcome) => self.succeed(id, outcome, &claim, now),
            Settle::Retry { after, error } => {
                self.wait_again(id, ItemStatus::Failed, due(after), now, |item| {
                    item.retry_count += 1;
                    item.error = Some(error);
                });
            }
            Settle::Release { after, fetch, reason } => {
                self.wait_again(id, ItemStatus::Pending, due(after), now, |item| {
                    item.drop_payload(fetch);
                    item.error = reason.or_else(|| item.error.take());
                });
            }
            Settle::DeadLetter { error } => self.dead_letter(id, &error, now),
            Settle::Redirect { to, work } => self.redirect(id, to, work, &claim, now),
        }
        Effect::Ended
    }

    /// Settles an item to which work was added during the claim. The item becomes pending whatever the settlement
    /// is, and its attempts are counted from zero again.
    fn settle_with_new_work(
        &mut self,
        id: ItemId,
        settlement: &Settlement,
        claim: &ItemClaim,
        now: OffsetDateTime,
    ) {
        if let Settle::Complete(outcome) = settlement.settle {
            if let Some(key) = self.items.get(&id).map(|item| item.key.clone()) {
                self.resolve_dead_letters(&key, now);
            }
            self.notify(id, settlement.generation, claim.source_event, outcome, now);
        }
        let drop_payload = matches!(settlement.settle, Settle::Release { fetch: true, .. });
        self.wait_again(id, ItemStatus::Pending, now, now, |item| {
            item.retry_count = 0;
            item.drop_payload(drop_payload);
            item.queued_at = item.new_work_since.unwrap_or(item.queued_at);
        });
    }

    fn succeed(&mut self, id: ItemId, outcome: Outcome, claim: &ItemClaim, now: OffsetDateTime) {
        // The older dead letters are resolved first: a run that ends with this item is then not held up by a dead
        // letter of the same record.
        if let Some(key) = self.items.get(&id).map(|item| item.key.clone()) {
            self.resolve_dead_letters(&key, now);
        }
        self.archive(id, outcome, claim.source_event, now);
    }

    fn wait_again(
        &mut self,
        id: ItemId,
        status: ItemStatus,
        run_at: OffsetDateTime,
        now: OffsetDateTime,
        change: impl FnOnce(&mut Item),
    ) {
        self.with_item(id, |item| {
            item.status = status;
            item.run_at = run_at;
            change(item);
            item.new_work_since = None;
        });
        self.refresh_waiters(id, now);
    }

    /// Updates the events of an item when the item is marked `processing`, or stops being claimed.
    pub(super) fn refresh_waiters(&mut self, id: ItemId, now: OffsetDateTime) {
        let waiters = self.items.get(&id).map(|item| item.waiters.clone()).unwrap_or_default();
        for entry in waiters {
            if let Waiter::Event(event) = entry.waiter {
                self.refresh_event(event, now);
            }
        }
    }

    /// Moves the work, the events and the runs to the same record of another entity type.
    fn redirect(
        &mut self,
        id: ItemId,
        to: crate::record::EntityType,
        work: crate::queue::Work,
        claim: &ItemClaim,
        now: OffsetDateTime,
    ) {
        let Some(item) = self.items.get(&id) else { return };
        if to == item.key.entity {
            self.wait_again(id, ItemStatus::Pending, now, now, |item| item.drop_payload(true));
            return;
        }
        let waiters = item.waiters.clone();
        let waiter = claim.source_event.map_or(Waiter::Operator, Waiter::Event);
        let key = WorkKey { entity: to, ..item.key.clone() };
        // The source event need not wait any more. The waiters move to the new item.
        let target = self.place(NewItem { key, lane: item.lane, work, waiter }, now);
        for entry in waiters {
            self.move_waiter(entry, id, target, now);
        }
        self.archive(id, Outcome::Superseded, None, now);
    }
}

impl Item {
    fn drop_payload(&mut self, drop: bool) {
        if drop {
            self.work.payload = None;
        }
    }

    /// Records that the lease expired. A lost lease costs no attempt, and is counted separately.
    pub(super) fn lose_claim(&mut self, claim: &ItemClaim, now: OffsetDateTime) {
        self.lost_leases += 1;
        let error = "the worker died or stopped renewing its lease".to_owned();
        self.push_attempt(claim, AttemptResult::LeaseLost, Some(error), now);
    }

    fn push_attempt(
        &mut self,
        claim: &ItemClaim,
        result: AttemptResult,
        error: Option<String>,
        now: OffsetDateTime,
    ) {
        let attempt = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.attempts.push(AttemptView {
            attempt,
            started_at: self.started_at,
            ended_at: now,
            worker: Some(claim.worker.0.clone()),
            result,
            error,
        });
    }

    /// Sets the end of the lease of the current claim.
    pub(super) fn lease_until(&mut self, now: OffsetDateTime, lease: Duration) {
        if let Some(claim) = &mut self.claim {
            claim.expires_at = later(now, lease);
        }
    }
}
