//! The life of an item: it is enqueued, folded, ended, dead-lettered and enqueued again.

use time::OffsetDateTime;

use super::{
    later,
    state::{Item, Progress, State, WaiterEntry},
};
use crate::{
    inbox::InboxId,
    mirror::DelayedItem,
    queue::{ItemId, ItemStatus, NewItem, Outcome, Waiter, WorkKey, fold},
};

impl Item {
    fn due_key(&self) -> (i16, OffsetDateTime, ItemId) {
        (self.lane.priority(), self.run_at, self.id)
    }
}

impl State {
    /// Adds work, or folds the work into the record's live item. The waiter then waits for that item.
    pub(super) fn enqueue(&mut self, new: NewItem) {
        let waiter = new.waiter;
        let id = self.place(new);
        self.attach(id, waiter);
    }

    /// Adds work, or folds the work into the record's live item. This adds no waiter.
    pub(super) fn place(&mut self, new: NewItem) -> ItemId {
        let now = self.now.0;
        self.place_at(new, now, now)
    }

    /// Adds work that is not due at once.
    pub(super) fn place_later(&mut self, new: DelayedItem) {
        let now = self.now.0;
        let due = OffsetDateTime::from_unix_timestamp_nanos(new.due(now.unix_timestamp_nanos()));
        let waiter = new.item.waiter;
        let id = self.place_at(new.item, later(now, new.delay), due.unwrap_or(now));
        self.attach(id, waiter);
    }

    /// Adds work that counts as enqueued at a time, and that is due at another.
    fn place_at(&mut self, new: NewItem, queued_at: OffsetDateTime, due: OffsetDateTime) -> ItemId {
        match self.live.get(&new.key).copied() {
            Some(id) => {
                self.fold_into(id, &new, queued_at, due);
                id
            }
            None => self.insert(new, queued_at, due),
        }
    }

    /// Changes an item and keeps the order of claims correct.
    pub(super) fn with_item<T>(&mut self, id: ItemId, change: impl FnOnce(&mut Item) -> T) -> Option<T> {
        let item = self.items.get_mut(&id)?;
        self.due.remove(&item.due_key());
        let result = change(item);
        if !matches!(item.status, ItemStatus::Completed | ItemStatus::DeadLetter) {
            self.due.insert(item.due_key());
        }
        Some(result)
    }

    fn insert(&mut self, new: NewItem, queued_at: OffsetDateTime, due: OffsetDateTime) -> ItemId {
        let id = ItemId(self.next_id());
        let item = Item {
            id,
            key: new.key.clone(),
            lane: new.lane,
            work: new.work,
            status: ItemStatus::Pending,
            outcome: None,
            retry_count: 0,
            lost_leases: 0,
            error: None,
            queued_at,
            run_at: due,
            started_at: None,
            ended_at: None,
            generation: 1,
            claim: None,
            source_event: match new.waiter {
                Waiter::Event(event) => Some(event),
                Waiter::Run(_) | Waiter::Operator => None,
            },
            new_work_since: None,
            hurried: false,
            waiters: Vec::new(),
            attempts: Vec::new(),
        };
        self.due.insert(item.due_key());
        self.items.insert(id, item);
        self.live.insert(new.key, id);
        id
    }

