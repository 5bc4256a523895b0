//! The binary: see [`tds_server::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tds_server::cli::main()
}
