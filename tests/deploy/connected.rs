//! The set-up of the stack: from an empty host and an empty organization to the first row of a webhook, with two commands.

use std::{collections::HashMap, fs, os::unix::fs::PermissionsExt as _};

use tds_postgres::testkit::TestDatabase;
use tds_zoho::{
    sim::{Module, webhook::Delivery},
    testkit::{FakeZoho, sample},
};

use crate::{
    nginx::DOMAIN,
    server::{Server, program, until_it_is},
    stage::{Stage, sources},
};

const SCOPES: [&str; 2] = ["ZohoBooks.fullaccess.all", "ZohoInventory.fullaccess.all"];

/// Stands for docker: a container of its own for `auth`, and the running container of tds-a.
const DOCKER: &str = r#"#!/bin/sh
printf 'docker %s\n' "$*" >>"$STAGE/calls"
program=$(cat "$STAGE/program")
case " $* " in
    *" auth "*)
        while [ "$1" != --volume ]; do shift; done
        cd "${2%:/work}"
        while [ "$1" != auth ]; do shift; done
        exec "$program" "$@"
        ;;
    *" exec tds-a /usr/bin/tds-server "*)
        while [ "$1" != /usr/bin/tds-server ]; do shift; done
        shift
        cd "$STAGE"
        set -a
        . "$STAGE/deploy/tds.env"
        . "$STAGE/container"
        exec "$program" "$@"
        ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_lead_from_an_empty_organization_to_the_first_row_of_a_webhook() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let credentials = zoho.credentials();
    let stage = Stage::fresh();
    stage.unstub("openssl");
    assert_eq!(stage.run("prepare", &[]).status, 0);
    stage.replace_stub("docker", DOCKER);
    stage.write("program", &program().display().to_string());
    // Step 1 of the installation: a copy of the example. What the organization is, nobody entered.
    let example = fs::read_to_string(sources().join("../.env.example")).expect("the example");
    let mine = format!(
        "{}ZOHO_ACCOUNTS_URL={}\nZOHO_API_URL={}\nTDS_SETTINGS_PACE=1ms\nZOHO_REQUESTS_PER_MINUTE=10000\n",
        example.replace("ZOHO_CLIENT_ID=\n", &format!("ZOHO_CLIENT_ID={}\n", credentials.client_id)),
        zoho.accounts_url(),
        zoho.api_url()
    );
    stage.write("deploy/tds.env", &mine);
    fs::remove_file(stage.path("deploy/secrets/zoho_client_secret")).expect("a file");
    stage.write("deploy/secrets/zoho_client_secret", &credentials.client_secret);

    // The first command. A refusal of Zoho changes nothing.
    let before = stage.read("deploy/tds.env");
    let done = stage.run("auth", &["--code", "1000.wrong"]);
    assert!(done.status == 1 && done.said.contains("invalid_code"), "{}", done.said);
    assert_eq!(stage.read("deploy/tds.env"), before);
    let done = stage.run("auth", &["--code", &zoho.grant_code(&SCOPES)]);
    assert_eq!(done.status, 0, "{}", done.said);
    let token = stage.read("deploy/secrets/zoho_refresh_token");
    assert!(token.starts_with("1000.fake.granted") && token.ends_with('\n'), "{token}");
    let mode =
        fs::metadata(stage.path("deploy/secrets/zoho_refresh_token")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o444, "the containers read it");
    let settings = stage.read("deploy/tds.env");
    assert!(
        settings.contains(&format!("ZOHO_ORGANIZATION_ID={}\n", credentials.organization_id)),
        "{settings}"
    );
    assert_eq!(settings.lines().count(), before.lines().count(), "the other lines stay");
    for secret in [token.trim(), &credentials.client_secret] {
        assert!(!settings.contains(secret), "a secret is in tds.env");
        assert!(done.calls.iter().all(|call| !call.contains(secret)), "a secret is an argument");
    }
    let left = fs::read_dir(stage.path("deploy/secrets")).expect("the secrets").flatten();
    assert!(left.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().starts_with('.')));
    // Again, without a code: the token stays.
    assert_eq!(stage.run("auth", &["--organization", &credentials.organization_id]).status, 0);
    assert_eq!(stage.read("deploy/secrets/zoho_refresh_token"), token);

    // What `deploy` starts, with the files that were written.
    let mut container = HashMap::from([("ALLOWED_HOSTS", format!("{DOMAIN},localhost,127.0.0.1"))]);
    for (variable, secret) in [
        ("TDS_ADMIN_TOKEN_FILE", "admin_token"),
        ("ZOHO_CLIENT_SECRET_FILE", "zoho_client_secret"),
        ("ZOHO_REFRESH_TOKEN_FILE", "zoho_refresh_token"),
        ("ZOHO_WEBHOOK_SECRET_FILE", "zoho_webhook_secret"),
        ("ENCRYPTION_KEY_FILE", "encryption_key"),
    ] {
        container.insert(variable, stage.path(&format!("deploy/secrets/{secret}")).display().to_string());
    }
    let lines: String = container
        .iter()
        .map(|(name, value)| format!("{name}='{value}'\n"))
        .chain([format!("DATABASE_URL='{}'\n", database.url())])
        .collect();
    stage.write("container", &lines);
    for name in ["ZOHO_CLIENT_ID", "ZOHO_ORGANIZATION_ID", "ZOHO_ACCOUNTS_URL", "ZOHO_API_URL"] {
        let value = settings.lines().rev().find_map(|line| line.strip_prefix(&format!("{name}=")));
        container.insert(name, value.expect("a value").to_owned());
    }
    let server = Server::with(container, &database).await;

    // The second command.
    let url = format!("http://{}", server.address);
    let install = ["exec", "tds-a", "/usr/bin/tds-server", "webhooks", "install", "--url", &url];
    let done = stage.run("compose", &install);
    assert_eq!(done.status, 0, "{}", done.said);
    zoho.follow_rules(true);
    let id = zoho.put(Module::ITEMS, sample::item(1));
    let body = zoho.webhook_body(Module::ITEMS, &id);
    let delivery = Delivery { entity_path: "products".to_owned(), event: "created".to_owned(), body };
    let registered = zoho.registered(&delivery);
    assert_eq!(registered.len(), 1);
    for webhook in registered {
        let receipt = webhook.send().await.expect("an answer");
        assert_eq!(receipt.status, 200, "{}", receipt.body);
    }
    until_it_is(&database, "SELECT count(*) FROM erp.products WHERE zoho_id IS NOT NULL", 1).await;
}
