//! More rows of one second than a page holds.

use serde::{Deserialize, Serialize};

use crate::{ContentHash, RecordId};

/// A set of ids as a number and a sum of their hashes: small enough for a cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct IdSet {
    count: u32,
    sum: u64,
}

/// The walks over the pages of one second.
///
/// Rows can leave a second that is over, and pull others past the reader; none can enter it. Two walks that
/// show the same rows prove that the second showed all: a row that the second walk skipped was pulled by one
/// that left after it was shown, and had the first walk skipped it too, then because of a row that the first
/// walk showed and the second did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tie {
    walk: IdSet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<IdSet>,
}

impl Tie {
    /// Notes rows that this walk showed.
    pub(super) fn show<'a>(&mut self, ids: impl Iterator<Item = &'a RecordId>) {
        for id in ids {
            let hash = ContentHash::of_bytes(id.as_str().as_bytes());
            let short = hash.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
            self.walk.count = self.walk.count.wrapping_add(1);
            self.walk.sum = self.walk.sum.wrapping_add(short.unwrap_or_default());
        }
    }

    /// At the end of a walk: `None` where it showed what the walk before showed, else the next walk.
    pub(super) fn again(&self) -> Option<Self> {
        (self.before != Some(self.walk)).then_some(Self { walk: IdSet::default(), before: Some(self.walk) })
    }
}
