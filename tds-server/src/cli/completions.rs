//! `completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{exit::CommandResult, output};

/// Print a shell completion script
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to print the script for
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self, mut program: Command) -> CommandResult {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "tds-server", &mut script);
        // The bash generator writes the hyphen of the program's name in two ways, so that one part of the script does
        // not know the names that another part finds. Without this replacement, bash would offer nothing below the
        // first level.
        output::data(&String::from_utf8_lossy(&script).replace("tds__subcmd__server", "tds__server"))
    }
}
