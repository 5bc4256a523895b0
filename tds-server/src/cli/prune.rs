//! `prune`.

use std::time::Duration;

use clap::Args;

use super::{
    exit::{CommandResult, Failure},
    output, parse,
    settings::{DATABASE, flags},
    store::Store,
};

/// Rows that ended more recently than this may still be needed: operators look at them, and a repeated delivery is
/// recognised by them.
const RECENT: Duration = Duration::from_secs(3_600);

/// Delete finished rows, and blank the bodies of events, in small batches
#[derive(Args)]
#[command(
    args = flags(&[DATABASE]),
    after_help = "The bodies of ended events are blanked at the age TDS_PAYLOAD_RETENTION (that of TDS_RETENTION, if it is not set),\n\
    whatever --older-than says."
)]
pub(crate) struct PruneArgs {
    /// Minimum age of the rows to delete, such as 30d
    #[arg(long, value_name = "AGE", value_parser = parse::duration, default_value = "30d")]
    older_than: Duration,
    /// Delete dead letters too
    #[arg(long)]
    dead_letters: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl PruneArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        if !self.yes {
            if self.older_than < RECENT {
                return Err(Failure::usage(format!(
                    "prune: {} is less than an hour, and rows that ended so recently are still needed to recognise \
                     duplicates; add --yes to delete them",
                    output::duration(self.older_than)
                )));
            }
            let count = store.items.prunable(self.older_than, self.dead_letters).await?;
            if count > 0 {
                let letters = if self.dead_letters { "including dead letters, " } else { "" };
                let question = format!(
                    "{count} items and events that ended more than {} ago, {letters}will be deleted for good from {}.",
                    output::duration(self.older_than),
                    &store.place
                );
                output::confirm(&question, false)?;
            }
        }
        let deleted = store.items.prune(self.older_than, self.dead_letters).await?;
        let blanked = store.items.blank(store.payload_retention).await?;
        output::talk(&format!("{deleted} rows deleted, {blanked} bodies blanked"));
        Ok(())
    }
}
