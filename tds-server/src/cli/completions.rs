//! `completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, exit::CommandResult, output};

/// Prints shell completions.
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> CommandResult {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tds-server", &mut script);
        output::data(&String::from_utf8_lossy(&script))
    }
}
