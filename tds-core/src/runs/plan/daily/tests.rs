use time::macros::datetime;

use super::*;
use crate::{
    limits::budget::PastCalls,
    runs::{Run, RunId, RunStatus},
    source::Ability,
};

const NOW: OffsetDateTime = datetime!(2026-11-02 12:00 UTC);
const MINUTE: Duration = Duration::from_secs(60);
const PLAIN: Capability = Capability { filter: Ability::Refuted, sort: Ability::Refuted };
const BOTH: Capability = Capability { filter: Ability::Documented, sort: Ability::Documented };

fn every(run_type: RunType, minutes: u32) -> Period {
    Period { run_type, every: MINUTE * minutes }
}

/// Returns a list of documents: 200 rows a page, one call for each whole record, read as often as by default.
fn documents(name: &'static str, records: i64) -> ListLoad {
    ListLoad {
        entity: EntityType::from_static(name),
        profile: SourceProfile {
            needs_detail: true,
            records_per_call: 1,
            records_per_page: 200,
            documented: BOTH,
            ..SourceProfile::default()
        },
        capability: BOTH,
        history: RunHistory { last_full_count: Some(records), ..RunHistory::default() },
        live: None,
        schedules: vec![every(RunType::Full, 1_440), every(RunType::Incremental, 15)],
        events: None,
        followers: Vec::new(),
    }
}

/// Returns the list of items, of which each run reads all.
fn stock(records: i64) -> ListLoad {
    let mut list = documents("stock", records);
    list.profile = SourceProfile {
        needs_detail: false,
        lists_ids: true,
        records_per_call: 100,
        records_per_page: 200,
        documented: PLAIN,
        ..SourceProfile::default()
    };
    list.capability = PLAIN;
    list.schedules = vec![every(RunType::Full, 30)];
    list
}

fn load(lists: Vec<ListLoad>) -> Load {
    Load { now: NOW, lists, probe_every: None, sample: 100, past: PastUsage::default(), further: Vec::new() }
}

fn of(cost: &DailyCost, cause: Cause) -> Vec<&Cost> {
    cost.costs.iter().filter(|cost| cost.cause == cause).collect()
}

