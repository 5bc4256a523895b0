//! `runs list | show | cancel | resume | confirm-deletions`.

use clap::{Args, Subcommand};
use serde_json::json;
use tds_core::{
    record::EntityType,
    runs::{Run, RunFilter, RunId, RunStatus, SyncRun},
};

use super::{
    exit::{CommandResult, Failure},
    output::{self, Table},
    parse,
    settings::{DatabaseSettings, Flags, Given},
    store::Store,
};
use crate::http::routes::runs::STATUSES;

/// Sync runs.
#[derive(Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    action: RunsAction,
}

#[derive(Subcommand)]
enum RunsAction {
    /// Lists runs, newest first
    #[command(after_help = "Example:\n  tds-server runs list --entity invoices --limit 5")]
    List {
        /// One entity type, such as products
        #[arg(long)]
        entity: Option<EntityType>,
        /// One status
        #[arg(long, value_name = "STATUS",
              value_parser = parse::one_of::<RunStatus>(STATUSES.map(RunStatus::as_str)))]
        status: Option<RunStatus>,
        /// Runs to show at most
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Where the page before ended (its next_cursor)
        #[arg(long)]
        cursor: Option<String>,
        /// Print the document of the API
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Shows one run
    Show(One),
    /// Stops a run; what was done stays
    Cancel(One),
    /// Lets a failed or cancelled run go on at its checkpoint; a running server does the work
    Resume(One),
    /// Releases the deletions that the mass-delete guard held back: each is confirmed in Zoho first
    #[command(name = "confirm-deletions")]
    ConfirmDeletions(One),
}

/// One run.
#[derive(Args)]
struct One {
    /// The run's id
    id: i64,
    /// Print the document of the API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Flags for RunsArgs {
    fn collect(&self, given: &mut Given) {
        match &self.action {
            RunsAction::List { database, .. } => database.collect(given),
            RunsAction::Show(one)
            | RunsAction::Cancel(one)
            | RunsAction::Resume(one)
            | RunsAction::ConfirmDeletions(one) => one.database.collect(given),
        }
    }
}

impl RunsArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let runs = store.runs();
        match self.action {
            RunsAction::List { entity, status, limit, cursor, json, .. } => {
                let filter = RunFilter { entity, status };
                let page = runs.runs_page(&filter, limit.into(), cursor.as_deref()).await?;
                if json {
                    output::json(&json!({ "runs": page.items, "next_cursor": page.next_cursor }))
                } else {
                    list(&page.items, page.next_cursor.as_deref(), store.place())
                }
            }
            RunsAction::Show(one) => one.print(&find(runs, one.id).await?),
            RunsAction::Cancel(one) => one.print(&runs.cancel(RunId(one.id)).await?),
            RunsAction::Resume(one) => one.print(&runs.resume(RunId(one.id)).await?),
            RunsAction::ConfirmDeletions(one) => {
                let released = runs.confirm_deletions(RunId(one.id)).await?;
                if one.json {
                    return output::json(&json!({ "affected": released }));
                }
                output::talk(&format!("{released} deletions will be confirmed in Zoho one by one"));
                Ok(())
            }
        }
    }
}

impl One {
    fn print(&self, run: &Run) -> CommandResult {
        if self.json { output::json(run) } else { output::record(run) }
    }
}

async fn find(runs: &dyn SyncRun, id: i64) -> CommandResult<Run> {
    runs.get_run(RunId(id)).await?.ok_or_else(|| Failure::failed(format!("there is no run {id}")))
}

fn list(runs: &[Run], next: Option<&str>, place: &str) -> CommandResult {
    let mut table = Table::new(&[
        "ID", "ENTITY", "TYPE", "STATUS", "PROGRESS", "LISTED", "ENDED", "FAILED", "CALLS", "STARTED",
        "ENDED AT", "ERROR",
    ]);
    for run in runs {
        table.row(vec![
            run.id.to_string(),
            run.entity_type.to_string(),
            run.run_type.as_str().to_owned(),
            run.status.as_str().to_owned(),
            format!("{:.0} %", run.progress_percent),
            run.total_items.to_string(),
            run.processed_items.to_string(),
            run.failed_items.to_string(),
            run.calls.to_string(),
            output::time(run.started_at),
            output::time(run.completed_at),
            output::short(run.error_log.as_deref()),
        ]);
    }
    output::page(&table, runs.len(), next, place)
}
