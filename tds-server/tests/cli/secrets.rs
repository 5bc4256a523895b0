//! Tests where `auth` gets secrets from, and where it puts them: the files of secrets, and the terminal.

use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _};

use rustix::termios::{LocalModes, tcgetattr};
use tds_zoho::testkit::FakeZoho;
use tokio::process::Command;

use crate::{
    program::Program,
    registered::{SCOPES, says, stranger},
    terminal::Terminal,
};

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

#[tokio::test]
async fn a_client_secret_is_typed_without_being_shown() {
    let zoho = FakeZoho::start().await;
    let (program, secret) = (with_files(&zoho), zoho.credentials().client_secret);
    for name in ["client_secret", "token"] {
        write(&program, name, "", 0o600);
    }
    let mut terminal = Terminal::open();
    let shows = |terminal: &Terminal| {
        tcgetattr(&terminal.person).expect("modes").local_modes.contains(LocalModes::ECHO)
    };
    assert!(shows(&terminal), "a terminal shows what is typed");
    let code = zoho.grant_code(&SCOPES);

    // Ctrl-C at the question leaves the terminal as it was.
    let mut talk = terminal.start(&program, &["auth", "--code", &code]);
    talk.asks("client secret: ").await;
    assert!(!shows(&terminal), "the secret is about to be typed");
    let id = talk.child.id().expect("running").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill").success());
    assert_eq!(talk.ended().await.status, 130);
    assert!(shows(&terminal), "the terminal is as before");

    let mut talk = terminal.start(&program, &["auth", "--code", &code]);
    talk.asks("client secret: ").await;
    assert!(!shows(&terminal), "the secret is about to be typed");
    terminal.types(&secret);
    says(&talk.ended().await, 0, &[]);
    assert!(shows(&terminal), "the terminal is as before");
    let mut shown = [0; 1_024];
    let length = terminal.person.read(&mut shown).expect("the end of the line");
    assert_eq!(String::from_utf8_lossy(&shown[..length]), "\r\n", "only the end of the line is shown");
    assert_eq!(read(&program, "client_secret"), secret);
    assert!(read(&program, "token").starts_with("1000.fake.granted"));
}
