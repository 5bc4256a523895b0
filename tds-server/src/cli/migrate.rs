//! `migrate`.

use clap::Args;

use super::{
    exit::CommandResult,
    lookup::Lookup,
    output,
    settings::{DatabaseSettings, Flags, Given},
    store::quiet_config,
};
use crate::{config::Need, engine::Storage};

/// Which database.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Flags for MigrateArgs {
    fn collect(&self, given: &mut Given) {
        self.database.collect(given);
    }
}

impl MigrateArgs {
    pub(crate) async fn run(self) -> CommandResult {
        let config = quiet_config(&Lookup::load(&self)?, Need::Database)?;
        let storage = Storage::open(&config.database).await?;
        let migrated = storage.database().migrate().await;
        storage.close().await;
        let report = migrated?;
        output::talk(&match report.applied.len() {
            0 => format!("{}: nothing to do, the schema has version {}", report.target, report.to),
            count => format!(
                "{}: {count} migrations applied, from version {} to {}",
                report.target, report.from, report.to
            ),
        });
        Ok(())
    }
}
