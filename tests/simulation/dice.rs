//! The source of every random choice of a simulation, which one seed determines.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::lock::lock;

/// A generator (SplitMix64) that all parts of a simulation share. The generator is part of this crate, so that no
/// update of a dependency changes what a seed means.
#[derive(Clone)]
pub(crate) struct Dice(Arc<Mutex<u64>>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed ^ 0x5DEE_CE66_D1CE_4E5B)))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = lock(&self.0);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Returns an index into a list that is not empty.
    pub(crate) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index")
    }

    /// Returns true in `share` of 1,000 cases.
    pub(crate) fn permille(&self, share: u64) -> bool {
        share > 0 && self.below(1000) < share
    }

    /// Returns a number in `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
    pub(crate) fn unit(&self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a random duration of at most `most` milliseconds.
    pub(crate) fn millis(&self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}
