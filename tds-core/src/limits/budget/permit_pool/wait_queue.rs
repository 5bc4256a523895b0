//! The wait queue, and the permits that this process holds.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{Pacer, Permit, remembered::Remembered};
use crate::{
    error::{Error, Result},
    limits::budget::{BudgetRequest, CallCount, Grant, LimitSignal, PerLane, Refusal, SettledCall},
    queue::{Lane, WorkerId},
};

/// The waiting time that outweighs ten steps of priority: a waiter is due later than its arrival by this time for each
/// ten steps of its lane. A waiter of a less urgent lane therefore never waits for ever, and an operator's
/// request still goes before a sync.
const AGEING: Duration = Duration::from_secs(20);
/// The time for which a refusal of a lane is considered current.
const BELIEVED: Duration = Duration::from_secs(10);
/// The interval at which the share of the calls in flight is requested again while there are waiters.
const RENEW: Duration = Duration::from_secs(2);
/// The longest time between two checks of the wait queue.
const IDLE: Duration = Duration::from_secs(3_600);

/// The end of waiting: a permit, or the error of the budget.
type Turn = oneshot::Sender<Result<Permit>>;

/// A permit that is given out: its waiter, its lane, its number, and the time until which it may be used.
pub(super) type Served = (Turn, Lane, u64, Instant);

/// The waiters, the permits that are held, and the pending reports.
pub(super) struct WaitQueue {
    /// The waiters in the order in which they are served: by the time at which they are due, then by the order of
    /// arrival.
    waiting: BTreeMap<(Instant, u64), (Lane, Turn)>,
    arrivals: u64,
    permits: Vec<HeldPermit>,
    slots: u32,
    in_flight: u32,
    pub(super) exchanging: bool,
    asked_at: Option<Instant>,
    ask_at: Instant,
    refused: PerLane<Option<Refusal>>,
    refused_at: Instant,
    pub(super) pending_reports: PendingReports,
    pub(super) reports_soon: bool,
    pub(super) remembered: Remembered,
    pub(super) pace: Option<Box<dyn Pacer>>,
}

struct HeldPermit {
    number: u64,
    lane: Lane,
    from: Instant,
    until: Instant,
}

/// What the budget does not know yet.
#[derive(Default)]
pub(super) struct PendingReports {
    settled: Vec<(u64, Lane, Instant)>,
    unused: Vec<u64>,
    pub(super) signals: Vec<(LimitSignal, Instant)>,
    pub(super) counts: Vec<CallCount>,
}

impl WaitQueue {
    pub(super) fn new(pace: Option<Box<dyn Pacer>>) -> Self {
        let now = Instant::now();
        Self {
            waiting: BTreeMap::new(),
            arrivals: 0,
            permits: Vec::new(),
            slots: 0,
            in_flight: 0,
            exchanging: false,
            asked_at: None,
            ask_at: now,
            refused: PerLane::default(),
            refused_at: now,
            pending_reports: PendingReports::default(),
            reports_soon: false,
            remembered: Remembered::default(),
            pace,
        }
    }

    pub(super) fn queue(&mut self, lane: Lane, now: Instant) -> oneshot::Receiver<Result<Permit>> {
        let (turn, my_turn) = oneshot::channel();
        self.arrivals += 1;
        let due = now + AGEING * u32::from(lane.priority().unsigned_abs()) / 10;
        self.waiting.insert((due, self.arrivals), (lane, turn));
        my_turn
    }

    /// Returns the limit that forbids the lane to send, according to the last answer of the budget.
    pub(super) fn refusal(&self, lane: Lane, now: Instant) -> Option<Refusal> {
        let passed = now.saturating_duration_since(self.refused_at);
        let refusal = self.refused[lane].filter(|refusal| refusal.wait > passed && passed < BELIEVED)?;
        Some(Refusal { wait: refusal.wait - passed, ..refusal })
    }

