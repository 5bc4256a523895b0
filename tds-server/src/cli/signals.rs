//! SIGINT and SIGTERM: the first asks to stop, the second ends the process at once.

use std::process;

use tds_core::{Shutdown, ShutdownTrigger};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{exit::CommandResult, output};

/// A signal to listen to, raised by the first SIGINT or SIGTERM.
pub(crate) fn shutdown() -> CommandResult<Shutdown> {
    let (trigger, shutdown) = ShutdownTrigger::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        output::talk("stopping; once more ends it at once");
        trigger.shutdown();
        let number = either(&mut interrupt, &mut terminate).await;
        process::exit(128 + number);
    });
    Ok(shutdown)
}

/// Waits for either signal and answers its number.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
    }
}
