//! `pause` and `resume`.

use clap::Args;
use tds_core::record::EntityType;

use super::{
    exit::CommandResult,
    output,
    settings::{DATABASE, flags},
    store::Store,
};

/// The arguments of `pause` and `resume`.
#[derive(Args)]
#[command(args = flags(&[DATABASE]))]
pub(crate) struct PauseArgs {
    /// Entity type, such as invoices
    entity: EntityType,
}

impl PauseArgs {
    pub(crate) async fn run(self, store: &Store, paused: bool) -> CommandResult {
        store.items.set_paused(&self.entity, paused).await?;
        output::talk(&match paused {
            true => format!("{} is paused; events are still accepted, and their items wait", self.entity),
            false => format!("{} is processed again", self.entity),
        });
        Ok(())
    }
}
