//! A value for each lane.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::queue::Lane;

/// The number of lanes.
const LANES: usize = Lane::ALL.len();

/// A value for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PerLane<T>([T; LANES]);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for PerLane<T> {
    /// Reads the values in the order of the lanes. A document that was stored before there were derived values has no
    /// value for their lane.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Vec::<T>::deserialize(deserializer)?;
        if values.len() + 1 == LANES {
            values.insert(Lane::Derived as usize, T::default());
        }
        let found = values.len();
        let wrong = |_| de::Error::invalid_length(found, &"one value for each lane");
        values.try_into().map(Self).map_err(wrong)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_the_lane_of_derived_values_is_understood() {
        let stored: PerLane<u32> = serde_json::from_str("[1,2,3,4,5,6]").expect("six values");
        assert_eq!((stored[Lane::Webhook], stored[Lane::Derived], stored[Lane::Incremental]), (3, 0, 4));
        let text = serde_json::to_string(&stored).expect("JSON");
        assert_eq!(serde_json::from_str::<PerLane<u32>>(&text).expect("seven values"), stored);
        assert!(serde_json::from_str::<PerLane<u32>>("[1,2]").is_err());
    }
}
