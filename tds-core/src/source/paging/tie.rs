//! Seconds in which more rows changed than a page holds.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{record::ContentHash, source::Listed};

/// A set of rows, represented by the number of rows and the sum of their hashes: small enough for a cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RowSet {
    count: u32,
    sum: u64,
}

/// The walks over the pages of one second, and over the later rows that the last page shows.
///
/// A row can leave the second, by a deletion or by an edit, and pull other rows past the reader. No row can enter a
/// second that is over. Two walks that show the same rows with the same times prove that no row was passed over: a row
/// that the first walk passed over was pulled by a row that had been shown and then left the second, and the second
/// walk did not show that row as it was. The same holds for the rows that follow the second, if a walk reaches the end
/// of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tie {
    walk: RowSet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<RowSet>,
}

impl Tie {
    /// Adds rows that this walk showed.
    pub(super) fn show(&mut self, rows: &[Listed]) {
        for row in rows {
            let time = row.version.map(OffsetDateTime::unix_timestamp_nanos);
            let hash = ContentHash::of_bytes(format!("{} {time:?}", row.id).as_bytes());
            let short = hash.as_str().get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
            self.walk.count = self.walk.count.wrapping_add(1);
            self.walk.sum = self.walk.sum.wrapping_add(short.unwrap_or_default());
        }
    }

    /// Ends a walk. Returns `None` if the walk showed the same rows as the walk before it, and otherwise the next
    /// walk.
    pub(super) fn again(&self) -> Option<Self> {
        (self.before != Some(self.walk)).then_some(Self { walk: RowSet::default(), before: Some(self.walk) })
    }
}