    pub(super) fn add_signal(&mut self, signal: LimitSignal, now: Instant) {
        if matches!(signal, LimitSignal::Admission { .. }) {
            // The accepted call may end a pause. Permits that were refused because of the pause are requested
            // again.
            self.refused = PerLane::from_fn(|lane| self.refused[lane].filter(|refusal| !refusal.paused));
        }
        if matches!(signal, LimitSignal::Refused { .. }) {
            // The permits that are held are not used during the pause that begins.
            self.pending_reports.unused.extend(self.permits.drain(..).map(|permit| permit.number));
        }
        self.pending_reports.signals.push((signal, now));
    }

    /// Records that a permit was dropped.
    pub(super) fn ended(&mut self, number: u64, lane: Lane, used: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if used {
            self.pending_reports.settled.push((number, lane, now));
        } else {
            self.pending_reports.unused.push(number);
        }
    }

    /// Removes the permits that may be used now. Returns them with the time of the next check.
    pub(super) fn serve(&mut self, now: Instant) -> (Vec<Served>, Instant) {
        self.waiting.retain(|_, (_, turn)| !turn.is_closed());
        let expired = self.permits.extract_if(.., |permit| permit.until < now);
        self.pending_reports.unused.extend(expired.map(|permit| permit.number));
        let mut served = Vec::new();
        let mut next = self.next_look(now);
        while let Some((key, index)) = self.next_served(now) {
            if let Some(Err(wait)) = self.pace.as_mut().map(|pace| pace.take()) {
                next = next.min(now + wait);
                break;
            }
            let permit = self.permits.swap_remove(index);
            if let Some((lane, turn)) = self.waiting.remove(&key) {
                self.in_flight += 1;
                served.push((turn, lane, permit.number, permit.until));
            }
        }
        (served, next)
    }

    fn next_look(&self, now: Instant) -> Instant {
        let coming = self.permits.iter().map(|permit| permit.from).filter(|from| *from > now);
        let renew = self.asked_at.map_or(now + IDLE, |at| at + RENEW).max(self.ask_at);
        coming.chain([self.ask_at, renew]).filter(|time| *time > now).min().unwrap_or(now + IDLE)
    }

    /// Returns the first waiter for which there are a free slot and a permit.
    fn next_served(&self, now: Instant) -> Option<((Instant, u64), usize)> {
        let free = self.in_flight < self.slots;
        let mut waiting = self.waiting.iter().filter(|_| free);
        waiting.find_map(|(key, (lane, _))| Some((*key, self.permit_for(*lane, now)?)))
    }

    /// Returns the best permit for the lane: one of the lane itself, or else one of another lane. Urgent lanes may
    /// use every permit. The other lanes may not use permits of urgent lanes.
    fn permit_for(&self, lane: Lane, now: Instant) -> Option<usize> {
        let usable =
            |permit: &HeldPermit| permit.from <= now && (lane.is_urgent() || !permit.lane.is_urgent());
        let mut best: Option<(bool, Instant, usize)> = None;
        for (index, permit) in self.permits.iter().enumerate().filter(|(_, permit)| usable(permit)) {
            let rank = (permit.lane != lane, permit.from, index);
            best = Some(best.map_or(rank, |best| best.min(rank)));
        }
        best.map(|(_, _, index)| index)
    }

    /// Returns true if a request to the budget would help a waiter. The request then counts as under way.
    pub(super) fn wants_to_ask(&mut self, now: Instant) -> bool {
        if self.waiting.is_empty() || self.exchanging || now < self.ask_at {
            return false;
        }
        let urgent = self.waiting.values().filter(|(lane, _)| lane.is_urgent()).count();
        let for_them =
            self.permits.iter().filter(|permit| permit.from <= now || permit.lane.is_urgent()).count();
        let lacks = self.permits.is_empty() || self.slots == 0 || urgent > for_them;
        let renews = self.asked_at.is_none_or(|at| now >= at + RENEW);
        self.exchanging = lacks || renews;
        self.exchanging
    }

