//! How long the answers of this server take. Each process gathers the times in memory and stores them once a minute, if
//! there were any requests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{
    lock::lock,
    measures::{AnswerCount, AnswerKind, AnswerTimes, Measures},
    shutdown::Shutdown,
};
use time::OffsetDateTime;

/// The time between two writes.
const EVERY: Duration = Duration::from_secs(60);
/// The time limit for the last write of a server that ends.
const LAST_WRITE_TIME: Duration = Duration::from_millis(500);

/// The times of answers that are not stored yet, by hour and kind.
#[derive(Default)]
pub(crate) struct AnswerBook(Mutex<BTreeMap<(OffsetDateTime, AnswerKind), AnswerTimes>>);

impl AnswerBook {
    /// Adds one answer that was given at this time.
    pub(crate) fn add(&self, at: OffsetDateTime, kind: AnswerKind, took: Duration, is_fault: bool) {
        let hour = at - time::Duration::seconds(at.unix_timestamp().rem_euclid(3_600));
        let hour = hour.replace_nanosecond(0).unwrap_or(hour);
        lock(&self.0).entry((hour, kind)).or_default().add(took, is_fault);
    }

    /// Stores the times until the shutdown signal, and then once more.
    pub(crate) async fn run(&self, measures: Arc<dyn Measures>, shutdown: Shutdown) {
        while !shutdown.sleep(EVERY).await {
            self.store(&*measures).await;
        }
        if tokio::time::timeout(LAST_WRITE_TIME, self.store(&*measures)).await.is_err() {
            tracing::debug!("the times of the last answers were not stored in time");
        }
    }

    /// Stores the times. If the database does not answer, they are kept for the next time.
    async fn store(&self, measures: &dyn Measures) {
        let taken = std::mem::take(&mut *lock(&self.0));
        if taken.is_empty() {
            return;
        }
        let counts: Vec<AnswerCount> =
            taken.iter().map(|(&(hour, kind), &times)| AnswerCount { hour, kind, times }).collect();
        if let Err(error) = measures.count_answers(&counts).await {
            tracing::debug!(error = %error.chain(), "the times of answers could not be stored yet");
            let mut waiting = lock(&self.0);
            for (key, times) in taken {
                waiting.entry(key).or_default().merge(&times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn answers_are_gathered_by_hour_and_kind() {
        let book = AnswerBook::default();
        for (at, kind) in [
            (datetime!(2026-11-20 10:00:00.5 UTC), AnswerKind::Api),
            (datetime!(2026-11-20 10:59:59.9 UTC), AnswerKind::Api),
            (datetime!(2026-11-20 10:30 UTC), AnswerKind::Webhook),
            (datetime!(2026-11-20 11:00 UTC), AnswerKind::Api),
        ] {
            book.add(at, kind, Duration::from_millis(4), false);
        }
        let hours: Vec<_> =
            lock(&book.0).iter().map(|((hour, kind), times)| (*hour, *kind, times.answers)).collect();
        let (ten, eleven) = (datetime!(2026-11-20 10:00 UTC), datetime!(2026-11-20 11:00 UTC));
        assert_eq!(
            hours,
            [(ten, AnswerKind::Webhook, 1), (ten, AnswerKind::Api, 2), (eleven, AnswerKind::Api, 1)]
        );
    }
}
