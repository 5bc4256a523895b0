//! The command line for people and scripts.

mod auth;
mod bulk_sync;
mod check;
mod completions;
mod conflicts;
#[cfg(all(feature = "embedded", feature = "sim"))]
mod demo;
mod dotenv;
mod erase;
mod exit;
mod explain;
mod healthcheck;
mod hidden;
mod images;
mod inbox;
mod lookup;
mod man;
mod migrate;
mod mode;
mod openapi;
mod outbox;
mod output;
mod parse;
mod pause;
mod plan;
mod progress;
mod prune;
mod queue;
mod readiness;
mod replaced;
mod report;
mod runs;
mod schema;
mod serve;
pub(crate) mod settings;
mod signals;
mod store;
mod verify;
mod webhook;
mod webhooks;
mod would;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tds_zoho::entities::Catalogue;

use self::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    settings::{Given, given},
    store::Store,
};
use crate::entities::Entities;

/// Keep the PostgreSQL database of an ERP in sync with Zoho Books and Zoho Inventory.
#[derive(Parser)]
#[command(
    name = "tds-server",
    version,
    max_term_width = 110,
    subcommand_help_heading = "Commands",
    after_help = "If no command is given, the server starts, as with serve.\n\n\
        Settings come from flags, then from the environment, then from the file .env of the working directory.\n\
        Exit status: 0 for success, 1 for failure, 2 for wrong usage or configuration.\n\n\
        Examples:\n  tds-server demo\n  tds-server check\n  tds-server bulk-sync --entity products --mode full\n  \
        tds-server queue list --status dead_letter"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Migrate the database, then run the HTTP API, the workers and the scheduler (the default)
    Serve(serve::ServeArgs),
    /// Run the server against a simulated Zoho organization that keeps changing; needs no configuration
    #[cfg(all(feature = "embedded", feature = "sim"))]
    Demo(demo::DemoArgs),
    /// Bring the schema of the database up to date and exit; safe while other processes run
    Migrate(migrate::MigrateArgs),
    /// Run one bulk sync in the foreground
    BulkSync(bulk_sync::BulkSyncArgs),
    /// Compare Zoho and the ERP, field by field, and repair what differs
    Verify(verify::VerifyArgs),
    /// Download product images to the image store
    Images(images::ImagesArgs),
    /// Check the configuration, the database, the Zoho credentials, the webhook secret and the clock
    Check(check::CheckArgs),
    /// Show what the schedules, webhooks, verification and pushes cost in calls a day
    Plan(plan::PlanArgs),
    /// Print the schema as a script, or show which roles have privileges that they should not have
    Schema(schema::SchemaArgs),
    /// Get a refresh token and choose the organization
    Auth(auth::AuthArgs),
    /// Register webhooks and rules in Zoho, and check them
    Webhooks(webhooks::WebhooksArgs),
    /// Send test deliveries
    Webhook(webhook::WebhookArgs),
    /// Show and change which side of an entity type is written, and who wins a conflict
    Mode(mode::ModeArgs),
    #[command(flatten)]
    Stored(StoredCommand),
    /// Ask whether a server is ready: exit status 0 if /readyz answers 200
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Print a shell completion script
    #[command(after_help = "Example:\n  tds-server completions bash > /etc/bash_completion.d/tds-server")]
    Completions(completions::CompletionsArgs),
    /// Print the man page, or write a page for each command
    Man(man::ManArgs),
}

/// Commands that need only the database.
#[derive(Subcommand)]
enum StoredCommand {
    /// List, show, retry and discard queue items
    Queue(queue::QueueArgs),
    /// List, show and replay raw webhook events
    Inbox(inbox::InboxArgs),
    /// List, show, cancel and resume sync runs
    Runs(runs::RunsArgs),
    /// Show the changes that programs made in the ERP, with their pushes to Zoho
    Outbox(outbox::OutboxArgs),
    /// Show and decide conflicts: fields that the ERP and Zoho both changed
    Conflicts(conflicts::ConflictsArgs),
    /// Show every delivery, read and write of a record, with versions, decisions and changes
    Explain(explain::ExplainArgs),
    /// Remove a person's data from the database, and keep it from coming back
    Erase(erase::EraseArgs),
    /// Pause the processing of an entity type in all processes of TDS
    Pause(pause::PauseArgs),
    /// Resume the processing of an entity type
    Resume(pause::PauseArgs),
    /// Show whether the mirror can be relied upon, measured over the last seven days
    Readiness(readiness::ReadinessArgs),
    /// Write the report on the last days, as Markdown or HTML
    Report(report::ReportArgs),
    /// Delete finished rows, in small batches
    #[command(after_help = "Example:\n  tds-server prune --older-than 90d --dead-letters")]
    Prune(prune::PruneArgs),
}

