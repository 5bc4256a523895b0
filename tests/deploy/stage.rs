//! A host for one test: a copy of `deploy/`, a configuration, and stubs in the place of docker and other programs.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// Each stub is a link to this script. It writes down what it was called with, sends the signal of `signal` to the command
/// that called it if the rest of that line matches, fails if a line of `fail` matches, and otherwise prints what the real
/// program would print.
const STUB: &str = r#"#!/bin/sh
name=${0##*/}
line="$name ${STACK_IMAGE:+[$STACK_IMAGE] }$*"
printf '%s\n' "$line" >>"$STAGE/calls"
if [ -s "$STAGE/signal" ] && read -r signal pattern <"$STAGE/signal" && printf '%s\n' "$line" | grep -qE -e "$pattern"; then
    rm "$STAGE/signal"
    kill -s "$signal" "$PPID"
fi
if [ -s "$STAGE/fail" ] && printf '%s\n' "$line" | grep -qE -f "$STAGE/fail"; then
    echo "stub: $name fails" >&2
    exit "$(cat "$STAGE/failure" 2>/dev/null || echo 1)"
fi
case "$line" in
    *pg_dump*) printf 'the dump' ;;
    *"pg_restore --list"*) cat >/dev/null; cat "$STAGE/contents" ;;
    *"config --services"*) printf '%s\n' tds-a db nginx tds-b ;;
    *"mktemp "*) echo /tmp/a-list ;;
    *" db df "*) printf 'Filesystem 1024-blocks Used Available Capacity Mounted\nx 1 1 %s 1%% /\n' "$(cat "$STAGE/free")" ;;
    *" psql "*"count(*) FROM pg_database"*"'tds_before_restore_2"*) cat "$STAGE/exchanged" 2>/dev/null || echo 0 ;;
    *" psql "*"count(*) FROM pg_database"*) echo 1 ;;
    *" psql "*"pg_database_size"*) echo 1000 ;;
    *" psql "*"SHOW data_directory"*) echo /data ;;
    *" psql "*"string_agg"*) cat "$STAGE/others" 2>/dev/null ;;
    *" psql "*"_sqlx_migrations"*) cat "$STAGE/schema" 2>/dev/null ;;
    *" migrate") cp "$STAGE/schema.after" "$STAGE/schema" 2>/dev/null || true ;;
    *" ps --quiet --status running nginx") cat "$STAGE/nginx" 2>/dev/null ;;
    *" ps --quiet --status running tds-"*) cat "$STAGE/serving" 2>/dev/null ;;
    *" ps --format {{.Image}} "*) cat "$STAGE/images" ;;
    *"image inspect "*) ! grep -qxF -e "${line##* }" "$STAGE/missing" 2>/dev/null || { echo "Error: No such image: x" >&2; exit 1; } ;;
    *" ps --quiet"*) cat "$STAGE/running" 2>/dev/null ;;
    *"inspect --format"*"Config.Env"*) cat "$STAGE/environment" ;;
    *"webhook send"*) cat >"$STAGE/smoke" ;;
    *"image ls"*) cat "$STAGE/tags" 2>/dev/null ;;
    *" ps --all"*"{{.Service}}"*) cat "$STAGE/states" ;;
    *" ps --all"*) cat "$STAGE/container" 2>/dev/null || echo running ;;
    *"queue list"*) cat "$STAGE/dead" ;;
    *"report --format"*) echo '<html>report</html>' ;;
    curl*"/health") cat "$STAGE/health" ;;
    df*) printf 'Filesystem 1024-blocks Used Available Capacity Mounted\nx 1 1 1 %s%% /\n' "$(cat "$STAGE/disk")" ;;
    *" info "*) echo / ;;
    "openssl x509"*) cat >/dev/null; date -u -d "$(cat "$STAGE/certificate")" '+notAfter=%b %e %T %Y GMT' ;;
esac
exit 0
"#;

/// The table of contents of a dump, as `pg_restore --list` prints it.
const CONTENTS: &str = "; Archive\n\
    1; 0 16385 TABLE DATA public tds_inbox_events tds\n\
    2; 0 16386 TABLE DATA public tds_outbox tds\n\
    3; 0 16387 TABLE DATA erp products tds\n";

const STUBS: [&str; 4] = ["docker", "curl", "df", "openssl"];

/// A host with the stack in service: image `tds-server:20260101-000000`, its predecessor, and a healthy state.
pub(crate) struct Stage {
    directory: TempDir,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) status: i32,
    /// Both outputs.
    pub(crate) said: String,
    /// The calls of the stubs, in order.
    pub(crate) calls: Vec<String>,
}

