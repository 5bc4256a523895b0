//! `verify`: compares Zoho and the ERP in the foreground. If a server works on the database, the server executes the
//! runs. Otherwise this process executes them, as `bulk-sync` does.

use std::time::Duration;

use clap::Args;
use tds_core::{
    record::EntityType,
    runs::RunStatus,
    shutdown::Shutdown,
    verify::{DriftClass, EntityReport, MoneyDifference, VerificationReport},
};

use super::{
    bulk_sync::{follow, foreground_config},
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    settings::{ACCESS, DATABASE, ENTITIES, Given, MIRROR, VERIFY, WORKER, ZOHO, flags},
    signals,
};
use crate::{
    app::{
        bulk_sync::Execution,
        runs::{Runs, Started},
        verify::{Request, Verifications, is_sound, verification_of},
    },
    engine::Engine,
    entities::Entities,
    http::dto,
};

/// The time between two looks for the end of the verification.
const LOOK: Duration = Duration::from_millis(500);

/// Compare Zoho and the ERP, field by field
#[derive(Args)]
#[command(args = flags(&[ENTITIES, VERIFY, ZOHO, WORKER, MIRROR, ACCESS, DATABASE]), after_help = "Examples:\n  tds-server verify\n  \
    tds-server verify --entity products,stock --repair\n  tds-server verify --json > report.json\n\n\
    Each record that differs is looked at a second time before it is reported, and again until a change of the last\n\
    minute has arrived. Exit status 1: records differ and are not repaired, a check of money does not hold, a record\n\
    could not be read from Zoho, or a run failed.\n\n\
    If a server uses the same database, the server executes the runs and this command waits for them. Ctrl-C stops the\n\
    command; the next verify or serve continues.")]
pub(crate) struct VerifyArgs {
    /// Entity types to compare, comma separated [default: all]
    #[arg(long = "entity", value_name = "ENTITIES", value_delimiter = ',')]
    entities: Vec<EntityType>,
    /// Read the records that differ from Zoho again and write them
    #[arg(long)]
    repair: bool,
    /// Print the report as JSON, in the format of the API
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let config = foreground_config(&Lookup::load(flags)?, "verify")?;
        let shutdown = signals::shutdown()?;
        let engine = Engine::build(&config, entities).await?;
        let asked = (!self.entities.is_empty()).then(|| self.entities.clone());
        let request = Request { entities: asked, repair: self.repair, requested_by: "cli" };
        let report = compare(&engine, request, &shutdown).await;
        engine.close().await;
        let report = report?;
        let is_complete = report.status == RunStatus::Completed;
        let passes = is_complete && is_sound(&report);
        if self.json {
            output::json(&dto::VerificationReport::from(report))?;
        } else {
            print(&report, self.repair)?;
        }
        if passes { Ok(()) } else { Err(Failure::Reported) }
    }
}

/// Compares both sides and waits for the end of the comparison, which a server or this process executes. A report that
/// is not complete was interrupted.
pub(super) async fn compare(
    engine: &Engine,
    request: Request,
    shutdown: &Shutdown,
) -> CommandResult<VerificationReport> {
    output::talk(&format!("target: {}", engine.storage.database.target()));
    let services = &engine.services;
    let verifications = Verifications(services.ports.clone());
    let Started { mut runs, active } = verifications.start(services, request).await?;
    for run in &active {
        output::talk(&format!("{}: run {} already compares it", run.entity_type, run.id));
    }
    if runs.is_empty() {
        runs = active;
    }
    let id = verification_of(&runs).ok_or_else(|| Failure::failed("there is nothing to compare"))?;
    let mut execution = Execution::new(engine, runs.iter().map(|run| run.id).collect());
    let ended = follow(&Runs(services.ports.clone()), runs, &mut execution, shutdown).await;
    execution.stop().await;
    let runs = ended?;
    loop {
        let report = verifications.find(id.0).await?;
        let is_over = report.completed_at.is_some() || runs.iter().any(|run| run.status.is_active());
        if is_over || shutdown.sleep(LOOK).await {
            return Ok(report);
        }
        // Without a server, nobody else completes the verification.
        services.engine.finish_verifications().await?;
    }
}

