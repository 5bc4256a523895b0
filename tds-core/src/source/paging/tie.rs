//! More rows of one second than a page holds.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{record::ContentHash, source::Listed};

/// A set of rows as a number and a sum of their hashes: small enough for a cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RowSet {
    count: u32,
    sum: u64,
}

/// The walks over the pages of one second, and what the last page shows of later ones.
///
/// Rows can leave, by a deletion or by an edit, and pull others past the reader; into a second that is over none can
/// come. Two walks that show the same rows with the same times prove that nothing was passed over: a row that the first
/// walk passed over was pulled by one that had been shown and left, which the second walk then did not show as it was.
/// That holds for what follows the second too, where a walk comes to the end of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tie {
    walk: RowSet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<RowSet>,
}

impl Tie {
    /// Notes rows that this walk showed.
    pub(super) fn show(&mut self, rows: &[Listed]) {
        for row in rows {
            let time = row.version.map(OffsetDateTime::unix_timestamp_nanos);
            let hash = ContentHash::of_bytes(format!("{} {time:?}", row.id).as_bytes());
            let short = hash.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
            self.walk.count = self.walk.count.wrapping_add(1);
            self.walk.sum = self.walk.sum.wrapping_add(short.unwrap_or_default());
        }
    }

    /// At the end of a walk: `None` where it showed what the walk before showed, else the next walk.
    pub(super) fn again(&self) -> Option<Self> {
        (self.before != Some(self.walk)).then_some(Self { walk: RowSet::default(), before: Some(self.walk) })
    }
}
