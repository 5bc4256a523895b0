//! The binary: see [`tds_server::cli`].

use std::process::ExitCode;

/// A webhook is hundreds of small allocations, made and freed on whichever threads are free: there glibc's allocator
/// costs a fifth of the server's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tds_server::cli::main()
}
