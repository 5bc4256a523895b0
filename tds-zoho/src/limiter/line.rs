//! Who may send next: urgent lanes first, then first come first served, within the pace and the calls in flight.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tds_core::Lane;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

use super::pace::Pace;

/// How much waiting makes up for one lane: nobody waits for ever, and a person goes before a sync.
const AGEING: Duration = Duration::from_secs(20);
/// After this long without a complaint of Zoho one more call may be in flight again.
const RAISE_AFTER: Duration = Duration::from_secs(60);

/// The waiting line.
pub(super) struct Line {
    state: Mutex<State>,
    changed: Notify,
    most_slots: usize,
}

struct State {
    /// Served in the order of the key: when its turn is due at the latest, then the order of arrival.
    waiting: BTreeMap<(Instant, u64), oneshot::Sender<Slot>>,
    arrivals: u64,
    pace: Pace,
    in_flight: usize,
    slots: usize,
    slots_changed: Instant,
}

/// One call in flight; the place is free again when this is dropped.
pub(super) struct Slot {
    line: Arc<Line>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.line.lock().in_flight -= 1;
        if self.line.serve().is_some() {
            // Nobody may have a timer for the pace: they were waiting for a place.
            self.line.changed.notify_waiters();
        }
    }
}

impl Line {
    pub(super) fn new(pace: Pace, slots: usize) -> Self {
        let state = State {
            waiting: BTreeMap::new(),
            arrivals: 0,
            pace,
            in_flight: 0,
            slots,
            slots_changed: Instant::now(),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), most_slots: slots }
    }

    /// Waits for the turn. `None`: everybody was sent away, look why.
    pub(super) async fn enter(self: &Arc<Self>, lane: Lane) -> Option<Slot> {
        let (turn, mut my_turn) = oneshot::channel();
        {
            let mut state = self.lock();
            state.arrivals += 1;
            let key = (Instant::now() + handicap(lane), state.arrivals);
            state.waiting.insert(key, turn);
        }
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let pause = self.serve();
            tokio::select! {
                biased;
                slot = &mut my_turn => return slot.ok(),
                () = changed => {}
                () = pause_for(pause) => {}
            }
        }
    }

    /// Sends everybody away who waits.
    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    /// How many calls the minute has left.
    pub(super) fn minute_left(&self) -> u32 {
        self.lock().pace.left()
    }

    /// Zoho complained of calls in flight: one less.
    pub(super) fn narrow(&self) {
        let mut state = self.lock();
        state.slots = state.slots.saturating_sub(1).max(1);
        state.slots_changed = Instant::now();
    }

    /// A call went well: after a while one more may be in flight.
    pub(super) fn widen(&self) {
        let mut state = self.lock();
        if state.slots < self.most_slots && state.slots_changed.elapsed() >= RAISE_AFTER {
            state.slots += 1;
            state.slots_changed = Instant::now();
        }
    }

    /// Gives turns as long as there are places and the pace allows. The wait until the pace allows the next, if
    /// somebody waits for it.
    fn serve(self: &Arc<Self>) -> Option<Duration> {
        let mut served = Vec::new();
        let pause = self.lock().serve(&mut served);
        for turn in served {
            // Who went away meanwhile leaves the slot to its drop.
            drop(turn.send(Slot { line: Arc::clone(self) }));
        }
        pause
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn serve(&mut self, served: &mut Vec<oneshot::Sender<Slot>>) -> Option<Duration> {
        while self.in_flight < self.slots {
            let next = self.waiting.first_entry()?;
            if next.get().is_closed() {
                next.remove();
                continue;
            }
            if let Err(pause) = self.pace.take() {
                return Some(pause);
            }
            served.push(next.remove());
            self.in_flight += 1;
        }
        None
    }
}

/// How much later than it came a lane is due.
fn handicap(lane: Lane) -> Duration {
    let steps = Lane::ALL.iter().position(|other| *other == lane).unwrap_or(Lane::ALL.len());
    AGEING * u32::try_from(steps).unwrap_or(u32::MAX)
}

async fn pause_for(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