    fn fold_into(&mut self, id: ItemId, new: &NewItem, queued_at: OffsetDateTime, due: OffsetDateTime) {
        let now = self.now.0;
        self.with_item(id, |item| {
            // Work that was not tried yet waits for nothing but its time, and is due with the earliest of the work. What
            // was put off stays so.
            let is_untried = item.started_at.is_none() || item.queued_at > now;
            let only_waits = new.lane == item.lane && is_untried;
            if item.claim.is_none() && (new.lane < item.lane || only_waits) {
                item.run_at = item.run_at.min(due);
            }
            item.queued_at = item.queued_at.min(queued_at);
            if new.lane < item.lane {
                item.lane = new.lane;
                item.hurried |= item.claim.is_some();
            }
            let folded = fold(&item.work, &new.work);
            // The source may have answered a fetch before this change happened. A change therefore counts even
            // if the work stays the same.
            let keeps_payload = folded.keeps_payload_of(&item.work);
            if keeps_payload && folded.recheck == item.work.recheck {
                return;
            }
            match new.waiter {
                _ if keeps_payload => {}
                Waiter::Event(event) => item.source_event = Some(event),
                Waiter::Run(_) | Waiter::Operator if folded.payload.is_some() => item.source_event = None,
                Waiter::Run(_) | Waiter::Operator => {}
            }
            item.work = folded;
            item.generation += 1;
            if item.claim.is_some() {
                let is_first = item.new_work_since.is_none();
                item.new_work_since =
                    Some(item.new_work_since.map_or(queued_at, |since| since.min(queued_at)));
                item.run_at = if is_first { due } else { item.run_at.min(due) };
            }
            if item.status == ItemStatus::Failed {
                // New data need not wait for the back-off of the old data.
                item.status = ItemStatus::Pending;
                item.retry_count = 0;
                item.run_at = item.run_at.min(due);
            }
        });
    }

