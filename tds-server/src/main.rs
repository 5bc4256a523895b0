//! The binary: see [`tds_server::cli`].

use std::process::ExitCode;

/// A webhook makes hundreds of small allocations, and different threads make and free them. With glibc's allocator,
/// these allocations cost a fifth of the server's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tds_server::cli::main()
}
