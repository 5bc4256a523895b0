//! `runs list | show | cancel | resume | confirm-deletions`.

use clap::{Args, Subcommand};
use tds_core::{
    record::EntityType,
    runs::{Run, RunFilter, RunStatus},
};

use super::{
    exit::{CommandResult, Failure},
    output::{self, Column},
    parse,
    settings::{DATABASE, flags},
    store::Store,
};
use crate::http::dto;

/// List, show, cancel and resume sync runs
#[derive(Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    action: RunsAction,
}

#[derive(Subcommand)]
enum RunsAction {
    /// List runs, newest first
    #[command(args = flags(&[DATABASE]), after_help = "Example:\n  tds-server runs list --entity invoices --limit 5")]
    List {
        /// Show only runs of this entity type, such as products
        #[arg(long)]
        entity: Option<EntityType>,
        /// Show only runs with this status
        #[arg(long, value_name = "STATUS",
              value_parser = parse::one_of(RunStatus::ALL, RunStatus::as_str))]
        status: Option<RunStatus>,
        /// Maximum number of runs to show
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page to show: the next_cursor of the previous page
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Show one run
    Show(One),
    /// Cancel a run; what it has done so far is kept
    Cancel(One),
    /// Resume a failed or cancelled run from its checkpoint; a running server executes it
    Resume(One),
    /// Release held deletions; each record is first read from Zoho
    #[command(name = "confirm-deletions")]
    ConfirmDeletions(One),
}

/// The arguments that name one run.
#[derive(Args)]
#[command(args = flags(&[DATABASE]))]
struct One {
    /// Id of the run
    id: i64,
    /// Print JSON in the format of the API
    #[arg(long)]
    json: bool,
}

impl RunsArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let runs = &store.runs;
        match self.action {
            RunsAction::List { entity, status, limit, cursor, json, .. } => {
                let filter = RunFilter { entity, status, run_type: None };
                let page = runs.list(&filter, limit.into(), cursor.as_deref()).await;
                let page = page.map_err(Failure::of_list)?;
                output::page::<_, dto::RunList>(page, json, COLUMNS, &store.place)
            }
            RunsAction::Show(one) => one.print(runs.find(one.id).await?),
            RunsAction::Cancel(one) => one.print(runs.cancel(one.id).await?),
            RunsAction::Resume(one) => one.print(runs.resume(one.id).await?),
            RunsAction::ConfirmDeletions(one) => {
                let affected = runs.confirm_deletions(one.id).await?;
                if one.json {
                    return output::json(&dto::Affected::from(affected));
                }
                output::talk(&format!("{affected} deletions will be checked in Zoho, one by one"));
                Ok(())
            }
        }
    }
}

impl One {
    fn print(&self, run: Run) -> CommandResult {
        let run = dto::SyncRun::from(run);
        if self.json { output::json(&run) } else { output::record(&run) }
    }
}

const COLUMNS: &[Column<Run>] = &[
    ("ID", |run| run.id.to_string()),
    ("ENTITY", |run| run.entity_type.to_string()),
    ("TYPE", |run| run.run_type.as_str().to_owned()),
    ("STATUS", |run| run.status.as_str().to_owned()),
    ("PROGRESS", |run| format!("{:.0} %", run.progress_percent())),
    ("LISTED", |run| run.total_items.to_string()),
    ("ENDED", |run| run.processed_items.to_string()),
    ("FAILED", |run| run.failed_items.to_string()),
    ("CALLS", |run| run.calls.to_string()),
    ("STARTED", |run| output::time(run.started_at)),
    ("ENDED AT", |run| output::time(run.completed_at)),
    ("ERROR", |run| output::short(run.error_log.as_deref())),
];