    /// Creates the next request to the budget. Until its answer arrives, no more calls are in flight than the
    /// request reports.
    pub(super) fn question(&mut self, holder: WorkerId, now: Instant) -> BudgetRequest {
        self.exchanging = true;
        self.asked_at = Some(now);
        let mut ask = BudgetRequest::of(holder);
        if !self.is_waited_for() {
            self.pending_reports.unused.extend(self.permits.drain(..).map(|permit| permit.number));
        }
        for (lane, _) in self.waiting.values() {
            ask.wants[*lane] += 1;
        }
        if !ask.wants.iter().any(|(lane, wanted)| lane.is_urgent() && *wanted > 0) {
            // These permits are left over because their waiters were served by other permits. The other lanes may
            // not use them.
            let left_over = self.permits.extract_if(.., |permit| permit.lane.is_urgent());
            self.pending_reports.unused.extend(left_over.map(|permit| permit.number));
        }
        for permit in &self.permits {
            ask.at_hand[permit.lane] += 1;
        }
        self.slots = self.slots.min(self.in_flight);
        ask.in_flight = self.in_flight;
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let settled = self.pending_reports.settled.iter();
        ask.settled = settled
            .map(|(permit, lane, at)| SettledCall { permit: *permit, lane: *lane, age: age(at) })
            .collect();
        ask.unused.clone_from(&self.pending_reports.unused);
        ask.signals =
            self.pending_reports.signals.iter().map(|(signal, at)| signal.clone().older(age(at))).collect();
        ask
    }

    /// Takes over the answer to a request that was sent at `asked`.
    pub(super) fn answered(&mut self, ask: &BudgetRequest, grant: &Grant, asked: Instant, now: Instant) {
        self.exchanging = false;
        self.pending_reports.settled.drain(..ask.settled.len());
        self.pending_reports.unused.drain(..ask.unused.len());
        self.pending_reports.signals.drain(..ask.signals.len());
        self.slots = grant.slots;
        self.permits.extend(grant.permits.iter().map(|leased| HeldPermit {
            number: leased.number,
            lane: leased.lane,
            from: now + leased.after,
            until: asked + leased.after + grant.valid,
        }));
        let enough = ask.wants.total() == 0 || !grant.permits.is_empty() && grant.slots > 0;
        self.ask_at = if enough { now } else { now + grant.ask_again };
        self.remembered.remember(&grant.status, now);
        self.refused = grant.status.refused;
        self.refused_at = now;
        let refused = self.refused;
        let paused = |permit: &mut HeldPermit| refused[permit.lane].is_some_and(|refusal| refusal.paused);
        let of_no_use = self.permits.extract_if(.., paused);
        self.pending_reports.unused.extend(of_no_use.map(|permit| permit.number));
        self.send_away();
    }

    /// Removes from the wait queue the waiters whose lane is refused, except those for whom the pool already holds
    /// permits.
    fn send_away(&mut self) {
        let mut here: PerLane<u32> = PerLane::default();
        for permit in &self.permits {
            here[permit.lane] += 1;
        }
        let refused = self.refused;
        self.waiting.retain(|_, (lane, _)| {
            let stays = refused[*lane].is_none() || here[*lane] > 0;
            here[*lane] = here[*lane].saturating_sub(1);
            stays
        });
    }

    /// The budget did not answer. Every waiter receives the error.
    pub(super) fn failed(&mut self, error: &Error, now: Instant) {
        self.exchanging = false;
        self.ask_at = now + RENEW;
        for (_, turn) in std::mem::take(&mut self.waiting).into_values() {
            drop(turn.send(Err(error.clone())));
        }
    }

    /// Returns true if at least one waiter waits for a permit.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.waiting.retain(|_, (_, turn)| !turn.is_closed());
        !self.waiting.is_empty()
    }

    /// Returns true if anything has not been reported yet.
    pub(super) fn has_pending_reports(&self) -> bool {
        let pending_reports = &self.pending_reports;
        let all_reported = pending_reports.settled.is_empty()
            && pending_reports.unused.is_empty()
            && pending_reports.signals.is_empty();
        // Permits for which there is no waiter are given back.
        let idle = self.waiting.is_empty() && !self.permits.is_empty();
        !all_reported || !pending_reports.counts.is_empty() || idle
    }
}
