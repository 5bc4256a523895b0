//! Unusual reads that were accepted, and that an operator may want to know about.

use super::{RereadReason, SyncState, Verdict};
use crate::record::{Content, Read};

/// Logs an unusual read that was accepted. Each such read is logged once, when it is written.
pub fn report_unusual(previous: Option<&SyncState>, read: &Read, verdict: Verdict) {
    if let Some(what) = unusual(previous, read, verdict) {
        tracing::warn!(record = %read.key, observed = %read.observed, "{what}");
    }
}

fn unusual(previous: Option<&SyncState>, read: &Read, verdict: Verdict) -> Option<&'static str> {
    let (Verdict::Apply { stable: true, .. }, Content::Present(record), Some(previous)) =
        (verdict, &read.content, previous)
    else {
        return None;
    };
    if previous.deleted {
        return Some("a record that was deleted exists again");
    }
    let suspected = previous.suspect.as_ref().map(|suspect| suspect.reason);
    match suspected {
        Some(RereadReason::SourceWentBack) if record.version < previous.version => {
            Some("the source went back to an older version; a second read confirmed it")
        }
        Some(RereadReason::Shrunk) => {
            Some("a set of child rows lost most of its rows; a second read confirmed it")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::{Duration, OffsetDateTime, macros::datetime};

    use super::*;
    use crate::{
        guard::guard,
        record::{EntityType, Interval, RecordBuilder, RecordId, RecordKey},
    };

    const PRODUCTS: EntityType = EntityType::from_static("products");

    fn at(seconds: i64) -> OffsetDateTime {
        datetime!(2026-01-01 00:00 UTC) + Duration::seconds(seconds)
    }

    fn seen(version: i64, began: i64) -> Read {
        RecordBuilder::new(&PRODUCTS, "1")
            .version(at(version))
            .fields(json!({"v": version}))
            .read(at(began), at(began))
    }

    fn gone(began: i64) -> Read {
        let seen = Interval { began: at(began), ended: at(began) };
        Read::whole(RecordKey::new(PRODUCTS, RecordId::new("1")), seen, None)
    }

    /// Returns what is reported for reads that are handled one after the other.
    fn reported(reads: &[Read]) -> Vec<Option<&'static str>> {
        let mut state = None;
        let one = |read: &Read| {
            let verdict = guard(state.as_ref(), read);
            let reported = unusual(state.as_ref(), read, verdict);
            state = SyncState::after(state.as_ref(), read, verdict).or(state.take());
            reported
        };
        reads.iter().map(one).collect()
    }

    #[test]
    fn changes_that_move_forward_are_not_reported() {
        assert_eq!(reported(&[seen(1, 10), seen(2, 20), seen(2, 30), gone(40)]), [None; 4]);
    }

    #[test]
    fn a_record_that_comes_back_is_reported() {
        let back = Some("a record that was deleted exists again");
        assert_eq!(reported(&[seen(1, 10), gone(20), seen(1, 30), seen(2, 40)]), [None, None, back, None]);
    }

    #[test]
    fn a_source_that_goes_back_is_reported_once_it_is_believed() {
        let back = Some("the source went back to an older version; a second read confirmed it");
        assert_eq!(reported(&[seen(9, 10), seen(5, 20), seen(5, 30)]), [None, None, back]);
    }
}
