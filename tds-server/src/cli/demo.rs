//! `demo`.

use std::time::Duration;

use clap::Args;
use tds_core::shutdown::ShutdownTrigger;

use super::{
    exit::CommandResult,
    lookup::Lookup,
    output, parse,
    settings::{Flags, Given},
    signals,
};
use crate::{
    demo::{self, Demo, DemoOptions},
    entities::Entities,
};

/// How the demo is.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tds-server demo\n  tds-server demo --scale 100 --change-every 200ms\n  \
    tds-server demo --for 60s --bind 127.0.0.1:8080\n\n\
    Its data live in the directory demo below TDS_DATA_DIR and are made anew at each start."
)]
pub(crate) struct DemoArgs {
    /// Size of the organization, in per cent of a shop with 2,200 items and 24,000 invoices
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    scale: u64,
    /// How often something happens in the organization
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::duration)]
    change_every: Duration,
    /// Ends by itself after this time, such as 60s
    #[arg(long = "for", value_name = "TIME", value_parser = parse::duration)]
    ends_after: Option<Duration>,
    /// Listen address [default: 127.0.0.1:8000]
    #[arg(long, value_name = "TDS_BIND")]
    bind: Option<String>,
    /// Where the demo keeps its database [default: .tds]
    #[arg(long, value_name = "TDS_DATA_DIR")]
    data_dir: Option<String>,
    /// Where initdb and postgres are [default: looked for]
    #[arg(long, value_name = "PG_BIN_DIR")]
    pg_bin_dir: Option<String>,
    /// What is logged [default: warn]
    #[arg(long, value_name = "RUST_LOG")]
    log: Option<String>,
}

impl Flags for DemoArgs {
    fn collect(&self, given: &mut Given) {
        let flags = [
            ("TDS_BIND", &self.bind),
            ("TDS_DATA_DIR", &self.data_dir),
            ("PG_BIN_DIR", &self.pg_bin_dir),
            ("RUST_LOG", &self.log),
        ];
        given.extend(flags.into_iter().filter_map(|(variable, value)| Some((variable, value.clone()?))));
    }
}

impl DemoArgs {
    pub(crate) async fn run(self, entities: &Entities) -> CommandResult {
        let lookup = Lookup::load(&self)?;
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
