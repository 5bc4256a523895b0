//! The scripts by shellcheck, the unit by systemd, and the Dockerfile by what has to be in it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use crate::stage::sources;

/// Runs a program that `./dev test` installs.
pub(crate) fn tool(name: &str, arguments: &[&str]) -> Output {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut command = Command::new(name);
    command.args(arguments).env("PATH", path);
    command.output().unwrap_or_else(|error| panic!("{name}: {error}: ./dev test installs it"))
}

pub(crate) fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in ["bin", "nginx", "certbot", "postgres", "."] {
        for entry in fs::read_dir(sources().join(directory)).expect("a directory") {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            // What they read (`. lib.sh`) is checked with them.
            if text.starts_with("#!/bin/sh") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn shellcheck_finds_nothing() {
    let scripts = scripts();
    assert!(scripts.len() >= 10, "only {scripts:?} were found");
    let root = sources().join("..");
    let mut arguments = vec!["--external-sources".to_owned(), format!("--source-path={}", root.display())];
    arguments.extend(scripts.iter().map(|path| path.display().to_string()));
    arguments.push(root.join("dev").display().to_string());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = tool("shellcheck", &arguments);
    assert!(output.status.success(), "{}", told(&output));
    // Its own exit status proves nothing if it reads nothing.
    let output = tool("sh", &["-c", "printf '#!/bin/sh\\necho $1\\n' | shellcheck -"]);
    assert!(told(&output).contains("SC2086"), "{}", told(&output));
}

/// The exposure that `systemd-analyze security` gives the unit, in tenths: 0 is closed, 100 is open.
const EXPOSURE: u32 = 15;

#[test]
fn systemd_accepts_the_unit_and_finds_it_closed() {
    let unit = sources().join("systemd/tds-server.service");
    let text = fs::read_to_string(&unit).expect("the unit");
    for line in [
        "Type=notify",
        "WatchdogSec=",
        "RestartPreventExitStatus=2",
        "DynamicUser=yes",
        "ProtectSystem=strict",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is missing");
    }
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        // A machine without systemd has nothing to check the rest with.
        return;
    }
    // The program of the unit does not exist here.
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path().join("tds-server.service");
    let text = text.replace("/usr/local/bin/tds-server", "/bin/true");
    // The page makes every file that the unit loads, and says what to change if there is no password of the database.
    let page = fs::read_to_string(sources().join("../docs/operations/deployment.md")).expect("the page");
    for secret in text.lines().filter_map(|line| line.strip_prefix("LoadCredential=")) {
        let (name, path) = secret.split_once(':').expect("a name and a path");
        assert_eq!(path, format!("/etc/tds/secrets/{name}"));
        let makes = |line: &str| line.split(" #").next().is_some_and(|line| line.trim_end().ends_with(name));
        assert!(page.lines().any(|line| line.contains('>') && makes(line)), "nothing makes {path}");
    }
    let without = page.split("```ini\n").nth(1).and_then(|rest| rest.split("```").next());
    fs::write(&here, format!("{text}\n{}", without.expect("lines for the unit"))).expect("a copy");
    let here = here.display().to_string();
    let output = tool("systemd-analyze", &["verify", "--man=no", &here]);
    assert!(output.status.success() && told(&output).trim().is_empty(), "{}", told(&output));
    let threshold = format!("--threshold={EXPOSURE}");
    let output = tool("systemd-analyze", &["security", "--offline=true", "--no-pager", &threshold, &here]);
    assert!(output.status.success(), "more open than {EXPOSURE} tenths: {}", told(&output));
}

#[test]
fn the_image_is_built_with_the_lock_file_and_has_no_test_programs_and_no_root() {
    let dockerfile = fs::read_to_string(sources().join("Dockerfile")).expect("the Dockerfile");
    let (build, runtime) = dockerfile.split_once("AS runtime").expect("two stages");
    let cargo = build.lines().find(|line| line.starts_with("RUN cargo build")).expect("the build");
    for option in ["--release", "--locked", "--package tds-server", "--no-default-features"] {
        assert!(cargo.contains(option), "{option} is missing in {cargo}");
    }
    assert!(!runtime.contains("\nRUN"), "a base without a shell executes nothing");
    assert!(!build.contains("# syntax="), "docker's own parser suffices, and another one is downloaded");
    assert!(!runtime.contains("TDS_LOG_FORMAT"), "only the server logs JSON, by itself in production");
    for line in [
        "USER 65532:65532",
        "HEALTHCHECK",
        "STOPSIGNAL SIGTERM",
        "ENTRYPOINT [",
        "org.opencontainers.image.revision",
    ] {
        assert!(runtime.contains(line), "{line} is missing");
    }
    let manifest = fs::read_to_string(sources().join("../tds-server/Cargo.toml")).expect("the manifest");
    assert!(manifest.contains(r#"default = ["embedded", "sim"]"#), "the features that the image leaves out");
    // The version of Rust is that of the workspace, and every member of the workspace reaches the build.
    let workspace = fs::read_to_string(sources().join("../Cargo.toml")).expect("the manifest");
    let version = workspace.split_once("rust-version = \"").and_then(|(_, rest)| rest.split('"').next());
    assert!(dockerfile.contains(&format!("RUST_IMAGE=rust:{}-", version.expect("a version"))));
    let sent = fs::read_to_string(sources().join("Dockerfile.dockerignore")).expect("the list");
    let members = workspace.split_once("members = [").and_then(|(_, rest)| rest.split(']').next());
    for member in members.expect("members").split('"').skip(1).step_by(2) {
        assert!(sent.lines().any(|line| line == format!("!{member}")), "{member} is not sent to the build");
    }
}

#[test]
fn a_password_that_would_be_an_argument_is_refused() {
    for query in ["?password=secret", "?sslmode=disable&password=secret"] {
        let mut backup = Command::new(sources().join("bin/backup"));
        backup.arg("--dry-run").env("DATABASE_URL", format!("postgres://tds@127.0.0.1:1/tds{query}"));
        let output = backup.output().expect("the command");
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains("put the password before the host"), "{}", told(&output));
        assert!(!told(&output).contains("secret"), "{}", told(&output));
    }
}
