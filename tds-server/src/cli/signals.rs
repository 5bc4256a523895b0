//! SIGINT and SIGTERM. The first signal asks the process to stop. A second signal ends the process immediately, and so
//! does the time limit.

use std::{process, time::Duration};

use tds_core::shutdown::{Shutdown, ShutdownTrigger};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{exit::CommandResult, output};

/// The process ends within ten seconds of the signal, whatever hangs. Every part has its own shorter limit.
const LIMIT: Duration = Duration::from_millis(9_500);

/// Returns a shutdown signal that the first SIGINT or SIGTERM raises.
pub(crate) fn shutdown() -> CommandResult<Shutdown> {
    shutdown_after(Duration::ZERO)
}

/// Like [`shutdown`], for a program that goes on for this delay after the first signal before it stops.
pub(crate) fn shutdown_after(delay: Duration) -> CommandResult<Shutdown> {
    let (trigger, shutdown) = ShutdownTrigger::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        output::say("stopping; a second signal stops the program at once");
        trigger.shutdown();
        tokio::select! {
            number = either(&mut interrupt, &mut terminate) => process::exit(128 + number),
            () = tokio::time::sleep(delay + LIMIT) => {
                output::say("the program did not stop in time and ends now; claimed items are claimed again \
                             when their leases end");
                process::exit(1);
            }
        }
    });
    Ok(shutdown)
}

/// Waits for either signal and returns its number.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
    }
}
