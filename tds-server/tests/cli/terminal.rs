//! A terminal at which a person answers the questions of the program.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    process::Stdio,
    time::Duration,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr},
    time::timeout,
};

use crate::program::{Ended, Program};

const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal: the side of the person, and that of the program.
pub(crate) struct Terminal {
    pub(crate) person: File,
    program: File,
}

/// A program at a terminal.
pub(crate) struct Talk {
    pub(crate) child: Child,
    stderr: ChildStderr,
    said: Vec<u8>,
    /// The number of bytes up to the last question.
    heard: usize,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let person = openpt(flags).expect("a terminal");
        grantpt(&person).expect("granted");
        unlockpt(&person).expect("unlocked");
        let name = ptsname(&person, Vec::new()).expect("a name");
        let program = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.to_bytes()));
        Self { person: File::from(person), program: program.expect("the other side") }
    }

    /// Starts a command at this terminal. Its output does not go there.
    pub(crate) fn start(&self, program: &Program, arguments: &[&str]) -> Talk {
        let input = self.program.try_clone().expect("the same terminal");
        let mut child = program.command(arguments).stdin(Stdio::from(input)).spawn().expect("a program");
        let stderr = child.stderr.take().expect("piped");
        Talk { child, stderr, said: Vec::new(), heard: 0 }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.person.write_all(format!("{line}\n").as_bytes()).expect("typed");
    }
}

impl Talk {
    /// Waits for the next question with this text.
    pub(crate) async fn asks(&mut self, question: &str) {
        let asked = async {
            loop {
                let said = String::from_utf8_lossy(&self.said[self.heard..]);
                if said.contains(question) {
                    break;
                }
                let mut piece = [0; 1_024];
                let read = self.stderr.read(&mut piece).await.expect("readable");
                assert!(read > 0, "the program ended: {}", String::from_utf8_lossy(&self.said));
                self.said.extend_from_slice(&piece[..read]);
            }
            self.heard = self.said.len();
        };
        timeout(PATIENCE, asked).await.expect("a question");
    }

    /// Waits for the end of the program.
    pub(crate) async fn ended(mut self) -> Ended {
        let mut stdout = String::new();
        let mut output = self.child.stdout.take().expect("piped");
        let end = async {
            self.stderr.read_to_end(&mut self.said).await.expect("readable");
            output.read_to_string(&mut stdout).await.expect("text");
            self.child.wait().await.expect("a status")
        };
        let status = timeout(PATIENCE, end).await.expect("an end");
        let stderr = String::from_utf8(self.said).expect("text");
        Ended { status: status.code().unwrap_or(-1), stdout, stderr }
    }
}
