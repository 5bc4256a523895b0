//! Reads that wait for other reads while the budget of calls is short.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Handled, MirrorHandler, mirror::Batch};
use crate::queue::Lane;

/// The reason of an item that waits although it could be read at once.
pub const SAVING_CALLS: &str = "few calls are left today, so the read waits a little until one call can read more \
                                records";

impl MirrorHandler {
    /// Defers reads for pushed events, and of derived values, while the source wants to save calls. Work of one record
    /// is folded in the meantime, and many records share a call. Returns the items that are read now. Reads that share
    /// a call with other reads at no cost do not wait.
    pub(super) fn put_off(&self, batch: &mut Batch<'_>, fetch: Vec<usize>) -> Vec<usize> {
        let now = self.clock.now();
        let slots = [Lane::Webhook, Lane::Derived].map(|lane| (lane, self.source.reads_wait(lane)));
        let wait = |index: &usize| {
            let item = &batch.items[*index];
            let (_, slot) = slots.iter().find(|(lane, _)| *lane == item.lane)?;
            rest_of_slot(item.queued_at, now, *slot)
        };
        let waits: Vec<Option<Duration>> = fetch.iter().map(wait).collect();
        let calls = |records: usize| records.div_ceil(self.source.profile().records_per_call.max(1));
        let due = waits.iter().filter(|wait| wait.is_none()).count();
        if calls(due) == calls(fetch.len()) {
            return fetch;
        }
        let mut now_due = Vec::with_capacity(due);
        for (index, wait) in fetch.into_iter().zip(waits) {
            match wait {
                Some(wait) => {
                    batch.results[index] =
                        Some(Ok(Handled::Retry { after: wait, reason: SAVING_CALLS.to_owned() }))
                }
                None => now_due.push(index),
            }
        }
        now_due
    }
}

/// Returns the rest of the slot in which an item was enqueued; `None` if the slot has ended. Time is divided into
/// slots that are the same for all processes. All items that are enqueued within a slot are due together when it ends,
/// so that no item waits longer than one slot.
fn rest_of_slot(queued_at: OffsetDateTime, now: OffsetDateTime, slot: Duration) -> Option<Duration> {
    let slot = i128::try_from(slot.as_nanos()).ok().filter(|slot| *slot > 0)?;
    let end = (queued_at.unix_timestamp_nanos().div_euclid(slot) + 1) * slot;
    let rest = (end - now.unix_timestamp_nanos()).min(slot);
    u64::try_from(rest).ok().filter(|rest| *rest > 0).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00:40 UTC);

    #[test]
    fn work_queued_in_one_slot_is_due_together_and_within_one_slot() {
        let rest = |queued_at| rest_of_slot(queued_at, NOW, MINUTE);
        assert_eq!(rest(datetime!(2026-11-01 12:00:00 UTC)), Some(MINUTE / 3));
        assert_eq!(rest(datetime!(2026-11-01 12:00:39 UTC)), Some(MINUTE / 3));
        assert_eq!(rest(datetime!(2026-11-01 11:59:59 UTC)), None);
        assert_eq!(rest(datetime!(2026-11-02 00:00 UTC)), Some(MINUTE), "a clock that is ahead");
        assert_eq!(rest_of_slot(NOW, NOW, Duration::ZERO), None);
    }
}
