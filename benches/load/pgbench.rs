//! PostgreSQL's own load generator, which shows what the database does without a program in front of it.

use std::{io::Write as _, path::PathBuf, process::Stdio};

use tempfile::NamedTempFile;
use tokio::process::Command;

/// Runs a script and returns the transactions per second, without the time for connecting.
///
/// Every transaction is prepared once. The run uses `clients` connections and two threads.
pub(crate) async fn run(url: &str, script: &str, clients: usize, transactions: usize) -> f64 {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(script.as_bytes()).expect("written");
    let output = Command::new(program())
        .args(["-n", "-M", "prepared", "-j", "2"])
        .args(["-c", &clients.to_string()])
        .args(["-t", &transactions.div_ceil(clients).to_string()])
        .arg("-f")
        .arg(file.path())
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("pgbench runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pgbench: {errors}");
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split(' ').next()).and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("pgbench said: {text}"))
}

fn program() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let packaged = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let found = std::env::split_paths(&paths).chain(packaged).map(|directory| directory.join("pgbench"));
    let mut found = found.filter(|path| path.is_file());
    found.next().expect("pgbench, which comes with PostgreSQL's server")
}
