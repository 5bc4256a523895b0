//! The programs of Prometheus that check its files.

use std::{
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Returns the directory `docs/monitoring`.
pub(crate) fn directory() -> PathBuf {
    root().join("docs/monitoring")
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Returns the text of a file of `docs/monitoring`.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a program in `docs/monitoring` and returns what it prints. `./dev test` unpacks the programs of Debian that the
/// machine does not have into `target/tools`.
pub(crate) fn passes<S: AsRef<OsStr>>(program: &str, arguments: &[S], input: &str) -> String {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools/usr/bin").join(program);
    let found = if unpacked.exists() { unpacked } else { PathBuf::from(program) };
    let mut child = Command::new(found)
        .args(arguments)
        .current_dir(directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{program} is missing ({error}); ./dev test gets it, if apt-get exists")
        });
    // A program that does not read its input closes it.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{program} finds faults:\n{printed}");
    printed
}
