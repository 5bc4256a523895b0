//! `prune`.

use std::time::Duration;

use clap::Args;

use super::{
    exit::CommandResult,
    output, parse,
    settings::{DatabaseSettings, Flags, Given},
    store::Store,
};

/// Which finished rows go.
#[derive(Args)]
pub(crate) struct PruneArgs {
    /// Age at which they go, such as 30d
    #[arg(long, value_name = "AGE", value_parser = parse::duration, default_value = "30d")]
    older_than: Duration,
    /// Dead letters too
    #[arg(long)]
    dead_letters: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Flags for PruneArgs {
    fn collect(&self, given: &mut Given) {
        self.database.collect(given);
    }
}

impl PruneArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let deleted = store.queue().prune(self.older_than, self.dead_letters).await?;
        output::talk(&format!("{deleted} rows deleted"));
        Ok(())
    }
}
