//! The real program as a separate process, and the resources that the system reports for it.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use crate::http::Connection;

/// The key that signs the webhooks of the benches.
pub(crate) const SECRET: &str = "BenchSecret0123456789";

/// A process of `tds-server serve`, which is killed when the value is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// The time from the start of the process to the first `200` of `/readyz`.
    pub(crate) start: Duration,
}

impl Server {
    pub(crate) async fn start(database: &str, settings: &[(&str, &str)]) -> Self {
        let address = free_address().await;
        let mut command = Command::new(program());
        command
            .arg("serve")
            .env_clear()
            .envs([
                ("DATABASE_URL", database),
                ("TDS_BIND", &address),
                ("ZOHO_WEBHOOK_SECRET", SECRET),
                ("ZOHO_CLIENT_ID", "client"),
                ("ZOHO_CLIENT_SECRET", "secret"),
                ("ZOHO_REFRESH_TOKEN", "token"),
                ("ZOHO_ORGANIZATION_ID", "60001"),
                // No program listens at this address, because no scenario needs Zoho.
                ("ZOHO_ACCOUNTS_URL", "http://127.0.0.1:9"),
                ("ZOHO_API_URL", "http://127.0.0.1:9"),
                ("RUST_LOG", "warn"),
            ])
            .envs(["INCREMENTAL", "FULL", "STOCK", "PRICES"].map(|name| (format!("TDS_{name}_EVERY"), "off")))
            .envs(settings.iter().copied())
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn().expect("the program starts");
        let mut server = Self { child, address, start: Duration::ZERO };
        loop {
            if let Ok(mut connection) = Connection::open(&server.address).await
                && connection.get("/readyz").await.is_ok_and(|status| status == 200)
            {
                break;
            }
            assert!(server.child.try_wait().expect("a status").is_none(), "the server ended");
            assert!(began.elapsed() < Duration::from_secs(60), "the server is not ready");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.start = began.elapsed();
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("running")
    }

    pub(crate) async fn stop(mut self) {
        self.child.kill().await.expect("killed");
    }
}

/// Returns the path of the program, which `./dev bench` builds beside this one.
fn program() -> PathBuf {
    let path = std::env::current_exe().expect("a path");
    let directory = path.parent().and_then(|deps| deps.parent()).expect("the build's output");
    let path = directory.join("tds-server");
    assert!(path.exists(), "build it first: cargo build --release --bin tds-server");
    path
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// Returns the seconds of processor time that a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // User and system time, in the hundredths of a second that Linux reports to programs.
    (ticks(11) + ticks(12)) / 100.0
}

/// Returns a line of `/proc/PID/status` in megabytes: `VmRSS` is the current memory, `VmHWM` the peak.
pub(crate) fn memory_mb(pid: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let found = status.lines().find(|text| text.starts_with(line)).unwrap_or_default();
    let kilobytes = found.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok());
    kilobytes.expect("a size") / 1_024.0
}
