//! Tests that `auth` loses no refresh token, spends no code in vain, and says how to go on.

use std::fs;

use tds_zoho::testkit::{FakeZoho, Fault};

use crate::{
    program::Program,
    registered::{SCOPES, client_lines, env, says, stranger, write_env},
    terminal::Terminal,
};

/// Returns a program that knows the client.
fn known(zoho: &FakeZoho) -> Program {
    let program = stranger(zoho);
    write_env(&program, &client_lines(zoho));
    program
}

#[tokio::test]
async fn what_is_wrong_is_found_before_the_code_is_spent() {
    let zoho = FakeZoho::start().await;
    let program = stranger(&zoho);
    let (code, lines) = (zoho.grant_code(&SCOPES), client_lines(&zoho));
    let auth = ["auth", "--code", code.as_str()];

    // A line within a value looks like the setting.
    let with_note = format!("{lines}NOTE=\"see\nZOHO_REFRESH_TOKEN=old\n\"\n");
    write_env(&program, &with_note);
    says(&program.run(&auth).await, 2, &["cannot be changed without changing other lines", "--print"]);
    assert_eq!(env(&program), with_note);

    // What an editor of another system writes: a mark at the beginning, and other line ends.
    let text = format!("\u{feff}{lines}").replace('\n', "\r\n");
    write_env(&program, &text);
    for blank in ["", " "] {
        says(&program.run(&["auth", "--code", blank]).await, 2, &["there is no code"]);
    }
    let mistyped = program.run(&[auth.as_slice(), &["--organization", "shop"]].concat()).await;
    says(&mistyped, 2, &["--organization", "digits"]);
    let elsewhere = stranger(&zoho).with("ZOHO_REFRESH_TOKEN_FILE", "nowhere");
    write_env(&elsewhere, &lines);
    says(
        &elsewhere.run(&auth).await,
        2,
        &["ZOHO_REFRESH_TOKEN_FILE: found no file nowhere", "install -m 600"],
    );
    zoho.faults().next("/oauth/v2/token", 1, Fault::Html(500));
    says(&program.run(&auth).await, 1, &["HTTP 500", "may have been used up"]);
    assert_eq!(env(&program), text, "nothing was changed");

    // The code is still good.
    says(&program.run(&auth).await, 0, &["a running server reads the refresh token when it starts"]);
    let after = env(&program);
    assert!(after.starts_with(&text), "{after:?}");
    assert!(after.contains("\r\nZOHO_REFRESH_TOKEN=1000.fake.granted"), "{after:?}");
    assert!(!after.replace("\r\n", "").contains('\n'), "all lines end alike: {after:?}");

    // An organization of somebody else, from .env.
    write_env(&program, &after.replace("ZOHO_ORGANIZATION_ID=6", "ZOHO_ORGANIZATION_ID=9"));
    let of_others = program.run(&["auth"]).await;
    let way_on = ["from ZOHO_ORGANIZATION_ID in .env", "auth --organization ID", "no code is needed"];
    says(&of_others, 1, &way_on);

    // A revoked token.
    zoho.revoke_refresh_token(true);
    says(&program.run(&["auth"]).await, 1, &["invalid_code", "tds-server auth --code CODE"]);
    says(&program.run(&["check"]).await, 1, &["invalid_code", "tds-server auth --code CODE"]);
}

#[tokio::test]
async fn a_token_that_cannot_be_written_is_printed() {
    let zoho = FakeZoho::start().await;
    let credentials = zoho.credentials();
    let program = stranger(&zoho).with("ZOHO_CLIENT_ID", &credentials.client_id);
    let mut terminal = Terminal::open();
    let mut talk = terminal.start(&program, &["auth", "--code", &zoho.grant_code(&SCOPES)]);
    talk.asks("client secret: ").await;
    // The file was checked, and then something happens to it.
    let path = program.directory().join(".env");
    fs::create_dir(&path).expect("a directory");
    terminal.types(&credentials.client_secret);
    let ended = talk.ended().await;
    says(&ended, 1, &["cannot be replaced", "printed", "by hand"]);
    assert!(ended.stdout.contains("ZOHO_REFRESH_TOKEN=1000.fake.granted"), "{}", ended.stdout);
    assert!(ended.stdout.contains("ZOHO_CLIENT_SECRET="), "{}", ended.stdout);
    assert!(!ended.stderr.contains("1000.fake.granted"), "{}", ended.stderr);

    // As the message says. What is in the environment stays there.
    fs::remove_dir(&path).expect("removed");
    write_env(&program, &ended.stdout);
    program.done(&["auth"]).await;
    let after = env(&program);
    assert!(after.contains("ZOHO_ORGANIZATION_ID=") && !after.contains("ZOHO_CLIENT_ID"), "{after}");
}

#[tokio::test]
async fn at_a_terminal_a_code_and_an_organization_are_asked_for() {
    let zoho = FakeZoho::start().await;
    zoho.add_organization("70000000001", "Second");
    let program = known(&zoho);
    let old = format!("ZOHO_REFRESH_TOKEN={}\n", zoho.credentials().refresh_token);
    write_env(&program, &format!("{}{old}", client_lines(&zoho)));
    let mut terminal = Terminal::open();

    // No code: the token stays. A wrong answer does not end the command.
    let mut talk = terminal.start(&program, &["auth"]);
    talk.asks("code (empty: the present refresh token stays): ").await;
    terminal.types("");
    for answer in ["9", "2"] {
        talk.asks("organization (its number in this list, or its id): ").await;
        terminal.types(answer);
    }
    says(&talk.ended().await, 0, &["ZohoBooks.settings.CREATE", "2  70000000001  Second", "from 1 to 2"]);
    let after = env(&program);
    assert!(after.contains(&old) && after.contains("ZOHO_ORGANIZATION_ID=70000000001\n"), "{after}");

    // A code: there is a new token.
    let mut talk = terminal.start(&program, &["auth"]);
    talk.asks("code (empty").await;
    terminal.types(&zoho.grant_code(&SCOPES));
    says(&talk.ended().await, 0, &["restart it"]);
    assert!(env(&program).contains("ZOHO_REFRESH_TOKEN=1000.fake.granted"), "{}", env(&program));

    // Three wrong answers end it, and the token was kept.
    write_env(&program, &format!("{}{old}", client_lines(&zoho)));
    let mut talk = terminal.start(&program, &["auth"]);
    talk.asks("code (empty").await;
    for answer in ["", "0", "Second", "3"] {
        terminal.types(answer);
    }
    says(&talk.ended().await, 1, &["no organization was chosen", "auth --organization ID", "was kept"]);
}
