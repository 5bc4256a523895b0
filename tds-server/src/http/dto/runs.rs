//! Sync runs.

use tds_core::{
    queue::Page,
    runs::{self, Run},
    source::ListOrder,
};
use time::OffsetDateTime;

use super::{
    each,
    names::{DetailsName, ListingName, SyncStatus, SyncType},
};
use crate::app::runs::Started;

wire! {
    /// Runs that were created
    StartedRuns from started: Started {
        runs: Vec<StartedRun> = each(started.runs),
        /// Active runs of requested entity types, for which no run was created
        active: Vec<ActiveRun> = each(started.active),
    }

    /// A run that was already active
    ActiveRun from run: Run {
        entity_type: String = run.entity_type.to_string(),
        run_id: i64 = run.id.0,
    }

    /// A run that was created
    StartedRun from run: Run {
        id: i64 = run.id.0,
        entity_type: String = run.entity_type.to_string(),
        #[schema(inline, value_type = SyncStatus)]
        status: &'static str = run.status.as_str(),
        /// How the run will read, with the calls that it will cost; null for a run of everything or of all changes, which
        /// plans when it begins
        plan: Option<RunPlan> = run.plan.clone().map(Into::into),
    }

    /// Runs that `bulk-sync` waited for
    FollowedRuns from runs: Vec<Run> {
        runs: Vec<SyncRun> = each(runs),
    }

    /// Runs, newest first
    RunList from page: Page<Run> {
        runs: Vec<SyncRun> = each(page.items),
        /// The cursor of the next page; null on the last page
        next_cursor: Option<String>,
    }

    /// A run: every column of `tds_sync_runs`
    SyncRun from run: Run {
        id: i64 = run.id.0,
        #[schema(inline, value_type = SyncType)]
        run_type: &'static str = run.run_type.as_str(),
        entity_type: String = run.entity_type.to_string(),
        source_type: String = run.source_type.clone(),
        #[schema(inline, value_type = SyncStatus)]
        status: &'static str = run.status.as_str(),
        total_items: i64,
        processed_items: i64,
        failed_items: i64,
        unchanged_items: i64,
        pages: i64,
        /// How the run reads, and why; null before the first page is requested
        plan: Option<RunPlan> = run.plan.clone().map(Into::into),
        /// Calls to Zoho that were made for the run
        calls: i64,
        /// Calls for each record that the run found changed
        calls_per_record: Option<f64> = run.calls_per_record(),
        listing_done: bool,
        progress_percent: f64 = run.progress_percent(),
        #[serde(with = "time::serde::rfc3339::option")]
        since: Option<OffsetDateTime>,
        /// The part of the entity type that the run reads; null for everything, or for all changes
        selection: Option<RunSelection> = run.selection.clone().map(Into::into),
        #[serde(with = "time::serde::rfc3339")]
        created_at: OffsetDateTime,
        #[serde(with = "time::serde::rfc3339::option")]
        started_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339::option")]
        completed_at: Option<OffsetDateTime>,
        error_log: Option<String>,
        requested_by: Option<String>,
        target_database: Option<String>,
        held_deletions: i64,
        /// The verification that the run belongs to; null for a run of another type
        verification: Option<i64> = run.verify.and_then(|part| part.verification).map(|first| first.0),
        /// Whether the run repairs the records that differ
        repair: bool = run.verify.is_some_and(|part| part.repair),
    }

    /// The part of an entity type that a run reads: dates or ids
    RunSelection from selection: runs::Selection {
        /// The first day; null if the beginning is open, and for ids
        from: Option<String> = selection.dates().and_then(|dates| dates.from()).map(|day| day.to_string()),
        /// The last day; null if the end is open, and for ids
        to: Option<String> = selection.dates().and_then(|dates| dates.to()).map(|day| day.to_string()),
        /// The ids; null for dates
        ids: Option<Vec<String>> = ids(&selection),
    }

    /// How a run reads, and why
    RunPlan from plan: runs::RunPlan {
        /// The reason for the choice, as a sentence
        reason: String,
        #[schema(inline, value_type = ListingName)]
        listing: &'static str = listing(plan.listing),
        /// Every possible way to read the list
        ways: Vec<ListingCost> = each(plan.ways),
        /// The maximum number of calls of the probe that found out what the list supports
        probe_calls: u64,
        #[schema(inline, value_type = DetailsName)]
        details: &'static str = plan.details.as_str(),
        expected_details: Option<u64>,
        expected_calls: Option<u64>,
    }

    /// The cost of one way to read the list
    ListingCost from cost: runs::ListCost {
        #[schema(inline, value_type = ListingName)]
        way: &'static str = listing(cost.way),
        /// Expected calls; null if the length of the list is not known
        calls: Option<u64>,
    }
}

fn ids(selection: &runs::Selection) -> Option<Vec<String>> {
    match selection {
        runs::Selection::Ids(ids) => Some(ids.iter().map(ToString::to_string).collect()),
        runs::Selection::Dates(_) => None,
    }
}

/// A list that is read with a filter that moves is called filtered.
fn listing(order: ListOrder) -> &'static str {
    match order {
        ListOrder::Whole => "whole",
        ListOrder::Filtered | ListOrder::MovingFilter => "filtered",
        ListOrder::NewestFirst => "newest_first",
    }
}
