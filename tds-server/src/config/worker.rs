//! Workers and retries.

use std::{ops::RangeInclusive, time::Duration};

use tds_core::retry::RetryPolicy;

use super::lookup::Reader;

/// The accepted waits. With a shorter wait nothing would be gathered.
const DERIVED_WAIT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60 * 60);

/// How this process works on the queue.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// `TDS_WORKERS`, default 4: the number of concurrent batches. With 0 the process serves HTTP only.
    pub concurrency: usize,
    /// `TDS_MAX_ATTEMPTS`, default 8; `TDS_RETRY_BASE`, default `2s`; `TDS_RETRY_MAX`, default `15m`.
    pub policy: RetryPolicy,
    /// `TDS_DERIVED_WAIT`, default `2s`: how long the reads of derived values are gathered. `None` is `off`.
    pub derived_wait: Option<Duration>,
    /// `TDS_LEASE`, default `60s`: the time after which a worker that stops renewing its leases loses its items.
    pub lease: Duration,
}

impl WorkerConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let defaults = RetryPolicy::default();
        let policy = RetryPolicy {
            max_attempts: reader.number("TDS_MAX_ATTEMPTS", defaults.max_attempts, 1, 100),
            base: reader.duration("TDS_RETRY_BASE", defaults.base),
            max: reader.duration("TDS_RETRY_MAX", defaults.max),
        };
        if policy.base > policy.max {
            let found = format!("{:?}, longer than TDS_RETRY_MAX ({:?})", policy.base, policy.max);
            reader.error("TDS_RETRY_BASE", found, "a duration no longer than TDS_RETRY_MAX");
        }
        let lease = reader.duration("TDS_LEASE", Duration::from_secs(60));
        if lease < Duration::from_secs(1) {
            reader.error("TDS_LEASE", format!("{lease:?}"), "a duration of at least 1s");
        }
        let derived_wait = reader.duration_or_off("TDS_DERIVED_WAIT", Duration::from_secs(2));
        if let Some(found) = derived_wait.filter(|wait| !DERIVED_WAIT.contains(wait)) {
            reader.error("TDS_DERIVED_WAIT", format!("{found:?}"), "a duration from 100ms to 1h, or off");
        }
        let concurrency = reader.number("TDS_WORKERS", 4, 0, 256);
        Self { concurrency, policy, derived_wait, lease }
    }
}
