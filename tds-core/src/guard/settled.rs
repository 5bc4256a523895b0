//! Whether a whole record was read late enough after its version to show every edit of that version.

use time::{Duration, OffsetDateTime};

use super::SyncState;
use crate::record::{Observed, Read, Record};

/// The time after a version from which a read shows every edit of that version. Versions have whole seconds, and
/// the clocks of the source and of this machine may differ by a few seconds more.
const SETTLES: Duration = Duration::seconds(5);

impl SyncState {
    /// Returns true if no later edit can have the version of the accepted whole record. A whole record that was
    /// read before the second of its version was over may lack an edit of the same second, and no list row would ever
    /// show that edit.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.detail_version
            .is_none_or(|version| self.detail_seen.is_some_and(|seen| seen >= version + SETTLES))
    }
}

/// Returns the time from which the whole record is known to be as the read shows it. Only the arrival time of a pushed
/// body is known, and the body may arrive late: it proves nothing about the time after its version.
pub(super) fn seen_since(read: &Read, record: &Record) -> OffsetDateTime {
    match read.observed {
        Observed::Push(arrived) => record.version.map_or(arrived, |version| version.min(arrived)),
        Observed::Call(seen) => seen.began,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::{
        guard::Verdict,
        record::{
            Content, ContentHash, EntityType, Fields, Interval, ListedRow, Payload, RecordId, RecordKey,
            Shape,
        },
    };

    const CHANGED: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn seen(observed: Observed, shape: Shape) -> SyncState {
        let entity = EntityType::from_static("products");
        let record = Record {
            entity: entity.clone(),
            id: RecordId::new("1"),
            version: Some(CHANGED),
            fields: Fields::new(),
            volatile: Fields::new(),
            children: std::collections::BTreeMap::new(),
            moves: None,
            cut: std::collections::BTreeSet::new(),
            raw: Payload::new("{}"),
        };
        let read = Read {
            key: RecordKey::new(entity, RecordId::new("1")),
            shape,
            observed,
            content: Content::Present(Box::new(record)),
            listed: Some(ListedRow { hash: ContentHash::of_bytes(b"row"), spelled: Vec::new() }),
            follow: None,
            cause: None,
        };
        let verdict = Verdict::Apply { stable: true, volatile: true };
        SyncState::after(None, &read, verdict).expect("a state")
    }

    fn call(after: Duration) -> Observed {
        Observed::Call(Interval { began: CHANGED + after, ended: CHANGED + after + Duration::SECOND })
    }

    #[test]
    fn a_read_within_the_second_of_its_version_is_not_final() {
        assert!(!seen(call(Duration::milliseconds(300)), Shape::Detail).is_settled());
        assert!(seen(call(Duration::minutes(1)), Shape::Detail).is_settled());
    }

    #[test]
    fn a_pushed_body_is_never_final_however_late_it_arrives() {
        assert!(!seen(Observed::Push(CHANGED + Duration::hours(2)), Shape::Webhook).is_settled());
    }
}
