//! `demo`.

use std::time::Duration;

use clap::Args;
use tds_core::shutdown::ShutdownTrigger;

use super::{
    exit::CommandResult,
    lookup::Lookup,
    output, parse,
    settings::{Given, Setting, flags},
    signals,
};
use crate::{
    demo::{self, Demo, DemoOptions},
    entities::Entities,
};

/// How the demo is.
#[derive(Args)]
#[command(
    args = flags(&[DEMO]).into_iter().map(|flag| flag.help_heading(None)),
    after_help = "Examples:\n  tds-server demo\n  tds-server demo --scale 100 --change-every 200ms\n  \
    tds-server demo --for 60s --bind 127.0.0.1:8080\n\n\
    The data are stored in the directory demo below TDS_DATA_DIR, and are created again at each start."
)]
pub(crate) struct DemoArgs {
    /// Size of the organization, in percent of a shop with 2,200 items and 24,000 invoices
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    scale: u64,
    /// Time between two changes in the organization
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::duration)]
    change_every: Duration,
    /// Time after which the demo ends by itself, such as 60s
    #[arg(long = "for", value_name = "TIME", value_parser = parse::duration)]
    ends_after: Option<Duration>,
}

/// The settings that the demo accepts from outside.
const DEMO: &[Setting] = &[
    ("bind", "TDS_BIND", "Listen address [default: 127.0.0.1:8000]"),
    ("data-dir", "TDS_DATA_DIR", "Directory of the demo's database [default: .tds]"),
    ("pg-bin-dir", "PG_BIN_DIR", "Directory of initdb and postgres [default: searched for]"),
    ("log", "RUST_LOG", "Log level or directives [default: warn]"),
];

impl DemoArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let options = DemoOptions { scale: self.scale, change_every: self.change_every };
        let interrupted = signals::shutdown()?;
        let (trigger, stop) = ShutdownTrigger::new();
        output::talk("starting PostgreSQL and the simulated organization …");
        let demo = Demo::start(&options, entities, |variable| lookup.get(variable)).await?;
        output::data(&demo.introduction())?;
        let ends_after = self.ends_after;
        tokio::spawn(async move {
            match ends_after {
                Some(time) => drop(interrupted.sleep(time).await),
                None => interrupted.wait().await,
            }
            trigger.shutdown();
        });
        demo.run(stop, output::talk).await.map_err(demo::DemoError::into)
    }
}

impl From<demo::DemoError> for super::Failure {
    fn from(error: demo::DemoError) -> Self {
        match error {
            demo::DemoError::Config(errors) => errors.into(),
            demo::DemoError::Build(error) => error.into(),
            other => Self::failed(other.to_string()),
        }
    }
}