pub(crate) const CURRENT: &str = "tds-server:20260101-000000";
pub(crate) const PREVIOUS: &str = "tds-server:20251201-000000";

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self::fresh();
        stage.write("state/current-image", CURRENT);
        stage.write("state/previous-image", PREVIOUS);
        stage.write("schema", "40");
        stage.write("nginx", "1a2b3c");
        stage.write("serving", "4d5e6f");
        fs::create_dir(stage.path("state/nginx")).expect("a directory");
        let servers =
            "    server 172.31.250.11:8000 max_fails=0;\n    server 172.31.250.12:8000 max_fails=0;\n";
        stage.write("state/nginx/upstream.conf", &format!("upstream tds {{\n{servers}}}\n"));
        stage
    }

    /// A host on which nothing was deployed yet.
    pub(crate) fn fresh() -> Self {
        Self::at(tempfile::tempdir().expect("a directory"))
    }

    /// The same in a directory of this name.
    pub(crate) fn at(directory: TempDir) -> Self {
        let stage = Self { directory };
        let copied = Command::new("cp").arg("-r").arg(sources()).arg(stage.path("deploy")).status();
        assert!(copied.expect("cp").success());
        let monitoring = sources().join("../docs/monitoring");
        fs::create_dir(stage.path("docs")).expect("a directory");
        let copied = Command::new("cp").arg("-r").arg(monitoring).arg(stage.path("docs")).status();
        assert!(copied.expect("cp").success());
        for directory in ["bin", "state"] {
            fs::create_dir(stage.path(directory)).expect("a directory");
        }
        stage.write("bin/stub", STUB);
        fs::set_permissions(stage.path("bin/stub"), fs::Permissions::from_mode(0o755)).expect("executable");
        for name in STUBS {
            std::os::unix::fs::symlink("stub", stage.path(&format!("bin/{name}"))).expect("a link");
        }
        let state = stage.path("state");
        stage.write(
            "deploy/deploy.conf",
            &format!(
                "DOMAIN=tds.example.test\nSTATE_DIR='{}'\nREADY_SECONDS=2\nREADY_PAUSE=0\nDRAIN_SECONDS=0\n",
                state.display()
            ),
        );
        for (name, text) in [
            ("contents", CONTENTS),
            ("free", "9000000"),
            (
                "states",
                "tds-a running healthy\ntds-b running healthy\ndb running healthy\nnginx running healthy\n",
            ),
            ("images", "tds-server:20260101-000000\ntds-server:20260101-000000\n"),
            ("dead", r#"{"items":[],"next_cursor":null}"#),
            ("health", r#"{"status":"healthy"}"#),
            ("disk", "40"),
            ("certificate", "+60 days"),
        ] {
            stage.write(name, text);
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Makes every call fail that one of these patterns (extended regular expressions) matches.
    pub(crate) fn fails(&self, patterns: &[&str]) {
        self.write("fail", &patterns.join("\n"));
    }

    /// Puts another script into the place of the stub of a program.
    pub(crate) fn replace_stub(&self, name: &str, script: &str) {
        let _ = fs::remove_file(self.path(&format!("bin/{name}")));
        self.write(&format!("bin/{name}"), script);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(&format!("bin/{name}")), executable).expect("executable");
    }

    /// Sends a signal to the command when it calls what this pattern matches, once.
    pub(crate) fn interrupts(&self, signal: &str, pattern: &str) {
        self.write("signal", &format!("{signal} {pattern}\n"));
    }

    /// Makes every write to a file of this name fail as on a full disk.
    pub(crate) fn is_full_for(&self, name: &str) {
        std::os::unix::fs::symlink("/dev/full", self.path(name)).expect("a link");
    }

    /// Adds lines to the configuration.
    pub(crate) fn configure(&self, lines: &str) {
        self.write("deploy/deploy.conf", &format!("{}{lines}\n", self.read("deploy/deploy.conf")));
    }

    /// Removes a stub, so that the real program is used.
    pub(crate) fn unstub(&self, name: &str) {
        fs::remove_file(self.path(&format!("bin/{name}"))).expect("a stub");
    }

    /// Runs a command of `deploy/bin` from another directory.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Done {
        let _ = fs::remove_file(self.path("calls"));
        let output = Command::new(self.path(&format!("deploy/bin/{command}")))
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display()))
            .env("STAGE", self.directory.path())
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done {
            status: output.status.code().expect("it was not killed"),
            said: text(&output.stdout) + &text(&output.stderr),
            calls: self.read("calls").lines().map(str::to_owned).collect(),
        }
    }
}

impl Done {
    /// Returns the position of the first call that contains all these texts.
    pub(crate) fn call(&self, texts: &[&str]) -> Option<usize> {
        self.calls.iter().position(|call| texts.iter().all(|text| call.contains(text)))
    }

    /// Asserts that calls with these texts were made in this order.
    pub(crate) fn in_order(&self, wanted: &[&[&str]]) {
        let mut from = 0;
        for texts in wanted {
            let found =
                self.calls[from..].iter().position(|call| texts.iter().all(|text| call.contains(text)));
            let found = found.unwrap_or_else(|| {
                panic!("{texts:?} was not called, or too early:\n{}\n{}", self.calls.join("\n"), self.said)
            });
            from += found + 1;
        }
    }
}

/// The directory `deploy` of the project.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root").join("deploy")
}

/// Writes a stub, whose commands see the directory of the test as `$HERE`.
pub(crate) fn stub(directory: &Path, name: &str, commands: &str) {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>\"$HERE/calls\"\n{commands}\n"))
        .expect("a stub");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
}