/// Calls [`run`] with the entity types of TDS.
#[must_use]
pub fn main() -> ExitCode {
    run(&Entities::default())
}

/// Runs the program that the command line asks for, with these entity types, and returns its exit status: 0 done, 1
/// failed, 2 wrong usage or configuration. The `main` of a program with its own entity types calls this function.
#[must_use]
pub fn run(entities: &Entities) -> ExitCode {
    let parsed = program(&entities.catalogue).try_get_matches().and_then(|matches| {
        let flags = given(&matches);
        Cli::from_arg_matches(&matches).map(|cli| (cli, flags))
    });
    let (cli, flags) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are answers (0), everything else is wrong usage (2).
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let command = cli.command.unwrap_or(Command::Serve(serve::ServeArgs {}));
    match block_on(command.run(flags, entities)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(failure),
    }
}

/// Returns the command line for these entity types.
fn program(catalogue: &Catalogue) -> clap::Command {
    parse::entities(Cli::command(), catalogue)
}

/// Reports the reason of a failure on stderr and returns the exit status.
fn report(failure: Failure) -> ExitCode {
    let (messages, status) = match failure {
        Failure::OutputClosed => return ExitCode::SUCCESS,
        Failure::Reported => (Vec::new(), 1),
        Failure::Failed(message) => (vec![message], 1),
        Failure::Usage(messages) => (messages, 2),
    };
    messages.iter().for_each(|message| output::fail(message));
    ExitCode::from(status)
}

fn block_on(command: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime cannot be started: {error}")))?;
    let result = runtime.block_on(command);
    // Tasks that still run are no longer needed and must not delay the exit.
    runtime.shutdown_background();
    result
}

impl Command {
    async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        match self {
            Self::Serve(args) => args.run(flags, entities).await,
            #[cfg(all(feature = "embedded", feature = "sim"))]
            Self::Demo(args) => args.run(flags, entities).await,
            Self::Migrate(args) => args.run(flags, entities).await,
            Self::BulkSync(args) => args.run(flags, entities).await,
            Self::Verify(args) => args.run(flags, entities).await,
            Self::Images(args) => args.run(flags, entities).await,
            Self::Check(args) => args.run(flags, entities).await,
            Self::Plan(args) => args.run(flags, entities).await,
            Self::Schema(args) => args.run(flags).await,
            Self::Auth(args) => args.run(flags, entities).await,
            Self::Webhooks(args) => args.run(flags, entities).await,
            Self::Webhook(args) => args.run(flags, &entities.catalogue).await,
            Self::Mode(args) => args.run(flags, entities).await,
            Self::Stored(command) => command.run(flags, entities).await,
            Self::Healthcheck(args) => args.run(flags).await,
            Self::Openapi => openapi::run(&entities.catalogue),
            Self::Completions(args) => args.run(program(&entities.catalogue)),
            Self::Man(args) => args.run(program(&entities.catalogue)),
        }
    }
}

impl StoredCommand {
    async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let store = Store::open(&Lookup::load(flags)?, entities).await?;
        let result = self.run_on(&store).await;
        store.close().await;
        result
    }

    async fn run_on(self, store: &Store) -> CommandResult {
        match self {
            Self::Queue(args) => args.run(store).await,
            Self::Inbox(args) => args.run(store).await,
            Self::Runs(args) => args.run(store).await,
            Self::Outbox(args) => args.run(store).await,
            Self::Conflicts(args) => args.run(store).await,
            Self::Explain(args) => args.run(store).await,
            Self::Erase(args) => args.run(store).await,
            Self::Pause(args) => args.run(store, true).await,
            Self::Resume(args) => args.run(store, false).await,
            Self::Readiness(args) => args.run(store).await,
            Self::Report(args) => args.run(store).await,
            Self::Prune(args) => args.run(store).await,
        }
    }
}
