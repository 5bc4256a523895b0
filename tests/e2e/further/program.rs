//! TDS with one more entity type, as an author outside this repository would build it.

mod estimates;

use std::process::ExitCode;

fn main() -> ExitCode {
    tds_server::cli::run(&estimates::entities())
}
