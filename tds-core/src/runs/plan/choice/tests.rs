use std::time::Duration;

use time::macros::datetime;

use super::*;
use crate::{
    runs::{Run, RunId, RunStatus},
    source::Ability,
};

const NOW: OffsetDateTime = datetime!(2026-11-02 12:00 UTC);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
const BOTH: Capability = Capability { filter: Ability::Documented, sort: Ability::Documented };

fn profile(needs_detail: bool, records_per_call: usize) -> SourceProfile {
    SourceProfile {
        needs_detail,
        fetch_batch: 10,
        records_per_call,
        records_per_page: 200,
        documented: BOTH,
        ..SourceProfile::default()
    }
}

fn question(profile: &SourceProfile, records: Option<u64>, window: time::Duration) -> Question<'_> {
    Question {
        run_type: RunType::Incremental,
        from: Some(NOW - window),
        now: NOW,
        profile,
        capability: BOTH,
        records,
        history: History::default(),
        probed: false,
    }
}

fn run(number: i64, run_type: RunType, changes: i64) -> Run {
    Run {
        id: RunId(number),
        run_type,
        entity_type: crate::record::EntityType::from_static("products"),
        source_type: "zoho".to_owned(),
        status: RunStatus::Completed,
        total_items: changes + 7,
        processed_items: changes + 7,
        failed_items: 0,
        unchanged_items: 7,
        pages: 1,
        calls: 1,
        plan: None,
        listing_done: true,
        expected_items: None,
        since: None,
        selection: None,
        created_at: NOW - time::Duration::hours(100 - number),
        started_at: None,
        completed_at: None,
        error_log: None,
        requested_by: None,
        target_database: None,
        held_deletions: 0,
        verify: None,
    }
}

#[test]
fn a_list_of_one_page_is_read_whole_and_never_probed() {
    let profile = profile(true, 100);
    let question = question(&profile, Some(200), time::Duration::minutes(20));
    let plan = choose(&question);
    assert_eq!((plan.listing, plan.expected_calls), (ListOrder::Whole, Some(2)));
    assert_eq!(plan.ways.len(), 2, "{plan:?}");
    assert!(!probe_pays(&question, WEEK));
}

#[test]
fn a_list_that_outgrew_its_page_is_read_through_the_window_where_that_loses_nothing() {
    let profile = profile(true, 100);
    let from = Some(NOW - time::Duration::minutes(20));
    let plan = choose(&question(&profile, Some(200), time::Duration::minutes(20)));
    let outgrown = |from, capability| {
        let mut plan = plan.clone();
        (plan.outgrown(from, capability), plan.listing)
    };
    assert_eq!(outgrown(from, BOTH), (true, ListOrder::MovingFilter));
    assert_eq!(outgrown(None, BOTH), (false, ListOrder::Whole), "everything is wanted");
    let sorts = Capability { filter: Ability::Refuted, ..BOTH };
    assert_eq!(outgrown(from, sorts), (false, ListOrder::Whole), "it loses what the whole list loses");
    let mut long = choose(&question(&profile, Some(2_221), time::Duration::minutes(20)));
    assert!(!long.outgrown(from, BOTH), "it was never to be read whole");
}

#[test]
fn a_longer_list_is_read_through_the_window_and_probed_where_that_pays() {
    let profile = profile(true, 100);
    let question = question(&profile, Some(2_221), time::Duration::minutes(20));
    let plan = choose(&question);
    let calls: Vec<_> = plan.ways.iter().map(|cost| (cost.way, cost.calls)).collect();
    assert_eq!(calls, [(ListOrder::Whole, Some(12)), (ListOrder::MovingFilter, Some(1))]);
    assert_eq!(plan.listing, ListOrder::MovingFilter);
    assert!(probe_pays(&question, WEEK));
    assert!(plan.reason.contains("by its filter in 1 call (whole would take 12)"), "{}", plan.reason);
}

#[test]
fn a_probe_does_not_pay_where_few_runs_follow_or_the_window_shows_nearly_everything() {
    let profile = profile(true, 1);
    // The whole list has two pages, the window has one, and the list is read once a week.
    assert!(!probe_pays(&question(&profile, Some(300), time::Duration::days(7)), WEEK));
    let mut all = question(&profile, Some(4_000), time::Duration::days(1));
    let runs: Vec<Run> = (0..5).rev().map(|number| run(number, RunType::Incremental, 1_000)).collect();
    all.history = History::of(&runs);
    assert!(!probe_pays(&all, WEEK), "{:?}", all.history);
    assert_eq!(
        choose(&all).listing,
        ListOrder::MovingFilter,
        "20 calls either way, and none between two pages lost"
    );
    all.capability.sort = Ability::Refuted;
    assert_eq!(choose(&all).listing, ListOrder::Whole, "20 calls either way, and no filter relied on");
}

#[test]
fn a_list_of_unknown_length_is_read_through_the_window_and_without_abilities_whole() {
    let profile = profile(true, 1);
    let mut question = question(&profile, None, time::Duration::days(1));
    assert_eq!(choose(&question).listing, ListOrder::MovingFilter);
    assert_eq!(choose(&question).expected_calls, None);
    question.capability = Capability { filter: Ability::Proven, sort: Ability::Refuted };
    assert_eq!(choose(&question).listing, ListOrder::Filtered);
    question.capability = Capability { filter: Ability::Refuted, sort: Ability::Proven };
    assert_eq!(choose(&question).listing, ListOrder::NewestFirst);
    question.capability = Capability::UNKNOWN;
    let plan = choose(&question);
    assert_eq!(plan.listing, ListOrder::Whole);
    assert!(plan.reason.contains("neither its filter nor its sorting"), "{}", plan.reason);
}

#[test]
fn details_are_read_one_or_many_per_call_or_not_at_all() {
    let full = |needs_detail, per_call| {
        let profile = profile(needs_detail, per_call);
        let mut question = question(&profile, Some(2_221), time::Duration::ZERO);
        (question.run_type, question.from) = (RunType::Full, None);
        let plan = choose(&question);
        (plan.details, plan.expected_calls)
    };
    assert_eq!(full(true, 1), (DetailWay::Single, Some(12 + 2_221)));
    assert_eq!(full(true, 100), (DetailWay::Many, Some(12 + 23)));
    assert_eq!(full(false, 100), (DetailWay::None, Some(12)));
}

#[test]
fn earlier_runs_show_how_many_changes_and_details_to_expect() {
    let mut runs: Vec<Run> = (0..5).rev().map(|number| run(number, RunType::Incremental, 30)).collect();
    runs.push(run(-1, RunType::Full, 77));
    let history = History::of(&runs);
    assert_eq!(history.interval, Some(time::Duration::HOUR));
    assert_eq!(history.changes(time::Duration::hours(2), None), Some(60));
    assert_eq!(history.changes(time::Duration::hours(2), Some(45)), Some(45));
    let profile = profile(true, 1);
    let mut question = question(&profile, Some(2_221), time::Duration::ZERO);
    (question.run_type, question.from, question.history) = (RunType::Full, None, history);
    assert_eq!(choose(&question).expected_calls, Some(12 + 77));
}

#[test]
fn without_earlier_runs_a_twentieth_of_the_list_is_expected_to_change_a_day() {
    let history = History::of(&[]);
    assert_eq!(history.changes(time::Duration::days(1), Some(2_000)), Some(100));
    assert_eq!(history.changes(time::Duration::days(1), None), None);
}
