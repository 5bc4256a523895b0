//! `bulk-sync`: one bulk sync in the foreground. If a server works on the database, the server executes the runs.
//! Otherwise this process runs the engine of the server, without HTTP, and claims only what was asked for.

use std::time::Duration;

use clap::Args;
use tds_core::{
    record::EntityType,
    runs::{Run, RunStatus, RunType},
    shutdown::Shutdown,
};
use time::{Date, OffsetDateTime};

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    parse,
    progress::Progress,
    settings::{ACCESS, DATABASE, ENTITIES, Given, MIRROR, WORKER, ZOHO, flags},
    signals,
    store::quiet_config,
};
use crate::{
    app::{
        bulk_sync::Execution,
        runs::{BulkSync, MODES, Runs, Started, selection},
        services::{Services, is_lacking},
    },
    config::{Config, Need},
    engine::Engine,
    entities::Entities,
    http::dto,
};

/// Zoho gives at most 10 access tokens in 10 minutes. This command mints a token only if fewer than this number have
/// been minted: a server that starts in the meantime needs tokens as well.
const MOST_MINTS: u32 = 7;
/// The time between two reads of the runs.
const LOOK: Duration = Duration::from_millis(500);
/// The number of consecutive reads of the runs that may fail before the command gives up.
const PATIENCE: u32 = 60;

/// Run one bulk sync in the foreground
#[derive(Args)]
#[command(args = flags(&[ENTITIES, ZOHO, WORKER, MIRROR, ACCESS, DATABASE]), after_help = "Examples:\n  tds-server bulk-sync --mode full\n  \
    tds-server bulk-sync --entity products,customers\n  \
    tds-server bulk-sync --entity invoices --since 2026-11-01\n  \
    tds-server bulk-sync --entity invoices,bills --from 2026-01-01 --to 2026-03-31\n  \
    tds-server bulk-sync --entity customers --ids 460000000026049,460000000026050\n\n\
    --from, --to and --ids read a part of the records, find no deletions and move no cursor. The command first says\n\
    how many calls that costs, and asks if they are more than the day has left.\n\n\
    If a server uses the same database, the server executes the runs and this command shows their progress.\n\
    Otherwise this command executes the runs, and no other work of the queue. Ctrl-C stops the command at the last\n\
    committed page; the next bulk-sync or serve continues from there.")]
pub(crate) struct BulkSyncArgs {
    /// Entity types to sync, comma separated [default: all]
    #[arg(long = "entity", value_name = "ENTITIES", value_delimiter = ',')]
    entities: Vec<EntityType>,
    /// Mode: full reads everything and finds deletions; incremental reads the changes since the last run
    #[arg(long, value_parser = parse::one_of(MODES, RunType::as_str), default_value = "incremental")]
    mode: RunType,
    /// Read only changes since this time, such as 2026-11-01 or 2026-11-01T08:00:00Z (incremental mode only)
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    since: Option<OffsetDateTime>,
    /// Read only the records from this day on, by their own date, such as 2026-01-01
    #[arg(long, value_name = "DATE", value_parser = parse::day)]
    from: Option<Date>,
    /// Read only the records up to this day, by their own date
    #[arg(long, value_name = "DATE", value_parser = parse::day)]
    to: Option<Date>,
    /// Read only the records with these ids, comma separated; for one entity type
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    ids: Option<Vec<String>>,
    /// Do not ask if a part of the records costs more calls than the day has left
    #[arg(long)]
    yes: bool,
    /// Print the finished runs as JSON, in the format of the API
    #[arg(long)]
    json: bool,
}

impl BulkSyncArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let selection = selection((self.from, self.to), self.ids.clone())?;
        let sync = BulkSync { run_type: self.mode, since: self.since, selection, requested_by: "cli" };
        sync.check()?;
        let config = foreground_config(&Lookup::load(flags)?, "bulk-sync")?;
        let shutdown = signals::shutdown()?;
        let engine = Engine::build(&config, entities).await?;
        let result = self.sync(&sync, &engine, &shutdown).await;
        let Services { catalogue, zoho, .. } = engine.services.clone();
        engine.close().await;
        let runs = result?;
        // What an organization without Inventory does not have is no failure of a sync of everything.
        let is_absent =
            |run: &Run| self.entities.is_empty() && is_lacking(&catalogue, &zoho, &run.entity_type);
        let complete = runs.iter().all(|run| run.status == RunStatus::Completed || is_absent(run));
        report(runs, self.json)?;
        if complete { Ok(()) } else { Err(Failure::Reported) }
    }

    async fn sync(&self, sync: &BulkSync, engine: &Engine, shutdown: &Shutdown) -> CommandResult<Vec<Run>> {
        output::talk(&format!("target: {}", engine.storage.database.target()));
        let asked = (!self.entities.is_empty()).then(|| self.entities.clone());
        let runs = Runs(engine.services.ports.clone());
        if sync.selection.is_some() {
            self.tell(&runs, engine, asked.clone(), sync).await?;
        }
        let Started { runs: mut started, active } = runs.start(&engine.services, asked, sync).await?;
        // A run that another caller started belongs to that caller and has no effect on the other entity types. If
        // only such runs are left, the command waits for them.
        let follows = if started.is_empty() {
            "; this command shows its progress"
        } else {
            "; no second run is started"
        };
        for run in &active {
            output::talk(&format!(
                "{}: run {} ({}) is already active{follows}",
                run.entity_type,
                run.id,
                run.run_type.as_str()
            ));
        }
        if started.is_empty() {
            started = active;
        }
        let mut execution = Execution::new(engine, started.iter().map(|run| run.id).collect());
        let followed = follow(&runs, started, &mut execution, shutdown).await;
        execution.stop().await;
        followed
    }
}

