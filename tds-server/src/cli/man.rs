//! `man`.

use std::{fs, path::PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use super::{
    exit::{CommandResult, Failure},
    output,
};

/// Print the man page, or write a page for each command
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tds-server man | man -l -\n  tds-server man --dir /usr/local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// Directory for one page per command, such as tds-server-queue-list.1; it is made if it does not exist
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl ManArgs {
    pub(crate) fn run(self, program: Command) -> CommandResult {
        let Some(directory) = self.dir else {
            let mut page = Vec::new();
            Man::new(program).render(&mut page)?;
            return output::data(&String::from_utf8_lossy(&page));
        };
        let written =
            fs::create_dir_all(&directory).and_then(|()| clap_mangen::generate_to(program, &directory));
        written.map_err(|error| Failure::failed(format!("{}: {error}", directory.display())))
    }
}
