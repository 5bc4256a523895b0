//! Starts, finds and stops the server of a cluster.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tds_core::error::{Error, Result};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{Account, account::command, binaries::Binaries, init::USER, io};

/// Recovery after a crash of the machine replays the write-ahead log since the last checkpoint, which takes time.
const START_WAIT: Duration = Duration::from_secs(300);
const STOP_WAIT_SECONDS: &str = "60";
const POLL: Duration = Duration::from_millis(25);
/// Another process may take a free port before the server has bound it.
const PORTS_TO_TRY: usize = 5;

/// Durable and private settings for a small server. A later setting overrides an earlier one.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "60"),
    ("shared_buffers", "64MB"),
    ("max_wal_size", "512MB"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("password_encryption", "scram-sha-256"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] "),
    ("lc_messages", "C"),
];

/// A server that answers.
#[derive(Debug)]
pub(super) struct Server {
    database_dir: PathBuf,
    port: u16,
    account: Option<Account>,
    binaries: Binaries,
    settings: Vec<(String, String)>,
    child: Option<Child>,
}

impl Server {
    /// Finds the running server of a cluster, or starts one.
    pub(super) async fn start(
        binaries: &Binaries,
        database_dir: &Path,
        account: Option<Account>,
        settings: &[(String, String)],
        password: &str,
    ) -> Result<Self> {
        let mut server = Self {
            database_dir: database_dir.to_owned(),
            port: 0,
            account,
            binaries: binaries.clone(),
            settings: Vec::new(),
            child: None,
        };
        server.settings = server.all_settings(settings).await;
        if server.is_running().await && server.wait_until_ready(password).await.is_ok() {
            return Ok(server);
        }
        let mut outcome = Ok(());
        for _ in 0..PORTS_TO_TRY {
            server.child = Some(server.spawn(free_port()?)?);
            outcome = server.wait_until_ready(password).await;
            match &outcome {
                Err(error) if error.to_string().contains("Address already in use") => {}
                _ => break,
            }
        }
        outcome.map(|()| server)
    }

    pub(super) fn url(&self, password: &str) -> String {
        // The password consists of hex digits, so nothing needs to be escaped.
        format!("postgres://{USER}:{password}@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub(super) fn is_started_here(&self) -> bool {
        self.child.is_some()
    }

    /// Returns false once the server is gone. The check is cheap enough for one call per second.
    pub(super) async fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => {
                TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() || self.is_running().await
            }
        }
    }

    /// Starts a server that is gone, on the port that its clients know.
    pub(super) async fn revive(&mut self, password: &str) -> Result<()> {
        self.child = Some(self.spawn(self.port)?);
        self.wait_until_ready(password).await
    }

    /// Stops the server with a fast shutdown.
    pub(super) async fn stop(mut self) -> Result<()> {
        let mut pg_ctl = self.command("pg_ctl");
        pg_ctl.arg("stop").arg("-D").arg(&self.database_dir);
        pg_ctl.args(["-m", "fast", "-w", "-t", STOP_WAIT_SECONDS]);
        let mut child = self.child.take();
        let output = tokio::select! {
            output = pg_ctl.output() => output,
            // This branch reaps the server process. `pg_ctl` would wait without end for a process that is dead but not
            // reaped.
            () = end_of(child.as_mut()) => return Ok(()),
        };
        let output = output.map_err(|error| io(&error, "running", &self.binaries.program("pg_ctl")))?;
        if !output.status.success() && self.is_running().await {
            return Err(Error::unavailable(format!(
                "the private PostgreSQL in {} did not stop: {}",
                self.database_dir.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        Ok(())
    }

    /// Asks `pg_ctl`, which distinguishes a live server from a stale file.
    async fn is_running(&self) -> bool {
        let mut pg_ctl = self.command("pg_ctl");
        pg_ctl.arg("status").arg("-D").arg(&self.database_dir);
        pg_ctl.output().await.is_ok_and(|output| output.status.success())
    }

    fn command(&self, program: &str) -> Command {
        command(&self.binaries.program(program), self.account.as_ref())
    }

    async fn all_settings(&self, own: &[(String, String)]) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut probe = self.command("postgres");
        probe.arg("-D").arg(&self.database_dir).args(["-c", "default_toast_compression=lz4"]);
        probe.args(["-C", "default_toast_compression"]);
        if probe.output().await.is_ok_and(|output| output.status.success()) {
            all.push(("default_toast_compression".to_owned(), "lz4".to_owned()));
        }
        all.extend(own.iter().cloned());
        all
    }

    fn spawn(&self, port: u16) -> Result<Child> {
        let log_path = self.log_path();
        let log = File::create(&log_path).map_err(|error| io(&error, "creating", &log_path))?;
        let errors = log.try_clone().map_err(|error| io(&error, "opening", &log_path))?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(&self.database_dir).arg("-p").arg(port.to_string());
        for (name, value) in &self.settings {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        postgres.stdout(Stdio::from(log)).stderr(Stdio::from(errors));
        postgres.spawn().map_err(|error| io(&error, "starting postgres in", &self.database_dir))
    }

    async fn wait_until_ready(&mut self, password: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + START_WAIT;
        loop {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(Error::unavailable(format!(
                    "the private PostgreSQL ended at once ({status}): {}",
                    self.end_of_log()
                )));
            }
            let ours = self.child.as_ref().and_then(Child::id);
            if let Some(found) = PidFile::read(&self.database_dir).filter(|found| found.is_ready)
                && ours.is_none_or(|id| id == found.process)
            {
                self.port = found.port;
                if self.answers(password).await {
                    return Ok(());
                }
            }
            let gone = self.child.is_none() && !self.is_running().await;
            if gone || tokio::time::Instant::now() > deadline {
                return Err(Error::unavailable(format!(
                    "the private PostgreSQL in {} does not answer: {}",
                    self.database_dir.display(),
                    self.end_of_log()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn answers(&self, password: &str) -> bool {
        let Ok(options) = self.url(password).parse::<PgConnectOptions>() else { return false };
        match options.connect().await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    fn log_path(&self) -> PathBuf {
        self.database_dir.with_extension("log")
    }

    pub(super) fn end_of_log(&self) -> String {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// Returns when the child process has ended. Without a child process, the future never completes.
async fn end_of(child: Option<&mut Child>) {
    match child {
        Some(child) => drop(child.wait().await),
        None => std::future::pending().await,
    }
}

/// The contents of `postmaster.pid`, in which the server describes itself: process, directory, start time, port,
/// socket directory, address, shared memory and state.
struct PidFile {
    process: u32,
    port: u16,
    is_ready: bool,
}

impl PidFile {
    fn read(database_dir: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(database_dir.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            process: lines.first()?.parse().ok()?,
            port: lines.get(3)?.parse().ok()?,
            is_ready: *lines.get(7)? == "ready",
        })
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::unavailable(format!("no free port on 127.0.0.1: {error}")))
}

#[cfg(test)]
mod tests {
    use super::PidFile;

    #[test]
    fn a_server_that_is_still_starting_is_not_ready() {
        let starting = "4242\n/data\n1700000000\n5433\n\n127.0.0.1\n  11 22\nstarting\n";
        assert!(PidFile::parse(starting).is_some_and(|found| !found.is_ready && found.port == 5433));
        assert!(
            PidFile::parse(&starting.replace("starting", "ready   ")).is_some_and(|found| found.is_ready)
        );
        assert!(PidFile::parse("4242\n").is_none());
    }
}
