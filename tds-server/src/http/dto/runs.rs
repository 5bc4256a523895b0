//! Sync runs.

use serde::Serialize;
use tds_core::{
    queue::Page,
    runs::{self, DetailWay, Run},
    source::ListOrder,
};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    each,
    names::{SyncStatus, SyncType},
};
use crate::app::runs::Started;

wire! {
    /// Runs that were stored
    StartedRuns from started: Started {
        runs: Vec<StartedRun> = each(started.runs),
        /// Entity types of a list, or of `all`, that a run was active of: nothing was started for these
        active: Vec<ActiveRun> = each(started.active),
    }

    /// A run that was active already
    ActiveRun from run: Run {
        entity_type: String = run.entity_type.to_string(),
        run_id: i64 = run.id.0,
    }

    /// A run that was stored
    StartedRun from run: Run {
        id: i64 = run.id.0,
        entity_type: String = run.entity_type.to_string(),
        #[schema(inline, value_type = SyncStatus)]
        status: &'static str = run.status.as_str(),
    }

    /// Runs that `bulk-sync` waited for
    FollowedRuns from runs: Vec<Run> {
        runs: Vec<SyncRun> = each(runs),
    }

    /// Runs, newest first
    RunList from page: Page<Run> {
        runs: Vec<SyncRun> = each(page.items),
        /// Where the next page begins; null on the last
        next_cursor: Option<String>,
    }

    /// A run: every column of `tds_sync_runs`
    SyncRun from run: Run {
        id: i64 = run.id.0,
        #[schema(inline, value_type = SyncType)]
        run_type: &'static str = run.run_type.as_str(),
        entity_type: String = run.entity_type.to_string(),
        source_type: String,
        #[schema(inline, value_type = SyncStatus)]
        status: &'static str = run.status.as_str(),
        total_items: i64,
        processed_items: i64,
        failed_items: i64,
        unchanged_items: i64,
        pages: i64,
        /// How it reads and why; null before its first page is asked for
        plan: Option<RunPlan> = run.plan.map(Into::into),
        /// Calls to Zoho that were made for it
        calls: i64,
        /// The same for each record that it brought news of
        calls_per_record: Option<f64>,
        listing_done: bool,
        progress_percent: f64,
        #[serde(with = "time::serde::rfc3339::option")]
        since: Option<OffsetDateTime>,
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
    }

    /// How a run reads and why; its counts tell what came of it
    RunPlan from plan: runs::RunPlan {
        /// Why it is read so, in one sentence
        reason: String,
        #[schema(inline)]
        listing: Listing,
        /// Every way that there was
        ways: Vec<ListingCost> = each(plan.ways),
        /// Calls that found out what the list can do: so many at most
        probe_calls: u64,
        #[schema(inline)]
        details: Details,
        expected_details: Option<u64>,
        expected_calls: Option<u64>,
    }

    /// What a way to read the list costs
    ListingCost from cost: runs::ListCost {
        #[schema(inline)]
        way: Listing,
        /// Expected calls; null: nobody knows how long the list is
        calls: Option<u64>,
    }
}

/// How a list is read
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Listing {
    Whole,
    Filtered,
    NewestFirst,
}

/// How whole records are read: not at all, one a call, or many a call
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Details {
    None,
    Single,
    Many,
}

impl From<ListOrder> for Listing {
    fn from(way: ListOrder) -> Self {
        match way {
            ListOrder::Whole => Self::Whole,
            ListOrder::Filtered => Self::Filtered,
            ListOrder::NewestFirst => Self::NewestFirst,
        }
    }
}

impl From<DetailWay> for Details {
    fn from(way: DetailWay) -> Self {
        match way {
            DetailWay::None => Self::None,
            DetailWay::Single => Self::Single,
            DetailWay::Many => Self::Many,
        }
    }
}
