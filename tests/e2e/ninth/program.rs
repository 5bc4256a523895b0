//! TDS with one more entity type, as an author outside this repository would build it.

mod sales_orders;

use std::process::ExitCode;

fn main() -> ExitCode {
    tds_server::cli::run(&sales_orders::entities())
}
