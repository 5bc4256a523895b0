//! Random numbers, which keep many waiters from returning at the same moment.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Returns a random number. It is not suitable for secrets.
pub(crate) fn chance() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// Returns a part of `most` that `random` selects, including `most` itself.
pub(crate) fn up_to(most: Duration, random: u64) -> Duration {
    let milliseconds = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
    Duration::from_millis(random % (milliseconds + 1))
}
