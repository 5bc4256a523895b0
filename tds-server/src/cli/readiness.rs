//! `readiness`: whether the mirror can be relied upon.

use clap::Args;

use super::{
    exit::{CommandResult, Failure},
    output::{self, Column},
    settings::{DATABASE, ENTITIES, flags},
    store::Store,
};
use crate::{
    app::readiness::{Check, Verdict, readiness},
    http::dto,
};

/// Show whether the mirror can be relied upon.
#[derive(Args)]
#[command(args = flags(&[DATABASE, ENTITIES]), after_help = "Example:\n  tds-server readiness --json\n\n\
    Exit status 1 if a check is not passed, or if there is not enough data yet. The command makes no call to Zoho and \
    changes nothing. docs/operations/readiness.md explains each check.")]
pub(crate) struct ReadinessArgs {
    /// Print JSON, as the API answers it
    #[arg(long)]
    json: bool,
}

impl ReadinessArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let readiness = readiness(store.ports(), store.catalogue(), |_| false).await?;
        let is_ready = readiness.is_ready();
        if self.json {
            output::json(&dto::Readiness::from(readiness))?;
        } else {
            output::data(&output::table(COLUMNS, &readiness.checks))?;
            let open = readiness.checks.iter().filter(|check| check.status != Verdict::Pass);
            let text = match open.count() {
                0 => "ready: every check is passed".to_owned(),
                count => format!("not ready: {count} of {} checks are not passed", readiness.checks.len()),
            };
            output::data(&format!("\n{text}"))?;
        }
        if is_ready { Ok(()) } else { Err(Failure::Reported) }
    }
}

const COLUMNS: &[Column<Check>] = &[
    ("CHECK", |check| check.name.clone()),
    ("STATUS", |check| check.status.as_str().to_owned()),
    ("VALUE", Check::shown),
    ("TARGET", |check| check.target.to_owned()),
    ("HINT", |check| check.hint.clone()),
];
