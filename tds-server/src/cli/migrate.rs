//! `migrate`.

use clap::Args;
use tds_core::{error::Result, privacy::Redaction as _};
use tds_postgres::{MigrationReport, MigrationSettings, StoreSettings};
use tds_zoho::HiddenValues;

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{ACCESS, DATABASE, Given, MIRROR, flags},
    store::quiet_config,
};
use crate::{
    config::Need,
    engine::{BuildError, Storage, migration_settings},
    entities::Entities,
};

/// Bring the schema of the database up to date and exit; safe while other processes run
#[derive(Args)]
#[command(
    args = flags(&[MIRROR, ACCESS, DATABASE]),
    after_help = "A database that comes from a dump, or whose server was recovered to an earlier time, is noticed by itself. One that\n\
    comes from an earlier state of its disk is not: start no server before you have run\n  \
    tds-server migrate --after-restore"
)]
pub(crate) struct MigrateArgs {
    /// Prepare a database that was restored from a backup for what happened after the backup
    #[arg(long)]
    after_restore: bool,
}

impl MigrateArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let config = quiet_config(&Lookup::load(flags)?, Need::Database)?;
        let catalogue =
            config.catalogue(&entities.catalogue).map_err(|error| Failure::usage(error.to_string()))?;
        let storage = Storage::open(&config.database, StoreSettings::default()).await?;
        let settings = MigrationSettings {
            restored: self.after_restore,
            fills_local_ids: true,
            ..migration_settings(&config, entities)
        };
        let hidden = HiddenValues(catalogue);
        let done = migrate(&storage, &settings, &hidden).await;
        storage.close().await;
        let (report, redacted) = done.map_err(BuildError::from)?;
        if redacted > 0 {
            output::talk(&format!("values of hidden columns were removed from {redacted} stored rows"));
        }
        for note in &report.notes {
            output::talk(&format!("note: {note}"));
        }
        output::talk(&match report.applied.len() + report.further.len() {
            0 if !report.functions.is_empty() => format!(
                "{}: functions applied ({}), the schema has version {}",
                report.target,
                report.functions.join(", "),
                report.to
            ),
            0 => format!("{}: nothing to do, the schema has version {}", report.target, report.to),
            count => format!(
                "{}: {count} migrations applied, from version {} to {}",
                report.target, report.from, report.to
            ),
        });
        Ok(())
    }
}

/// Migrates, and redacts what is stored. Returns the number of redacted rows as well.
async fn migrate(
    storage: &Storage,
    settings: &MigrationSettings<'_>,
    hidden: &HiddenValues,
) -> Result<(MigrationReport, u64)> {
    if settings.organization.is_none() {
        storage.store.check_rules(&hidden.rules()).await?;
    }
    let report = storage.database.migrate_with(settings).await?;
    Ok((report, storage.database.redact(hidden).await?))
}
