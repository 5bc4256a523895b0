//! The waiting line, and the permits at hand.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{Pacer, Permit, remembered::Remembered};
use crate::{
    error::Error,
    limits::budget::{BudgetRequest, CallCount, Grant, LimitSignal, PerLane, Refusal, SettledCall, merge},
    queue::{Lane, WorkerId},
};

/// How much waiting makes up for one lane: nobody waits for ever, and a person goes before a sync.
const AGEING: Duration = Duration::from_secs(20);
/// What was said of a lane is believed for this long.
const BELIEVED: Duration = Duration::from_secs(10);
/// While somebody waits, the share of the calls in flight is asked for again after this.
const RENEW: Duration = Duration::from_secs(2);
/// Nobody looks again later than this.
const IDLE: Duration = Duration::from_secs(3_600);

/// What comes of waiting.
pub(super) enum WaitResult {
    Permit(Permit),
    Away,
    Unknown(Error),
}

/// A permit that is given out: to whom, for which lane, its number, and until when it may be used.
pub(super) type Served = (oneshot::Sender<WaitResult>, Lane, u64, Instant);

/// Who waits, what is at hand, and what is to be told.
pub(super) struct WaitQueue {
    /// Served in the order of the key: when its turn is due at the latest, then the order of arrival.
    waiting: BTreeMap<(Instant, u64), (Lane, oneshot::Sender<WaitResult>)>,
    arrivals: u64,
    permits: Vec<Held>,
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
    pace: Option<Box<dyn Pacer>>,
}

struct Held {
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
    signals: Vec<(LimitSignal, Instant)>,
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

    pub(super) fn queue(&mut self, lane: Lane, now: Instant) -> oneshot::Receiver<WaitResult> {
        let (turn, my_turn) = oneshot::channel();
        self.arrivals += 1;
        self.waiting.insert((now + handicap(lane), self.arrivals), (lane, turn));
        my_turn
    }

    /// What forbids the lane to send, as it was last heard.
    pub(super) fn refusal(&self, lane: Lane, now: Instant) -> Option<Refusal> {
        let passed = now.saturating_duration_since(self.refused_at);
        let refusal = self.refused[lane].filter(|refusal| refusal.wait > passed && passed < BELIEVED)?;
        Some(Refusal { wait: refusal.wait - passed, ..refusal })
    }

    pub(super) fn add_signal(&mut self, signal: LimitSignal, now: Instant) {
        if matches!(signal, LimitSignal::Admission { .. }) {
            // It may end a pause: what was refused is asked for again.
            self.refused = PerLane::from_fn(|lane| self.refused[lane].filter(|refusal| !refusal.paused));
        }
        if matches!(signal, LimitSignal::Refused { .. }) {
            // What is at hand is not sent into the pause that begins.
            self.pending_reports.unused.extend(self.permits.drain(..).map(|permit| permit.number));
        }
        self.pending_reports.signals.push((signal, now));
    }

    pub(super) fn count(&mut self, count: &CallCount) {
        merge(&mut self.pending_reports.counts, std::slice::from_ref(count));
    }

    pub(super) fn pace_left(&mut self) -> Option<u32> {
        self.pace.as_mut().map(|pace| pace.left())
    }

    /// A permit was dropped.
    pub(super) fn ended(&mut self, number: u64, lane: Lane, used: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if used {
            self.pending_reports.settled.push((number, lane, now));
        } else {
            self.pending_reports.unused.push(number);
        }
    }

    /// Takes out what may be sent now; and when to look again.
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

    /// The first in the line for whom there are a place and a permit.
    fn next_served(&self, now: Instant) -> Option<((Instant, u64), usize)> {
        let free = self.in_flight < self.slots;
        let mut waiting = self.waiting.iter().filter(|_| free);
        waiting.find_map(|(key, (lane, _))| Some((*key, self.permit_for(*lane, now)?)))
    }

    /// A permit of the lane itself, or of one that must give way. What urgent lanes have left is for them.
    fn permit_for(&self, lane: Lane, now: Instant) -> Option<usize> {
        let usable = |permit: &Held| permit.from <= now && (lane.is_urgent() || !permit.lane.is_urgent());
        let mut best: Option<(bool, Instant, usize)> = None;
        for (index, permit) in self.permits.iter().enumerate().filter(|(_, permit)| usable(permit)) {
            let rank = (permit.lane != lane, permit.from, index);
            best = Some(best.map_or(rank, |best| best.min(rank)));
        }
        best.map(|(_, _, index)| index)
    }

    /// True where a question would help somebody; then it is under way from now on.
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

    /// The question. Until its answer comes, no more calls are in flight than it tells of.
    pub(super) fn question(&mut self, holder: WorkerId, now: Instant) -> BudgetRequest {
        self.exchanging = true;
        self.asked_at = Some(now);
        let mut ask = BudgetRequest::of(holder);
        self.waiting.retain(|_, (_, turn)| !turn.is_closed());
        if self.waiting.is_empty() {
            self.pending_reports.unused.extend(self.permits.drain(..).map(|permit| permit.number));
        }
        for (lane, _) in self.waiting.values() {
            ask.wants[*lane] += 1;
        }
        if !ask.wants.iter().any(|(lane, wanted)| lane.is_urgent() && *wanted > 0) {
            // Somebody was served by another permit: the others may not use these.
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

    /// The answer to a question that was asked at `asked`.
    pub(super) fn answered(&mut self, ask: &BudgetRequest, grant: &Grant, asked: Instant, now: Instant) {
        self.exchanging = false;
        self.pending_reports.settled.drain(..ask.settled.len());
        self.pending_reports.unused.drain(..ask.unused.len());
        self.pending_reports.signals.drain(..ask.signals.len());
        self.slots = grant.slots;
        self.permits.extend(grant.permits.iter().map(|leased| Held {
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
        let paused = |permit: &mut Held| refused[permit.lane].is_some_and(|refusal| refusal.paused);
        let of_no_use = self.permits.extract_if(.., paused);
        self.pending_reports.unused.extend(of_no_use.map(|permit| permit.number));
        self.send_away();
    }

    /// Who waits for what is refused is sent away, but for those whose permits are here already.
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

    /// The budget cannot be asked: everybody who waits is told so.
    pub(super) fn failed(&mut self, error: &Error, now: Instant) {
        self.exchanging = false;
        self.ask_at = now + RENEW;
        for (_, turn) in std::mem::take(&mut self.waiting).into_values() {
            drop(turn.send(WaitResult::Unknown(error.clone())));
        }
    }

    /// True where somebody waits for a permit.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.waiting.retain(|_, (_, turn)| !turn.is_closed());
        !self.waiting.is_empty()
    }

    /// True where the source said something that was not told yet.
    pub(super) fn has_signals(&self) -> bool {
        !self.pending_reports.signals.is_empty()
    }

    /// True where something is to be told.
    pub(super) fn has_pending_reports(&self) -> bool {
        let pending_reports = &self.pending_reports;
        let told = pending_reports.settled.is_empty()
            && pending_reports.unused.is_empty()
            && pending_reports.signals.is_empty();
        // Permits that nobody waits for are given back.
        let idle = self.waiting.is_empty() && !self.permits.is_empty();
        !told || !pending_reports.counts.is_empty() || idle
    }
}

/// How much later than it came a lane is due.
fn handicap(lane: Lane) -> Duration {
    let steps = Lane::ALL.iter().position(|other| *other == lane).unwrap_or(Lane::ALL.len());
    AGEING * u32::try_from(steps).unwrap_or(u32::MAX)
}
