//! The plan of a run with a selection.

use super::{DetailWay, ListCost, RunPlan, choice::pages, in_calls};
use crate::{
    runs::Selection,
    source::{ListOrder, SourceProfile},
};

/// What is known before a run with a selection begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The number of records in the last full list.
    pub(crate) records: Option<u64>,
    /// The number of live records in the target.
    pub(crate) live: Option<u64>,
    /// The number of these records whose date lies in the range.
    pub(crate) in_range: Option<u64>,
}

impl Known {
    /// Returns the number of records that the source has and the target does not.
    fn missing(&self) -> Option<u64> {
        Some(self.records?.saturating_sub(self.live?))
    }

    /// Returns the maximum number of records that the range can have: those of the target, and all that the target
    /// does not have.
    fn most(&self) -> Option<u64> {
        let most = self.in_range?.saturating_add(self.missing()?);
        Some(self.records.map_or(most, |records| most.min(records.max(self.in_range.unwrap_or(0)))))
    }
}

/// Plans a run with a selection. The plan of ids is exact. The plan of dates is the maximum number of calls, where
/// nothing changes: the list shows which records of the target changed.
pub(crate) fn plan_selection(selection: &Selection, profile: &SourceProfile, known: Known) -> RunPlan {
    let a_call = u64::try_from(profile.records_per_call.max(1)).unwrap_or(1);
    let way = if a_call > 1 { DetailWay::Many } else { DetailWay::Single };
    match selection {
        Selection::Ids(ids) => {
            let records = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            let calls = records.div_ceil(a_call);
            RunPlan {
                reason: format!(
                    "No list is read: {records} records are read by their ids in {}, {a_call} in each call.",
                    in_calls(Some(calls))
                ),
                listing: ListOrder::Filtered,
                ways: Vec::new(),
                probe_calls: 0,
                details: way,
                expected_details: Some(records),
                expected_calls: Some(calls),
            }
        }
        Selection::Dates(dates) => {
            let list = known.most().map(|rows| pages(rows, profile.records_per_page));
            let details = if profile.reads_records() { known.missing() } else { Some(0) };
            let detail_calls = details.map(|records| records.div_ceil(a_call));
            let mut reason = format!("The list of the records {dates} is read by its filter in ");
            match list {
                Some(_) => reason.push_str(&format!("at most {}", in_calls(list))),
                None => reason.push_str(&format!(
                    "an unknown number of calls, one for each {} records, because no full list was read before",
                    profile.records_per_page
                )),
            }
            match (profile.reads_records(), details) {
                (false, _) => reason.push_str("; its rows are whole records."),
                (true, Some(records)) => reason.push_str(&format!(
                    "; up to {records} of them are not in the target yet and are read in {}, {a_call} in each call, \
                     and so is each record that changed.",
                    in_calls(detail_calls)
                )),
                (true, None) => reason.push_str(&format!(
                    "; each record that is new or changed is read, {a_call} in each call."
                )),
            }
            RunPlan {
                reason,
                listing: ListOrder::Filtered,
                ways: vec![ListCost { way: ListOrder::Filtered, calls: list }],
                probe_calls: 0,
                details: if profile.reads_records() { way } else { DetailWay::None },
                expected_details: details,
                expected_calls: list.zip(detail_calls).map(|(list, details)| list + details),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::record::{DateRange, RecordId};

    fn profile(needs_detail: bool, records_per_call: usize) -> SourceProfile {
        SourceProfile { needs_detail, records_per_call, records_per_page: 200, ..SourceProfile::default() }
    }

    fn dates() -> Selection {
        let range = DateRange::new(Some(date!(2026 - 01 - 01)), Some(date!(2026 - 03 - 31)));
        Selection::Dates(range.expect("a range"))
    }

    #[test]
    fn ids_cost_their_reads_and_no_list() {
        let ids = Selection::ids((0..250).map(|id| RecordId::new(id.to_string()))).expect("ids");
        let single = plan_selection(&ids, &profile(true, 1), Known::default());
        assert_eq!((single.expected_calls, single.details), (Some(250), DetailWay::Single));
        let many = plan_selection(&ids, &profile(false, 100), Known::default());
        assert_eq!((many.expected_calls, many.details), (Some(3), DetailWay::Many));
    }

    #[test]
    fn dates_cost_the_pages_of_the_range_and_the_records_that_the_target_lacks() {
        let known = Known { records: Some(24_000), live: Some(23_900), in_range: Some(1_950) };
        let plan = plan_selection(&dates(), &profile(true, 1), known);
        // 1,950 and 100 more records fill 11 pages, and the 100 are read.
        assert_eq!((plan.expected_calls, plan.expected_details), (Some(111), Some(100)));
        assert!(plan.reason.contains("from 2026-01-01 to 2026-03-31"), "{}", plan.reason);
        assert_eq!(plan_selection(&dates(), &profile(false, 1), known).expected_calls, Some(11));
    }

    #[test]
    fn a_list_of_unknown_length_has_unknown_costs() {
        let known = Known { live: Some(0), in_range: Some(0), ..Known::default() };
        let plan = plan_selection(&dates(), &profile(true, 1), known);
        assert_eq!(plan.expected_calls, None);
        assert!(plan.reason.contains("unknown number of calls, one for each 200 records"), "{}", plan.reason);
    }
}