/// Prints a table of the entity types, one of the money checks, and the first records that differ.
fn print(report: &VerificationReport, repair: bool) -> CommandResult {
    output::data(&output::table(ENTITIES_OF, &report.entities))?;
    if !report.money.is_empty() {
        output::data("")?;
        output::data(&output::table(MONEY, &report.money))?;
    }
    let differing =
        || report.entities.iter().flat_map(|entity| entity.examples.iter().map(move |it| (entity, it)));
    let open: Vec<_> = differing().filter(|(_, finding)| finding.repaired_at.is_none()).collect();
    if !open.is_empty() {
        output::data("")?;
    }
    for (entity, finding) in open {
        let fields =
            finding.fields.iter().map(|it| format!("{} (Zoho {}, ERP {})", it.field, it.source, it.target));
        let fields: Vec<String> = fields.collect();
        let line =
            format!("{} {}: {} {}", entity.entity, finding.id, finding.class.as_str(), fields.join(", "));
        output::data(output::clean(line.trim_end()).as_ref())?;
    }
    let hints = [
        (
            report.completed_at.is_none(),
            "the verification is not complete; the next verify or serve continues it".to_owned(),
        ),
        (
            report.drift_total() > 0 && !repair,
            format!("{} records differ; verify --repair reads them from Zoho again", report.drift_total()),
        ),
        (
            report.drift_total() > 0 && repair,
            format!("{} records still differ; see queue list --status dead_letter", report.drift_total()),
        ),
        (
            report.money.iter().any(|row| !row.holds),
            "a check of money does not hold; see docs/operations/verification.md".to_owned(),
        ),
    ];
    hints.into_iter().filter(|(holds, _)| *holds).for_each(|(_, hint)| output::talk(&hint));
    Ok(())
}

fn drift(entity: &EntityReport, class: DriftClass) -> String {
    entity.drift.get(&class).copied().unwrap_or_default().to_string()
}

const ENTITIES_OF: &[Column<EntityReport>] = &[
    ("ENTITY", |entity| entity.entity.to_string()),
    ("STATUS", |entity| entity.status.as_str().to_owned()),
    ("COMPARED", |entity| entity.counts.compared.to_string()),
    ("MISSING HERE", |entity| drift(entity, DriftClass::MissingLocal)),
    ("MISSING IN ZOHO", |entity| drift(entity, DriftClass::MissingRemote)),
    ("STALE", |entity| drift(entity, DriftClass::Stale)),
    ("FIELDS", |entity| drift(entity, DriftClass::FieldDiff)),
    ("IN FLIGHT", |entity| entity.in_flight.to_string()),
    ("REPAIRED", |entity| entity.repaired.to_string()),
    ("CALLS", |entity| entity.calls.to_string()),
    ("SAMPLE", |entity| match dto::sample_bound_percent(entity.counts.sampled) {
        Some(bound) => format!("{} (bound {bound} %)", entity.counts.sampled),
        None => "-".to_owned(),
    }),
    ("ERROR", |entity| output::short(entity.error.as_deref())),
];

const MONEY: &[Column<MoneyDifference>] = &[
    ("MONEY", |row| row.check.clone()),
    ("CURRENCY", |row| output::or_dash(row.currency.as_deref())),
    ("OF", |row| output::or_dash(row.of.as_deref())),
    ("ZOHO", |row| output::or_dash(row.source.as_deref())),
    ("ERP", |row| output::or_dash(row.target.as_deref())),
    ("DIFFERENCE", |row| row.difference.clone()),
    ("HOLDS", |row| if row.holds { "yes" } else { "no" }.to_owned()),
    ("FIRST EXAMPLE", |row| output::short(row.examples.first().map(String::as_str))),
];