impl BulkSyncArgs {
    /// Says what a selection costs. Asks if the day does not have as many calls left.
    async fn tell(
        &self,
        runs: &Runs,
        engine: &Engine,
        asked: Option<Vec<EntityType>>,
        sync: &BulkSync,
    ) -> CommandResult {
        let plans = runs.plan(&engine.services, asked, sync).await?;
        let mut expected = Some(0);
        for (run, plan) in plans.iter().filter_map(|(run, plan)| Some((run, plan.as_ref()?))) {
            let calls =
                plan.expected_calls.map_or("an unknown number of".to_owned(), |calls| calls.to_string());
            output::talk(&format!("{}: {calls} calls expected. {}", run.entity, plan.reason));
            expected = expected.zip(plan.expected_calls).map(|(sum, calls)| sum + calls);
        }
        let left = engine.services.zoho.status().await?.day.left;
        match (expected, left) {
            (Some(expected), Some(left)) if expected > u64::from(left) => {
                let question = format!(
                    "This costs about {expected} calls, and {left} are left today; what is not read today is read on \
                     the following days. Start?"
                );
                output::confirm(&question, self.yes)
            }
            _ => Ok(()),
        }
    }
}

/// Returns the configuration of a command that may execute runs itself.
pub(super) fn foreground_config(lookup: &Lookup, command: &str) -> CommandResult<Config> {
    let mut config = quiet_config(lookup, Need::Sync)?;
    if let Some(zoho) = &mut config.zoho {
        zoho.most_mints = MOST_MINTS;
    }
    if config.worker.concurrency == 0 {
        return Err(Failure::usage(format!(
            "TDS_WORKERS: found 0; accepted: at least 1, because {command} executes the runs itself"
        )));
    }
    Ok(config)
}

/// Shows the progress of the runs until they have ended or the shutdown signal arrives.
pub(super) async fn follow(
    runs: &Runs,
    started: Vec<Run>,
    execution: &mut Execution<'_>,
    shutdown: &Shutdown,
) -> CommandResult<Vec<Run>> {
    let mut progress = Progress::new(&started);
    let mut latest = started;
    let mut failures = 0;
    let mut announced = false;
    loop {
        if execution.look().await && !std::mem::replace(&mut announced, true) {
            output::talk("a server uses this database and executes the runs");
        }
        if !latest.iter().any(|run| run.status.is_active()) || shutdown.sleep(LOOK).await {
            break;
        }
        match runs.latest(&latest).await {
            Ok(seen) => (latest, failures) = (seen, 0),
            Err(_) if failures < PATIENCE => failures += 1,
            Err(refusal) => return Err(refusal.into()),
        }
        progress.show(&latest);
    }
    progress.finish();
    Ok(latest)
}

fn report(runs: Vec<Run>, as_json: bool) -> CommandResult {
    let hints = [
        (
            runs.iter().any(|run| run.status.is_active()),
            "the command stopped before the end; the next bulk-sync or serve continues from the last committed page",
        ),
        (
            runs.iter().any(|run| run.held_deletions > 0),
            "deletions are held back; see runs show ID, then use runs confirm-deletions ID",
        ),
        (
            runs.iter().any(|run| run.failed_items > 0),
            "some records failed; see queue list --status dead_letter",
        ),
    ];
    if as_json {
        output::json(&dto::FollowedRuns::from(runs))?;
    } else {
        output::data(&output::table(COLUMNS, &runs))?;
    }
    hints.into_iter().filter(|(holds, _)| *holds).for_each(|(_, hint)| output::talk(hint));
    Ok(())
}

const COLUMNS: &[Column<Run>] = &[
    ("RUN", |run| run.id.to_string()),
    ("ENTITY", |run| run.entity_type.to_string()),
    ("STATUS", |run| run.status.as_str().to_owned()),
    ("LISTED", |run| run.total_items.to_string()),
    ("ENDED", |run| run.processed_items.to_string()),
    ("UNCHANGED", |run| run.unchanged_items.to_string()),
    ("FAILED", |run| run.failed_items.to_string()),
    ("ERROR", |run| output::short(run.error_log.as_deref())),
];
