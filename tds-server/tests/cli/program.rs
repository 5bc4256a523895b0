//! Runs the program in a directory of its own, with nothing in its environment but what a test sets.

use std::{path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

/// No command of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program and its surroundings.
pub(crate) struct Program {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

/// How a run of it ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory"), environment: Vec::new() }
    }

    /// The same with a variable set.
    pub(crate) fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.environment.push((variable.to_owned(), value.into()));
        self
    }

    /// Where it runs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs it to its end, with nobody to answer questions.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let output = timeout(PATIENCE, command.output()).await.expect("an end in time").expect("a program");
        Ended {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs it to its end, which must be a good one.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.status, 0, "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Runs it to its end, and reads its output as JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(arguments).await).expect("JSON")
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).spawn().expect("a program");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut stderr = child.stderr.take().expect("piped");
        // Read while it runs: a full pipe would hold the program up.
        let stderr = tokio::spawn(async move {
            let mut all = Vec::new();
            stderr.read_to_end(&mut all).await.expect("readable");
            String::from_utf8_lossy(&all).into_owned()
        });
        Running { child, stdout, stderr }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tds-server"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// A program that goes on.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
}

impl Running {
    /// The first line of its stdout that contains this.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        let search = async {
            while let Some(line) = self.stdout.next_line().await.expect("readable") {
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        };
        timeout(PATIENCE, search)
            .await
            .expect("a line in time")
            .unwrap_or_else(|| panic!("no line with {text}"))
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().expect("running").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill");
        assert!(sent.success());
    }

    /// Waits for the end; what stdout had beyond the lines that were read.
    pub(crate) async fn ended_within(mut self, time: Duration) -> Ended {
        let status = timeout(time, self.child.wait()).await.expect("an end in time").expect("a status");
        let mut stdout = String::new();
        while let Ok(Some(line)) = self.stdout.next_line().await {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        Ended { status: status.code().unwrap_or(-1), stdout, stderr: self.stderr.await.expect("text") }
    }
}
