//! The budget of the day.

use std::time::Duration;

use tds_core::Lane;
use time::{Date, OffsetDateTime};

/// What Zoho says of the quota in the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Calls that the period has.
    pub(crate) limit: u32,
    /// Calls that are left of it, for all programs of the organization.
    pub(crate) remaining: u32,
    /// When it begins anew.
    pub(crate) reset: Duration,
}

/// Counts the calls of a day (UTC) of this process. Zoho does not say when its own day begins.
pub(super) struct Ledger {
    limit: Option<u32>,
    day: Option<Date>,
    used: u32,
    reported: Option<Reported>,
}

#[derive(Clone, Copy)]
struct Reported {
    limit: u32,
    remaining: u32,
    until: OffsetDateTime,
}

impl Ledger {
    /// With the calls a day of the organization's plan, where they are known.
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit, day: None, used: 0, reported: None }
    }

    /// Writes down a call, or says how long there is none left for the lane.
    pub(super) fn take(&mut self, lane: Lane, now: OffsetDateTime) -> Result<(), Duration> {
        if let Some(wait) = self.refuses(lane, now) {
            return Err(wait);
        }
        self.used = self.used.saturating_add(1);
        if let Some(reported) = &mut self.reported {
            reported.remaining = reported.remaining.saturating_sub(1);
        }
        Ok(())
    }

    /// How long there is no call left for the lane; `None`: there is one.
    pub(super) fn refuses(&mut self, lane: Lane, now: OffsetDateTime) -> Option<Duration> {
        self.turn_the_page(now);
        let urgent = lane <= Lane::Webhook;
        if let Some(allowance) = self.limit.map(allowance) {
            let kept_back = if urgent { 0 } else { reserve(allowance) };
            if self.used >= allowance - kept_back {
                return Some(until_tomorrow(now));
            }
        }
        // Where Zoho itself sees nothing left, it is Zoho that answers to a person.
        let reported = self.reported.filter(|_| lane != Lane::Operator)?;
        let kept_back = if urgent { 0 } else { reserve(allowance(reported.limit)) };
        (reported.remaining <= kept_back).then(|| positive(reported.until - now))
    }

    /// Calls left today for this program; `None`: nobody knows.
    pub(super) fn left(&mut self, now: OffsetDateTime) -> Option<u32> {
        self.turn_the_page(now);
        let own = self.limit.map(|limit| allowance(limit).saturating_sub(self.used));
        let reported = self.reported.map(|reported| reported.remaining);
        own.into_iter().chain(reported).min()
    }

    /// Takes over what Zoho counts: it knows what other programs spend.
    pub(super) fn correct(&mut self, quota: Quota, now: OffsetDateTime) {
        self.reported =
            Some(Reported { limit: quota.limit, remaining: quota.remaining, until: now + quota.reset });
    }

    fn turn_the_page(&mut self, now: OffsetDateTime) {
        if self.day != Some(now.date()) {
            self.day = Some(now.date());
            self.used = 0;
        }
        self.reported = self.reported.filter(|reported| reported.until > now);
    }
}

/// The part of the plan that is for this program: 80 %. The rest is for people and other programs.
fn allowance(limit: u32) -> u32 {
    limit - limit / 5
}

/// The part of the allowance that is kept back for people, local changes and pushed events: 20 %.
fn reserve(allowance: u32) -> u32 {
    allowance / 5
}

fn until_tomorrow(now: OffsetDateTime) -> Duration {
    let midnight = now.date().next_day().unwrap_or(Date::MAX).midnight().assume_utc();
    positive(midnight - now)
}

fn positive(duration: time::Duration) -> Duration {
    Duration::try_from(duration).unwrap_or_default().max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn take_all(ledger: &mut Ledger, lane: Lane) -> u32 {
        (0..).take_while(|_call| ledger.take(lane, NOON).is_ok()).count().try_into().expect("few")
    }

    #[test]
    fn a_share_of_the_day_is_kept_for_what_is_urgent_and_all_begins_anew_at_midnight() {
        let mut ledger = Ledger::new(Some(1000));
        assert_eq!(ledger.left(NOON), Some(800));
        assert_eq!(take_all(&mut ledger, Lane::Full), 640);
        assert_eq!(ledger.refuses(Lane::Incremental, NOON), Some(Duration::from_secs(12 * 3600)));
        assert_eq!(take_all(&mut ledger, Lane::Webhook), 160);
        assert_eq!(take_all(&mut ledger, Lane::Operator), 0);
        assert_eq!(ledger.left(NOON), Some(0));
        assert_eq!(ledger.left(datetime!(2026-03-02 00:00 UTC)), Some(800));
    }

    #[test]
    fn without_a_limit_nothing_is_refused() {
        let mut ledger = Ledger::new(None);
        assert_eq!(ledger.left(NOON), None);
        assert!((0..100_000).all(|_call| ledger.take(Lane::Verify, NOON).is_ok()));
    }

    #[test]
    fn zohos_own_count_shows_what_others_spend_until_its_reset() {
        let mut ledger = Ledger::new(Some(1000));
        ledger.correct(Quota { limit: 1000, remaining: 170, reset: Duration::from_secs(600) }, NOON);
        assert_eq!(ledger.left(NOON), Some(170));
        assert_eq!(take_all(&mut ledger, Lane::Full), 10);
        assert_eq!(ledger.refuses(Lane::Full, NOON), Some(Duration::from_secs(600)));
        assert_eq!(take_all(&mut ledger, Lane::Outbound), 160);
        assert!(ledger.take(Lane::Full, datetime!(2026-03-01 12:10 UTC)).is_ok());
    }
}
