//! Chance, so that many waiters do not come back at the same moment.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// A number by chance. Not for secrets.
pub(crate) fn chance() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// A part of `most`, chosen by `random`; `most` itself is possible.
pub(crate) fn up_to(most: Duration, random: u64) -> Duration {
    let milliseconds = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
    Duration::from_millis(random % (milliseconds + 1))
}
