//! `check`: one line for each thing that must be right, with advice if it is not.

use clap::Args;

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{Given, SERVER, flags},
};
use crate::{
    app::check::{Finding, Status, check},
    config::{Config, Need},
    entities::Entities,
    http::dto,
    telemetry,
};

/// Check the configuration, the database, the Zoho credentials, the webhook secret and the clock
#[derive(Args)]
#[command(args = flags(&SERVER), after_help = "Example:\n  tds-server check && tds-server bulk-sync --mode full\n\n\
    The command reads the same settings as serve, changes nothing, and says how to fix what it finds. If a server\n\
    with the same credentials is running, the command shows what that server reports about Zoho. Otherwise it\n\
    makes a few calls to Zoho, and mints an access token if the processes do not share one.")]
pub(crate) struct CheckArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let read = |need| Config::from_lookup(|name| lookup.get(name), need);
        let (mut errors, mut config) = match read(Need::Serve) {
            Ok(config) => (Vec::new(), Some(config)),
            // The errors may not concern the database, so the database is checked nevertheless.
            Err(errors) => (errors.0, read(Need::Database).ok()),
        };
        if let Some(config) = &mut config {
            errors.extend(config.catalogue(&entities.catalogue).err());
            if lookup.get("RUST_LOG").is_none() {
                config.log.filter = "error".to_owned();
            }
            telemetry::init(&config.log);
        }
        let report = check(&errors, config.as_ref()).await;
        let ok = report.ok;
        if self.json {
            output::json(&dto::CheckReport::from(report))?;
        } else {
            for finding in report.checks {
                output::data(&output::clean(&line(&finding)))?;
            }
        }
        if ok { Ok(()) } else { Err(Failure::Reported) }
    }
}

fn line(finding: &Finding) -> String {
    let status = match finding.status {
        Status::Failed => "FAILED",
        other => other.as_str(),
    };
    let hint = finding.hint.as_ref().map(|hint| format!(" → {hint}")).unwrap_or_default();
    format!("{status:<8} {:<15} {}{hint}", finding.name, finding.detail).replace(['\n', '\r'], " ")
}
