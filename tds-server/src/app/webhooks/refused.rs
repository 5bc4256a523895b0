//! Counts refused webhooks by their path, for the check of what is registered in Zoho.

use std::{mem, sync::Mutex, time::Duration};

use tds_core::{lock::lock, shutdown::Shutdown};
use tds_postgres::PgStore;
use time::OffsetDateTime;

use super::Cause;
use crate::app::rules::{Kept, Refused, RefusedOf};

/// The time between two writes of the counts. A flood of forged webhooks costs one write a minute.
const EVERY: Duration = Duration::from_secs(60);

/// The refused deliveries that are not stored yet.
#[derive(Default)]
pub(super) struct Counted(Mutex<Refused>);

impl Counted {
    /// Counts a delivery. `entity` is one of the entity types that the program knows, so the number of counts is limited.
    pub(super) fn add(&self, entity: &str, cause: Cause, at: OffsetDateTime) {
        let (one, at) = (1, at.unix_timestamp());
        let more = match cause {
            Cause::Unsigned => RefusedOf { unsigned: one, unsigned_at: at, ..RefusedOf::default() },
            Cause::Signature | Cause::Surplus => {
                RefusedOf { mismatched: one, mismatched_at: at, ..RefusedOf::default() }
            }
            Cause::Key => RefusedOf { keyless: one, keyless_at: at, ..RefusedOf::default() },
        };
        lock(&self.0).entry(entity.to_owned()).or_default().add(&more);
    }

    /// Stores the counts once a minute and at the end.
    pub(super) async fn run(&self, store: PgStore, shutdown: Shutdown) {
        loop {
            let is_over = shutdown.sleep(EVERY).await;
            self.store(&store).await;
            if is_over {
                return;
            }
        }
    }

    async fn store(&self, store: &PgStore) {
        let counted = mem::take(&mut *lock(&self.0));
        if counted.is_empty() {
            return;
        }
        if let Err(error) = Kept::add_refused(store, &counted).await {
            tracing::debug!(error = %error.chain(), "the counts of refused webhooks could not be stored");
            let mut again = lock(&self.0);
            for (entity, of) in counted {
                again.entry(entity).or_default().add(&of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn deliveries_are_counted_by_entity_type_and_by_what_is_wrong_with_them() {
        let counted = Counted::default();
        let at = datetime!(2026-11-20 10:00 UTC);
        for cause in [Cause::Unsigned, Cause::Signature, Cause::Unsigned, Cause::Key] {
            counted.add("products", cause, at);
        }
        counted.add("bills", Cause::Surplus, at);
        let counted = lock(&counted.0).clone();
        let of = |name: &str| (counted[name].unsigned, counted[name].mismatched, counted[name].keyless);
        assert_eq!((of("products"), of("bills")), ((2, 1, 1), (0, 1, 0)));
        assert_eq!(counted["bills"].mismatched_at, at.unix_timestamp());
    }
}