    /// Adds a waiter to an item. Each waiter waits at most once.
    pub(super) fn attach(&mut self, id: ItemId, waiter: Waiter) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.waiters.retain(|entry| entry.waiter != waiter);
        item.waiters.push(WaiterEntry { waiter, generation: item.generation });
        match waiter {
            Waiter::Event(event) => self.event_progress(event, id, Progress::Open),
            Waiter::Run(run) => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.open.insert(id);
                }
            }
            Waiter::Operator => {}
        }
    }

    /// Notifies the waiters whose changes a claim of this generation contained that the item was completed.
    pub(super) fn notify(
        &mut self,
        id: ItemId,
        generation: i64,
        source_event: Option<InboxId>,
        outcome: Outcome,
    ) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let record = item.key.id.clone();
        let (notified, waiting): (Vec<WaiterEntry>, Vec<WaiterEntry>) =
            item.waiters.drain(..).partition(|entry| entry.generation <= generation);
        item.waiters = waiting;
        for entry in notified {
            match entry.waiter {
                Waiter::Event(event) => {
                    let own = source_event == Some(event) || outcome == Outcome::Discarded;
                    let ended = if own { outcome } else { Outcome::Superseded };
                    self.event_progress(event, id, Progress::Ended(ended));
                }
                Waiter::Run(run) => self.run_item_ended(run, id, &record, false),
                Waiter::Operator => {}
            }
        }
    }

    /// Moves an item to the archive and notifies all waiters.
    pub(super) fn archive(&mut self, id: ItemId, outcome: Outcome, source_event: Option<InboxId>) {
        let now = self.now.0;
        let key = self.with_item(id, |item| {
            item.status = ItemStatus::Completed;
            item.outcome = Some(outcome);
            if outcome != Outcome::Discarded {
                // The attempts keep the errors of earlier failed attempts.
                item.error = None;
            }
            item.ended_at = Some(now);
            item.claim = None;
            item.key.clone()
        });
        let Some(key) = key else { return };
        self.forget_live(&key, id);
        self.notify(id, i64::MAX, source_event, outcome);
    }

    /// Resolves the older dead letters of the record of an item that ended well.
    pub(super) fn resolve_dead_letters(&mut self, id: ItemId) {
        let dead = self.items.get(&id).and_then(|item| self.dead.get(&item.key)).cloned();
        for id in dead.unwrap_or_default() {
            self.archive(id, Outcome::Superseded, None);
        }
    }

    /// Dead-letters an item: the item is kept for an operator, its events fail, and its runs are notified.
    pub(super) fn dead_letter(&mut self, id: ItemId, error: &str) {
        let now = self.now.0;
        let dead = self.with_item(id, |item| {
            item.status = ItemStatus::DeadLetter;
            item.error = Some(error.to_owned());
            item.ended_at = Some(now);
            item.retry_count += 1;
            (item.key.clone(), item.waiters.clone())
        });
        let Some((key, waiters)) = dead else { return };
        self.forget_live(&key, id);
        self.dead.entry(key.clone()).or_default().insert(id);
        for entry in waiters {
            match entry.waiter {
                Waiter::Event(event) => self.event_progress(event, id, Progress::Dead(error.to_owned())),
                Waiter::Run(run) => self.run_item_ended(run, id, &key.id, true),
                Waiter::Operator => {}
            }
        }
        // The runs have counted the item. The events continue to wait, because an operator may retry the item.
        if let Some(item) = self.items.get_mut(&id) {
            item.waiters.retain(|entry| matches!(entry.waiter, Waiter::Event(_)));
        }
        // A record that runs list repeatedly keeps its last dead letter only, and those that have a waiter.
        for other in self.dead.get(&key).cloned().unwrap_or_default() {
            if other != id && self.items.get(&other).is_some_and(|item| item.waiters.is_empty()) {
                self.archive(other, Outcome::Superseded, None);
            }
        }
    }

    /// Makes a dead letter or a waiting retry due now. If the record has a live item, the dead letter is folded into
    /// that item, as the work of its event. The operator waits for the live item in place of the dead letter.
    pub(super) fn revive(&mut self, id: ItemId) {
        let now = self.now.0;
        let Some(item) = self.items.get(&id) else { return };
        let (key, waiters) = (item.key.clone(), item.waiters.clone());
        if self.live.get(&key).is_some_and(|live| *live != id) {
            let waiter = item.source_event.map_or(Waiter::Operator, Waiter::Event);
            let new = NewItem { key, lane: item.lane, work: item.work.clone(), waiter };
            let live = self.place(new);
            for entry in waiters {
                self.move_waiter(entry, id, live);
            }
            self.attach(live, Waiter::Operator);
            self.archive(id, Outcome::Superseded, None);
            return;
        }
        let was_dead = item.status == ItemStatus::DeadLetter;
        self.with_item(id, |item| {
            item.status = ItemStatus::Pending;
            item.retry_count = 0;
            item.run_at = now;
            item.ended_at = None;
        });
        self.forget_live(&key, id);
        self.live.insert(key, id);
        for entry in waiters {
            self.attach(id, entry.waiter);
        }
        if was_dead {
            self.attach(id, Waiter::Operator);
        }
    }

    /// Moves a waiter to another item.
    pub(super) fn move_waiter(&mut self, entry: WaiterEntry, from: ItemId, to: ItemId) {
        self.forget_waiter(from, entry.waiter);
        match entry.waiter {
            Waiter::Event(event) => self.event_leaves(event, from),
            Waiter::Run(run) => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.open.remove(&from);
                }
            }
            Waiter::Operator => {}
        }
        self.attach(to, entry.waiter);
    }

    /// Removes a waiter from an item.
    pub(super) fn forget_waiter(&mut self, id: ItemId, waiter: Waiter) {
        if let Some(item) = self.items.get_mut(&id) {
            item.waiters.retain(|other| other.waiter != waiter);
        }
    }

    /// Removes a live item from the store, as if it had never been enqueued.
    pub(super) fn remove_item(&mut self, id: ItemId) -> Option<Item> {
        let item = self.items.remove(&id)?;
        self.due.remove(&item.due_key());
        self.forget_live(&item.key, id);
        Some(item)
    }

    /// Removes an item from the indexes of live items and of dead letters.
    fn forget_live(&mut self, key: &WorkKey, id: ItemId) {
        if self.live.get(key) == Some(&id) {
            self.live.remove(key);
        }
        if let Some(dead) = self.dead.get_mut(key) {
            dead.remove(&id);
            if dead.is_empty() {
                self.dead.remove(key);
            }
        }
    }
}