fn run(number: i64, changed: i64, calls: i64) -> Run {
    Run {
        id: RunId(number),
        run_type: RunType::Incremental,
        entity_type: EntityType::from_static("invoices"),
        source_type: "zoho".to_owned(),
        status: RunStatus::Completed,
        total_items: changed + 5,
        processed_items: changed + 5,
        failed_items: 0,
        unchanged_items: 5,
        pages: 1,
        plan: None,
        calls,
        listing_done: true,
        expected_items: None,
        since: None,
        selection: None,
        created_at: NOW - time::Duration::hours(24 - number),
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
fn an_idle_day_costs_whole_lists_once_and_one_call_for_each_look() {
    // 23,972 invoices have 120 pages; 96 runs a day look for changes.
    let cost = daily_cost(&load(vec![documents("invoices", 23_972)]));
    assert!((cost.idle() - (120.0 + 96.0)).abs() < 1e-9, "{cost:#?}");
    // 0.2 % of the invoices are assumed to change, and each of them is read.
    assert!((cost.calls() - (120.0 + 96.0 + 47.944)).abs() < 1e-6, "{cost:#?}");
    let assumed: Vec<bool> = cost.costs.iter().map(|cost| cost.assumed).collect();
    assert_eq!(assumed, [false, false, true], "{cost:#?}");
}

#[test]
fn records_that_no_list_shows_cost_their_reads_in_each_run() {
    // 2,221 items: 12 pages and 23 calls for the records, 48 times a day.
    let cost = daily_cost(&load(vec![stock(2_221)]));
    assert!((cost.idle() - 48.0 * 35.0).abs() < 1e-9, "{cost:#?}");
    // The last run shows that only 480 of them are kept in stock.
    let mut known = stock(2_221);
    known.history.completed =
        vec![Run { run_type: RunType::Full, total_items: 2_221, unchanged_items: 1_741, ..run(1, 0, 17) }];
    let cost = daily_cost(&load(vec![known]));
    assert!((cost.idle() - 48.0 * 17.0).abs() < 1e-9, "{cost:#?}");
}

#[test]
fn what_changes_cost_comes_from_the_last_runs_where_they_show_enough() {
    let mut list = documents("invoices", 23_972);
    // 10 changed invoices an hour; every second one came by a webhook before and cost no read.
    list.history.completed = (1..=20).rev().map(|number| run(number, 10, 6)).collect();
    let cost = daily_cost(&load(vec![list]));
    let changes = of(&cost, Cause::Changes);
    assert!((changes[0].calls - 24.0 * 10.0 * 0.5).abs() < 1e-6, "{changes:#?}");
    assert!(!changes[0].assumed && changes[0].idle == 0.0, "{changes:#?}");
}

#[test]
fn a_list_of_unknown_length_is_one_page_and_says_so() {
    let mut list = documents("invoices", 0);
    list.history.last_full_count = None;
    let cost = daily_cost(&load(vec![list.clone()]));
    assert!(
        cost.costs.iter().all(|cost| cost.assumed && cost.reason.contains("unknown number")),
        "{cost:#?}"
    );
    list.live = Some(23_972);
    let cost = daily_cost(&load(vec![list]));
    let full = of(&cost, Cause::FullSync);
    assert!((full[0].calls - 120.0).abs() < 1e-9 && full[0].reason.contains("in the target"), "{full:#?}");
}

#[test]
fn events_cost_what_they_cost_before_and_else_a_call_each() {
    let mut list = documents("invoices", 1_000);
    list.events = Some(60.0);
    let assumed = daily_cost(&load(vec![list.clone()]));
    let events = of(&assumed, Cause::Events);
    assert!((events[0].calls - 60.0).abs() < 1e-9 && events[0].assumed, "{events:#?}");
    let past = |lane, name: &'static str, calls| PastCalls {
        lane,
        entity: Some(EntityType::from_static(name)),
        calls,
    };
    let known = Load {
        past: PastUsage {
            days: 3,
            calls: vec![past(Lane::Webhook, "invoices", 30), past(Lane::Operator, "products", 6)],
        },
        ..load(vec![list])
    };
    let cost = daily_cost(&known);
    let events = of(&cost, Cause::Events);
    assert!((events[0].calls - 10.0).abs() < 1e-9 && !events[0].assumed, "{events:#?}");
    let measured = of(&cost, Cause::Measured);
    assert_eq!((measured[0].lane, measured[0].idle), (Lane::Operator, 0.0));
    assert!((measured[0].calls - 2.0).abs() < 1e-9, "{measured:#?}");
}

#[test]
fn every_lane_is_shown_and_one_without_costs_is_off() {
    let cost = daily_cost(&load(vec![documents("invoices", 1_000)]));
    let lanes: Vec<Lane> = cost.lanes.iter().map(|cost| cost.lane).collect();
    assert_eq!(lanes, Lane::ALL);
    for lane in &cost.lanes {
        let costs = matches!(lane.lane, Lane::Incremental | Lane::Full);
        assert_eq!((lane.calls > 0.0, lane.reason), (costs, (!costs).then_some("off")), "{lane:?}");
    }
    let nothing = daily_cost(&load(Vec::new()));
    assert!(nothing.calls() == 0.0 && nothing.lanes.iter().all(|lane| lane.reason == Some("off")));
}

#[test]
fn old_records_and_probes_are_part_of_an_idle_day() {
    // Nine price lists, whose details are read again every day.
    let mut prices = documents("prices", 9);
    prices.profile.detail_max_age = Some(MINUTE * 1_440);
    (prices.profile.documented, prices.capability) = (PLAIN, PLAIN);
    prices.schedules = vec![every(RunType::Full, 1_440), every(RunType::Incremental, 60)];
    let cost = daily_cost(&load(vec![prices]));
    assert!((of(&cost, Cause::Aged)[0].idle - 9.0).abs() < 1e-9, "{cost:#?}");
    assert!((cost.idle() - (1.0 + 24.0 + 9.0)).abs() < 1e-9, "{cost:#?}");
    // A list of many pages is probed once a week, a list without abilities never.
    let week = Some(MINUTE * 10_080);
    let probed = Load { probe_every: week, ..load(vec![documents("invoices", 23_972), stock(2_221)]) };
    let probes: Vec<f64> = of(&daily_cost(&probed), Cause::Probes).iter().map(|cost| cost.idle).collect();
    assert!(probes.len() == 1 && (probes[0] - 4.0 / 7.0).abs() < 1e-9, "{probes:?}");
}

#[test]
fn derived_values_cost_a_call_for_each_type_that_follows_until_the_last_days_show_it() {
    let mut list = documents("invoices", 1_000);
    list.events = Some(60.0);
    list.followers = ["stock", "customers"].map(EntityType::from_static).into();
    let cost = daily_cost(&load(vec![list.clone()]));
    let derived = of(&cost, Cause::Derived);
    assert!((derived[0].calls - 120.0).abs() < 1e-9 && derived[0].assumed, "{derived:#?}");
    assert!(derived[0].lane == Lane::Derived && derived[0].idle == 0.0, "{derived:#?}");

    let stock = Some(EntityType::from_static("stock"));
    let past =
        PastUsage { days: 2, calls: vec![PastCalls { lane: Lane::Derived, entity: stock, calls: 30 }] };
    let cost = daily_cost(&Load { past, ..load(vec![list]) });
    assert!(of(&cost, Cause::Derived).is_empty(), "{cost:#?}");
    let measured = of(&cost, Cause::Measured);
    assert!((measured[0].calls - 15.0).abs() < 1e-9 && measured[0].lane == Lane::Derived, "{measured:#?}");
}
