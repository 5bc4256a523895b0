//! `runs list | show | cancel | resume | confirm-deletions`.

use clap::{Args, Subcommand};
use tds_core::{
    record::EntityType,
    runs::{Run, RunFilter, RunStatus},
};

use super::{
    exit::CommandResult,
    output::{self, Table},
    parse,
    settings::{DATABASE, flags},
    store::Store,
};
use crate::http::dto;

/// Sync runs.
#[derive(Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    action: RunsAction,
}

#[derive(Subcommand)]
enum RunsAction {
    /// Lists runs, newest first
    #[command(args = flags(&[DATABASE]), after_help = "Example:\n  tds-server runs list --entity invoices --limit 5")]
    List {
        /// Show only runs of this entity type, such as products
        #[arg(long)]
        entity: Option<EntityType>,
        /// Show only runs with this status
        #[arg(long, value_name = "STATUS",
              value_parser = parse::one_of(RunStatus::ALL, RunStatus::as_str))]
        status: Option<RunStatus>,
        /// Largest number of runs to show
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page: the next_cursor of the page before
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON, as the API answers it
        #[arg(long)]
        json: bool,
    },
    /// Shows one run
    Show(One),
    /// Cancels a run; its effects so far stay
    Cancel(One),
    /// Resumes a failed or cancelled run at its checkpoint; a running server does the work
    Resume(One),
    /// Releases held deletions: each record is first looked up in Zoho
    #[command(name = "confirm-deletions")]
    ConfirmDeletions(One),
}

/// One run.
#[derive(Args)]
#[command(args = flags(&[DATABASE]))]
struct One {
    /// Id of the run
    id: i64,
    /// Print JSON, as the API answers it
    #[arg(long)]
    json: bool,
}

impl RunsArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let runs = store.runs();
        match self.action {
            RunsAction::List { entity, status, limit, cursor, json, .. } => {
                let filter = RunFilter { entity, status };
                let page = runs.list(&filter, limit.into(), cursor.as_deref()).await?;
                if json {
                    output::json(&dto::RunList::from(page))
                } else {
                    list(&page.items, page.next_cursor.as_deref(), store.place())
                }
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
            format!("{:.0} %", run.progress_percent()),
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
