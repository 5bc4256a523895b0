//! Asks the person at the terminal for a secret, which the terminal does not show.

use std::{
    io::{self, IsTerminal as _},
    process,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};

use super::{exit::CommandResult, output};

/// Like [`output::ask`], but what is typed is not shown. Returns `None` if standard input is not a terminal.
///
/// # Errors
/// The terminal cannot be set, so it would show the secret; or it cannot be read.
pub(super) fn ask(question: &str) -> CommandResult<Option<SecretString>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let hidden = HiddenInput::begin()?;
    let answer = output::ask(question);
    drop(hidden);
    Ok(answer?.map(SecretString::from))
}

/// A terminal that does not show what is typed. It shows it again when the value is dropped, or when Ctrl-C ends the
/// program.
struct HiddenInput {
    before: Termios,
}

impl HiddenInput {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let on_interrupt = Self { before: before.clone() };
        let mut interrupts = signal(SignalKind::interrupt())?;
        // The line is read by the thread of the command, so the runtime is free for this task. It stays after the
        // question, because the signal ends the program in no other way any more.
        tokio::spawn(async move {
            interrupts.recv().await;
            drop(on_interrupt);
            process::exit(128 + SignalKind::interrupt().as_raw_value());
        });
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, so that the next output begins on a line of its own.
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // If the terminal is gone, nothing can be shown on it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
