//! The choice of the cheapest way to read a list.

use time::OffsetDateTime;

use super::{DetailWay, History, ListCost, RunPlan, history::window, in_calls};
use crate::{
    runs::RunType,
    source::{Capability, ListOrder, SourceProfile},
};

/// The maximum number of calls of a probe: one for the newest rows, and three through the filter.
pub(super) const PROBE: u64 = 4;

/// What is known before a run begins.
pub(crate) struct Question<'a> {
    pub(crate) run_type: RunType,
    /// The beginning of the window; `None` if the run reads everything.
    pub(crate) from: Option<OffsetDateTime>,
    pub(crate) now: OffsetDateTime,
    pub(crate) profile: &'a SourceProfile,
    /// What the list can do.
    pub(crate) capability: Capability,
    /// The number of records in the last full list.
    pub(crate) records: Option<u64>,
    pub(crate) history: History,
    /// Whether the list was probed for this run.
    pub(crate) probed: bool,
}

impl Question<'_> {
    fn pages(&self, rows: u64) -> u64 {
        pages(rows, self.profile.records_per_page)
    }

    /// Returns the number of records in the window. In a run that reads everything, these are all records.
    fn in_window(&self) -> Option<u64> {
        match self.from {
            Some(from) => self.history.changes(window(from, self.now), self.records),
            None => self.records,
        }
    }

    fn whole(&self) -> Option<u64> {
        self.records.map(|records| self.pages(records))
    }

    fn ways(&self) -> Vec<ListCost> {
        let mut ways = vec![ListCost { way: ListOrder::Whole, calls: self.whole() }];
        if self.from.is_some() {
            let calls = self.in_window().map(|rows| self.pages(rows));
            let safest = ListCost { way: ListOrder::safest(self.capability), calls };
            ways.extend((safest.way != ListOrder::Whole).then_some(safest));
        }
        ways
    }

    /// Returns how whole records are read, how many records need their own read, and how many calls these reads
    /// take.
    fn details(&self) -> (DetailWay, Option<u64>, Option<u64>) {
        if !self.profile.reads_records() {
            return (DetailWay::None, Some(0), Some(0));
        }
        let known = self.history.last_full_changes.filter(|_| self.run_type == RunType::Full);
        let expected = known.or_else(|| self.in_window());
        let a_call = u64::try_from(self.profile.records_per_call.max(1)).unwrap_or(1);
        let way = if a_call > 1 { DetailWay::Many } else { DetailWay::Single };
        (way, expected, expected.map(|records| records.div_ceil(a_call)))
    }
}

/// Returns the number of calls that read a list of this length: at least one.
pub(super) fn pages(rows: u64, records_per_page: usize) -> u64 {
    rows.div_ceil(u64::try_from(records_per_page.max(1)).unwrap_or(1)).max(1)
}

/// Returns true if a probe costs fewer calls than it can save until it has to be repeated. Without a probe, only
/// the whole list is certain to show every change.
pub(crate) fn probe_pays(question: &Question<'_>, validity: std::time::Duration) -> bool {
    let (Some(from), Some(whole)) = (question.from, question.whole()) else { return false };
    let windowed = question.in_window().map_or(1, |rows| question.pages(rows));
    let interval = question.history.interval.unwrap_or_else(|| window(from, question.now));
    let runs = validity.as_secs() / interval.whole_seconds().max(1).unsigned_abs();
    whole.saturating_sub(windowed).saturating_mul(runs.max(1)) > PROBE
}

/// Chooses the cheapest way to read the list.
///
/// If two ways cost the same, the whole list is chosen, because it depends on neither the filter nor the sorting.
/// There is one exception: if the whole list has several pages and the window can be read so that no row is lost
/// between two pages, the window is chosen.
pub(crate) fn choose(question: &Question<'_>) -> RunPlan {
    let ways = question.ways();
    // A list of unknown length may be long. A window is never longer than the whole list.
    let loses_nothing = ListOrder::safest(question.capability) == ListOrder::MovingFilter;
    let cost = |way: &ListCost| {
        let calls = way.calls.unwrap_or(u64::MAX);
        let is_better = (way.way == ListOrder::Whole) != (loses_nothing && calls > 1);
        (calls, !is_better)
    };
    let unknown_whole = question.records.is_none() && ways.len() > 1;
    let chosen = ways.iter().skip(usize::from(unknown_whole)).copied().min_by_key(cost);
    let chosen = chosen.unwrap_or(ListCost { way: ListOrder::Whole, calls: None });
    let (details, expected_details, detail_calls) = question.details();
    let probe_calls = if question.probed { PROBE } else { 0 };
    let listing_and_details = chosen.calls.zip(detail_calls).map(|(list, details)| list + details);
    RunPlan {
        reason: reason(question, &ways, chosen, (details, expected_details, detail_calls)),
        listing: chosen.way,
        ways,
        probe_calls,
        details,
        expected_details,
        expected_calls: listing_and_details.map(|calls| calls + probe_calls),
    }
}

fn reason(
    question: &Question<'_>,
    ways: &[ListCost],
    chosen: ListCost,
    (details, expected, detail_calls): (DetailWay, Option<u64>, Option<u64>),
) -> String {
    let number = |count: Option<u64>| count.map_or("an unknown number".to_owned(), |count| count.to_string());
    let mut text = format!("The list is read {} in {}", words(chosen.way), in_calls(chosen.calls));
    let others: Vec<String> = ways
        .iter()
        .filter(|other| other.way != chosen.way)
        .map(|other| format!("{} would take {}", words(other.way), number(other.calls)))
        .collect();
    match (others.is_empty(), question.from) {
        (true, None) => text.push_str(", because every record is wanted"),
        (true, Some(_)) => text.push_str(", because neither its filter nor its sorting is reliable"),
        (false, _) => text.push_str(&format!(" ({})", others.join(", "))),
    }
    if question.probed {
        text.push_str(&format!(", after a probe of up to {PROBE} calls"));
    }
    match details {
        DetailWay::None => text.push_str("; its rows are whole records."),
        DetailWay::Single | DetailWay::Many => {
            let per_call = question.profile.records_per_call.max(1);
            let records = expected.map_or("an unknown number of".to_owned(), |count| count.to_string());
            let calls = in_calls(detail_calls);
            text.push_str(&format!(
                "; {records} records are expected to be read in {calls}, {per_call} in each call."
            ));
        }
    }
    text
}

fn words(way: ListOrder) -> &'static str {
    match way {
        ListOrder::Whole => "whole",
        ListOrder::Filtered | ListOrder::MovingFilter => "by its filter",
        ListOrder::NewestFirst => "newest change first",
    }
}

#[cfg(test)]
mod tests;
