//! The decision on a listed row: a pure function.

use time::OffsetDateTime;

use crate::{
    guard::{SyncState, full_sync_rereads, needs_detail},
    runs::RunType,
    source::{Listed, SourceProfile},
};

/// The decision on a listed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPlan {
    /// The target already has the state of the row: the row causes no item, no call and no write.
    Unchanged,
    /// The row becomes a queue item.
    Queue,
}

/// Decides on a listed row.
///
/// A row is unchanged only if its whole content equals the accepted row and no detail is due. A full sync reads two
/// kinds of details again: details of lists that do not move with every change of a detail, and details that are not
/// settled. A detail is not settled if it was only pushed, or if it was read so soon after its version that
/// another edit may have the same version.
#[must_use]
pub fn plan_row(
    state: Option<&SyncState>,
    listed: &Listed,
    profile: &SourceProfile,
    run_type: RunType,
    now: OffsetDateTime,
) -> RowPlan {
    let Some(state) = state else { return RowPlan::Queue };
    let same_row =
        listed.payload.is_some() && !state.deleted && state.list_hash.as_ref() == Some(&listed.hash);
    let max_age = profile.detail_max_age;
    let detail_due = profile.needs_detail
        && (run_type == RunType::Full && full_sync_rereads(Some(state), max_age)
            || needs_detail(Some(state), listed.version, now, max_age));
    if same_row && !detail_due { RowPlan::Unchanged } else { RowPlan::Queue }
}

/// Returns how many deletions a full sync may find before an operator has to confirm them: max(20, 0.5 %) of the live
/// records.
#[must_use]
pub(in crate::engine) fn deletion_limit(live: i64) -> i64 {
    (live / 200).max(20)
}

/// Returns true for a full list with less than half of the records of the last full list, if that had 100 or more:
/// the source omitted records. No organization loses so many records between two full syncs.
pub(in crate::engine) fn is_far_shorter(listed: i64, last: i64) -> bool {
    last >= 100 && listed.saturating_mul(2) < last
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::record::{ContentHash, Interval, Observed, Payload, RecordId, Shape, SourcePayload};

    const SEEN: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn observed() -> Observed {
        Observed::Call(Interval { began: SEEN, ended: SEEN })
    }

    fn state() -> SyncState {
        SyncState {
            version: Some(SEEN),
            observed: observed(),
            list_hash: Some(ContentHash::of_bytes(b"row")),
            detail_hash: Some(ContentHash::of_bytes(b"detail")),
            detail_version: Some(SEEN),
            detail_seen: Some(SEEN + time::Duration::MINUTE),
            spelled: Vec::new(),
            volatile_hash: None,
            volatile_seen: None,
            moves: None,
            deleted: false,
            suspect: None,
        }
    }

    fn listed(content: &[u8], version: OffsetDateTime) -> Listed {
        let payload = SourcePayload { shape: Shape::List, observed: observed(), json: Payload::new("{}") };
        Listed {
            id: RecordId::new("1"),
            version: Some(version),
            hash: ContentHash::of_bytes(content),
            payload: Some(payload),
        }
    }

    fn profile(needs_detail: bool, detail_max_age: Option<Duration>) -> SourceProfile {
        SourceProfile {
            needs_detail,
            detail_max_age,
            fetch_batch: 1,
            records_per_call: 1,
            records_per_page: 200,
            ..SourceProfile::default()
        }
    }

    fn plan(state: Option<&SyncState>, listed: &Listed, profile: &SourceProfile, run: RunType) -> RowPlan {
        plan_row(state, listed, profile, run, SEEN + time::Duration::hours(1))
    }

    #[test]
    fn a_row_that_is_not_known_is_queued() {
        let row = listed(b"row", SEEN);
        assert_eq!(plan(None, &row, &profile(false, None), RunType::Full), RowPlan::Queue);
    }

    #[test]
    fn an_equal_row_with_its_detail_costs_nothing() {
        let (row, state) = (listed(b"row", SEEN), state());
        assert_eq!(plan(Some(&state), &row, &profile(true, None), RunType::Full), RowPlan::Unchanged);
    }

    #[test]
    fn an_equal_row_without_its_detail_is_queued_where_details_are_needed() {
        let (row, mut state) = (listed(b"row", SEEN), state());
        state.detail_hash = None;
        assert_eq!(plan(Some(&state), &row, &profile(true, None), RunType::Full), RowPlan::Queue);
        assert_eq!(plan(Some(&state), &row, &profile(false, None), RunType::Full), RowPlan::Unchanged);
    }

    #[test]
    fn other_content_under_the_same_version_is_queued() {
        let (row, state) = (listed(b"other", SEEN), state());
        assert_eq!(plan(Some(&state), &row, &profile(true, None), RunType::Incremental), RowPlan::Queue);
    }

    #[test]
    fn a_deleted_record_that_is_listed_again_is_queued() {
        let (row, mut state) = (listed(b"row", SEEN), state());
        state.deleted = true;
        assert_eq!(plan(Some(&state), &row, &profile(false, None), RunType::Full), RowPlan::Queue);
    }

    #[test]
    fn old_details_are_read_again_and_a_full_sync_reads_them_all() {
        let (row, state) = (listed(b"row", SEEN), state());
        let daily = profile(true, Some(Duration::from_secs(86_400)));
        let half_hourly = profile(true, Some(Duration::from_secs(1_800)));
        assert_eq!(plan(Some(&state), &row, &daily, RunType::Incremental), RowPlan::Unchanged);
        assert_eq!(plan(Some(&state), &row, &half_hourly, RunType::Incremental), RowPlan::Queue);
        assert_eq!(plan(Some(&state), &row, &daily, RunType::Full), RowPlan::Queue);
    }

    #[test]
    fn a_full_sync_reads_a_detail_whose_version_may_hide_another_edit() {
        let (row, mut state) = (listed(b"row", SEEN), state());
        state.detail_seen = Some(SEEN);
        assert_eq!(plan(Some(&state), &row, &profile(true, None), RunType::Incremental), RowPlan::Unchanged);
        assert_eq!(plan(Some(&state), &row, &profile(true, None), RunType::Full), RowPlan::Queue);
    }

    #[test]
    fn a_list_counts_as_far_shorter_below_half_of_at_least_100_records() {
        assert!(is_far_shorter(49, 100) && is_far_shorter(0, 2_221));
        assert!(!is_far_shorter(50, 100) && !is_far_shorter(0, 99) && !is_far_shorter(3_000, 2_221));
    }

    #[test]
    fn a_few_deletions_pass_and_many_need_an_operator() {
        assert_eq!(deletion_limit(0), 20);
        assert_eq!(deletion_limit(2_221), 20);
        assert_eq!(deletion_limit(24_000), 120);
    }
}
