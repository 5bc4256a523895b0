//! Runs the program in its own directory. Its environment contains only what a test sets.

use std::{path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

/// The time limit of every command in these tests.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program and its surroundings.
pub(crate) struct Program {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

/// The result of a program run that has ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory"), environment: Vec::new() }
    }

    /// Returns the same program with a variable set.
    pub(crate) fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.environment.push((variable.to_owned(), value.into()));
        self
    }

    /// Returns the working directory of the program.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs the program to its end, without anyone to answer its questions.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let output = timeout(PATIENCE, command.output()).await.expect("an end in time").expect("a program");
        Ended {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs the program to its end, which must be successful. Returns its output.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.status, 0, "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Runs the program to its end, and parses its output as JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(arguments).await).expect("JSON")
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).spawn().expect("a program");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut stderr = child.stderr.take().expect("piped");
        // Stderr is read while the program runs, because a full pipe would block the program.
        let stderr = tokio::spawn(async move {
            let mut all = Vec::new();
            stderr.read_to_end(&mut all).await.expect("readable");
            String::from_utf8_lossy(&all).into_owned()
        });
        Running { child, stdout, stderr }
    }

    /// Returns the command of the program, which nobody answers unless the caller sets another standard input.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
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

/// A program that is still running.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
}

impl Running {
    /// Returns the first line of stdout that contains this text.
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

    /// Waits for the end. The result contains the lines of stdout that were not read before.
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
