//! A value for each lane.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::queue::Lane;

/// A value for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerLane<T>([T; 6]);

impl<T> PerLane<T> {
    /// Returns the values with their lanes, most urgent first.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().zip(&self.0)
    }

    /// Creates one value for each lane.
    #[must_use]
    pub fn from_fn(make: impl FnMut(Lane) -> T) -> Self {
        Self(Lane::ALL.map(make))
    }
}

impl PerLane<u32> {
    /// Returns the sum of all values.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, value| sum.saturating_add(*value))
    }
}

impl<T> Index<Lane> for PerLane<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        &self.0[lane as usize]
    }
}

impl<T> IndexMut<Lane> for PerLane<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        &mut self.0[lane as usize]
    }
}
