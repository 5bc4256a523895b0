//! `check`: one line for each thing that must be right, with advice if it is not.

mod items;

use clap::Args;
use serde::Serialize;

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{Given, SERVER, flags},
};
use crate::{
    config::{Config, Need},
    telemetry,
};

/// What is to be looked at.
#[derive(Args)]
#[command(args = flags(&SERVER), after_help = "Example:\n  tds-server check && tds-server bulk-sync --mode full\n\n\
    The command reads the settings as serve does, and changes nothing. If a server with the same credentials runs,\n\
    the command shows what that server reports about Zoho. Otherwise it makes a few calls to Zoho, and mints an\n\
    access token if the copies share none.")]
pub(crate) struct CheckArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// The result of one check.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Everything is right.
    Ok,
    /// It works, but should be improved.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be checked, because an earlier check failed.
    Skipped,
}

/// One line of the report.
#[derive(Serialize)]
struct Finding {
    name: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Report {
    checks: Vec<Finding>,
    ok: bool,
}

impl Finding {
    fn new(name: &'static str, status: Status, detail: impl Into<String>, hint: Option<&str>) -> Self {
        Self { name, status, detail: detail.into(), hint: hint.map(str::to_owned) }
    }

    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, detail, None)
    }

    fn warning(name: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self::new(name, Status::Warning, detail, Some(hint))
    }

    fn failed(name: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self::new(name, Status::Failed, detail, Some(hint))
    }

    fn skipped(name: &'static str, detail: &str) -> Self {
        Self::new(name, Status::Skipped, detail, None)
    }

    fn line(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        };
        let hint = self.hint.as_ref().map(|hint| format!(" → {hint}")).unwrap_or_default();
        format!("{status:<8} {:<15} {}{hint}", self.name, self.detail).replace(['\n', '\r'], " ")
    }
}

impl CheckArgs {
    pub(crate) async fn run(self, flags: Given) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let findings = look(&lookup).await;
        let ok = !findings.iter().any(|finding| finding.status == Status::Failed);
        if self.json {
            output::json(&Report { checks: findings, ok })?;
        } else {
            for finding in findings {
                output::data(&output::clean(&finding.line()))?;
            }
        }
        if ok { Ok(()) } else { Err(Failure::Reported) }
    }
}

async fn look(lookup: &Lookup) -> Vec<Finding> {
    let read = |need| Config::from_lookup(|name| lookup.get(name), need);
    let mut findings = Vec::new();
    let config = match read(Need::Serve) {
        Ok(config) => {
            findings.push(Finding::ok("configuration", items::summary(&config)));
            Some(config)
        }
        Err(errors) => {
            let hint = "docs/configuration.md explains every variable";
            findings.extend(
                errors.0.iter().map(|error| Finding::failed("configuration", error.to_string(), hint)),
            );
            // The configuration errors may not concern the database, so the database is checked nevertheless.
            read(Need::Database).ok()
        }
    };
    let Some(mut config) = config else {
        let names =
            ["database", "connections", "schema", "exposures", "zoho", "budget", "webhook secret", "clock"];
        findings.extend(names.map(|name| Finding::skipped(name, "the configuration is not usable")));
        return findings;
    };
    if lookup.get("RUST_LOG").is_none() {
        config.log.filter = "error".to_owned();
    }
    telemetry::init(&config.log);
    let (database, storage) = items::database(&config).await;
    findings.extend(database);
    findings.extend(items::zoho(&config, storage.as_ref()).await);
    findings.push(items::webhooks(&config));
    if let Some(storage) = storage {
        storage.close().await;
    }
    findings
}
