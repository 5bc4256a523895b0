//! Reports to the service manager (systemd) that started this process: ready, stopping, alive. See sd_notify(3) and
//! sd_watchdog_enabled(3).
//!
//! What counts as alive: the task that accepts connections makes progress, the runtime starts and ends new tasks, and no
//! supervised task fails again and again. A database or a Zoho that does not answer does not count, because a restart
//! would not help: webhooks are then refused with 503, and `/readyz` says so.

use std::{env, ffi::OsStr, io, os::unix::net::UnixDatagram, process, sync::Arc, time::Duration};

use tokio::time::{interval, sleep, timeout};

use crate::{http::state::AppState, supervise::Supervisor};

/// The time between two looks at whether the process is ready, before it is.
const LOOK: Duration = Duration::from_millis(250);
/// The time between two looks at whether the process is ready, afterwards. Each look asks the database.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The longest time for which the runtime may keep a new task waiting.
const ANSWER: Duration = Duration::from_secs(2);

/// The service manager, if one wants to be told. Clones are cheap.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    /// How often the manager must hear that the process is alive.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Returns the service manager that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    #[must_use]
    pub fn from_environment() -> Self {
        let text = |name| env::var(name).ok();
        let watchdog = watchdog(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), process::id());
        let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Self::default();
        };
        match connect(&address) {
            Ok(socket) => Self { socket: Some(Arc::new(socket)), watchdog },
            Err(error) => {
                tracing::warn!(%error, ?address, "NOTIFY_SOCKET: the service manager cannot be told anything");
                Self::default()
            }
        }
    }

    /// Reports that the process begins to stop.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping: requests and batches in progress are finished");
    }

    /// Reports that the process is ready as soon as `/readyz` says so, and that it is alive as long as it is. Never
    /// ends. The caller polls this together with the loop that accepts connections.
    pub(crate) async fn accompany(&self, state: &AppState, supervisor: &Supervisor) {
        if self.socket.is_none() {
            return std::future::pending().await;
        }
        tokio::join!(self.tell_ready(state), self.tell_alive(supervisor));
    }

    async fn tell_ready(&self, state: &AppState) {
        let (mut ready, mut said) = (false, None);
        loop {
            let trouble = state.health.not_ready().await;
            if state.is_draining() {
                return std::future::pending().await;
            }
            let status = match &trouble {
                None => "ready".to_owned(),
                Some(trouble) => format!("not ready: {}", trouble.replace(char::is_control, " ")),
            };
            if trouble.is_none() && !ready {
                ready = true;
                self.tell("READY=1");
            }
            if said.as_ref() != Some(&status) {
                self.tell(&format!("STATUS={status}"));
                said = Some(status);
            }
            sleep(if ready { LOOK_AGAIN } else { LOOK }).await;
        }
    }

    async fn tell_alive(&self, supervisor: &Supervisor) {
        let Some(limit) = self.watchdog else { return std::future::pending().await };
        // Twice in each period, as the manual recommends.
        let mut due = interval(limit / 2);
        loop {
            due.tick().await;
            let failing = supervisor.failing();
            // Only a runtime whose threads are free runs a new task.
            let answers = timeout(ANSWER.min(limit / 4), tokio::spawn(async {})).await.is_ok();
            if answers && failing.is_empty() {
                self.tell("WATCHDOG=1");
            } else {
                tracing::error!(
                    ?failing,
                    answers,
                    "this process does not work any more: the service manager is not told that it is alive, and \
                     will start it again"
                );
            }
        }
    }

    fn tell(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        // A manager that does not read must not stop this process: the socket does not block.
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!(%error, message, "the service manager was not told");
        }
    }
}

/// Connects to the address of a manager: a path, or a name of the abstract namespace of Linux after `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match address.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &str) -> io::Result<()> {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has names without a file"))
}

/// Returns how often the manager of the process with the id `own` must hear from it.
fn watchdog(microseconds: Option<String>, process: Option<String>, own: u32) -> Option<Duration> {
    // The variables may have been inherited from the process that is meant.
    if process.is_some_and(|process| process.parse() != Ok(own)) {
        return None;
    }
    let microseconds = microseconds?.parse().ok().filter(|microseconds| *microseconds > 0)?;
    Some(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::watchdog;

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let of = |microseconds: &str, process: Option<&str>| {
            watchdog(Some(microseconds.to_owned()), process.map(str::to_owned), 17)
        };
        assert_eq!(of("30000000", None), Some(Duration::from_secs(30)));
        assert_eq!(of("30000000", Some("17")), Some(Duration::from_secs(30)));
        for (microseconds, process) in
            [("30000000", Some("18")), ("30000000", Some("")), ("0", None), ("x", None)]
        {
            assert_eq!(of(microseconds, process), None, "{microseconds} {process:?}");
        }
        assert_eq!(watchdog(None, None, 17), None);
    }
}
