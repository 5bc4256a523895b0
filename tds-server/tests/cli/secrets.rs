//! Tests where `auth` gets secrets from, and where it puts them: the files of secrets, and the terminal.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    process::Stdio,
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use tds_zoho::testkit::FakeZoho;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::{
    program::Program,
    registered::{SCOPES, says, stranger},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a program that knows the id of the client, and whose secrets have files.
fn with_files(zoho: &FakeZoho) -> Program {
    stranger(zoho)
        .with("ZOHO_CLIENT_ID", zoho.credentials().client_id)
        .with("ZOHO_CLIENT_SECRET_FILE", "client_secret")
        .with("ZOHO_REFRESH_TOKEN_FILE", "token")
}

fn write(program: &Program, name: &str, text: &str, mode: u32) {
    let path = program.directory().join(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

fn read(program: &Program, name: &str) -> String {
    fs::read_to_string(program.directory().join(name)).expect("a file")
}

fn mode(program: &Program, name: &str) -> u32 {
    fs::metadata(program.directory().join(name)).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn auth_fills_the_empty_files_of_secrets_that_other_commands_refuse() {
    let zoho = FakeZoho::start().await;
    let (program, secret) = (with_files(&zoho), zoho.credentials().client_secret);
    write(&program, "client_secret", &format!("{secret}\n"), 0o600);
    write(&program, "token", "\n", 0o640);
    for (command, status) in [("serve", 2), ("check", 1), ("bulk-sync", 2), ("migrate", 2)] {
        let refused = program.run(&[command]).await;
        says(&refused, status, &["ZOHO_REFRESH_TOKEN_FILE: found an empty file token"]);
    }

    // --print prints what is new, and says where it belongs.
    let printed = program.run(&["auth", "--print", "--code", &zoho.grant_code(&SCOPES)]).await;
    says(&printed, 0, &["ZOHO_REFRESH_TOKEN=1000.fake.granted", "belongs into token"]);
    assert!(!printed.stdout.contains(&secret), "{}", printed.stdout);
    assert_eq!(read(&program, "token"), "\n");

    let done = program.run(&["auth", "--code", &zoho.grant_code(&SCOPES)]).await;
    says(&done, 0, &["ZOHO_REFRESH_TOKEN: written to token"]);
    assert!(read(&program, "token").starts_with("1000.fake.granted"), "{}", read(&program, "token"));
    assert_eq!((mode(&program, "token"), mode(&program, ".env")), (0o640, 0o600), "the permissions stay");
    assert!(!done.stdout.contains("1000.fake.granted") && !done.stderr.contains("1000.fake.granted"));
    let env = read(&program, ".env");
    assert!(env.contains("ZOHO_ORGANIZATION_ID=") && !env.contains("1000.fake.granted"), "{env}");
    assert!(!env.contains(&secret), "a secret that has a file does not go into .env: {env}");
    says(&program.run(&["auth"]).await, 0, &["the present refresh token stays"]);

    // Nobody can write there. The code is not spent before that is known.
    let elsewhere = with_files(&zoho).with("ZOHO_REFRESH_TOKEN_FILE", "/proc/version");
    write(&elsewhere, "client_secret", &secret, 0o600);
    let code = zoho.grant_code(&SCOPES);
    let refused = elsewhere.run(&["auth", "--code", &code]).await;
    says(&refused, 2, &["ZOHO_REFRESH_TOKEN_FILE: /proc/version cannot be replaced", "--print"]);
    says(&elsewhere.run(&["auth", "--print", "--code", &code]).await, 0, &["ZOHO_REFRESH_TOKEN=1000."]);
}

/// Opens a terminal: the side of the person, and that of the program.
fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&person).expect("granted");
    unlockpt(&person).expect("unlocked");
    let name = ptsname(&person, Vec::new()).expect("a name");
    let program = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.to_bytes()));
    (File::from(person), program.expect("the other side"))
}

/// Starts `auth` at a terminal. Returns it when it asks for the client secret, with what it said until then.
async fn asking(program: &Program, code: &str, terminal: &File) -> (Child, ChildStderr, Vec<u8>) {
    let terminal = terminal.try_clone().expect("the same terminal");
    let mut command = program.command(&["auth", "--code", code]);
    let mut child = command.stdin(Stdio::from(terminal)).spawn().expect("a program");
    let mut stderr = child.stderr.take().expect("piped");
    let mut said = Vec::new();
    let asked = async {
        while !String::from_utf8_lossy(&said).contains("client secret: ") {
            let mut piece = [0; 1_024];
            let read = stderr.read(&mut piece).await.expect("readable");
            assert!(read > 0, "the program ended: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&piece[..read]);
        }
    };
    timeout(PATIENCE, asked).await.expect("a question");
    (child, stderr, said)
}

async fn end(child: &mut Child) -> Option<i32> {
    timeout(PATIENCE, child.wait()).await.expect("an end").expect("a status").code()
}

#[tokio::test]
async fn a_client_secret_is_typed_without_being_shown() {
    let zoho = FakeZoho::start().await;
    let (program, secret) = (with_files(&zoho), zoho.credentials().client_secret);
    for name in ["client_secret", "token"] {
        write(&program, name, "", 0o600);
    }
    let (mut person, terminal) = terminal();
    let shows = |person: &File| tcgetattr(person).expect("modes").local_modes.contains(LocalModes::ECHO);
    assert!(shows(&person), "a terminal shows what is typed");
    let code = zoho.grant_code(&SCOPES);

    // Ctrl-C at the question leaves the terminal as it was.
    let (mut child, ..) = asking(&program, &code, &terminal).await;
    assert!(!shows(&person), "the secret is about to be typed");
    let id = child.id().expect("running").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill").success());
    assert_eq!(end(&mut child).await, Some(130));
    assert!(shows(&person), "the terminal is as before");

    let (mut child, mut stderr, mut said) = asking(&program, &code, &terminal).await;
    assert!(!shows(&person), "the secret is about to be typed");
    person.write_all(format!("{secret}\n").as_bytes()).expect("typed");
    let status = end(&mut child).await;
    stderr.read_to_end(&mut said).await.expect("readable");
    assert_eq!(status, Some(0), "{}", String::from_utf8_lossy(&said));
    assert!(shows(&person), "the terminal is as before");
    let mut shown = [0; 1_024];
    let length = person.read(&mut shown).expect("the end of the line");
    assert_eq!(String::from_utf8_lossy(&shown[..length]), "\r\n", "only the end of the line is shown");
    assert_eq!(read(&program, "client_secret"), secret);
    assert!(read(&program, "token").starts_with("1000.fake.granted"));
}
