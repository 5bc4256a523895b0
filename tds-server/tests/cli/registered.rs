//! Tests `auth` and `webhooks` from outside: from a code of the API console to the first row of a webhook.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::{
    entities::Api,
    sim::{Module, webhook::Delivery},
    testkit::{FakeZoho, sample},
};

use crate::{
    program::{Ended, Program},
    serving::{free_port, wait_for_port},
};

const SECRET: &str = "TdsSecret0123456";
pub(crate) const SCOPES: [&str; 2] = ["ZohoBooks.fullaccess.all", "ZohoInventory.fullaccess.all"];

/// Returns a program that knows the addresses of the organization and nothing else of Zoho.
pub(crate) fn stranger(zoho: &FakeZoho) -> Program {
    Program::new()
        .with("ZOHO_ACCOUNTS_URL", zoho.accounts_url())
        .with("ZOHO_API_URL", zoho.api_url())
        .with("ZOHO_REQUESTS_PER_MINUTE", "10000")
        .with("TDS_SETTINGS_PACE", "1ms")
}

pub(crate) fn write_env(program: &Program, text: &str) {
    fs::write(program.directory().join(".env"), text).expect("written");
}

pub(crate) fn env(program: &Program) -> String {
    fs::read_to_string(program.directory().join(".env")).expect("a file")
}

pub(crate) fn client_lines(zoho: &FakeZoho) -> String {
    let credentials = zoho.credentials();
    format!("ZOHO_CLIENT_ID={}\nZOHO_CLIENT_SECRET={}\n", credentials.client_id, credentials.client_secret)
}

pub(crate) fn says(ended: &Ended, status: i32, texts: &[&str]) {
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.status, status, "{all}");
    for text in texts {
        assert!(all.contains(text), "{text} is not in\n{all}");
    }
}

#[tokio::test]
async fn auth_writes_the_token_and_the_organization_and_nothing_of_a_failure_is_lost() {
    let zoho = FakeZoho::start().await;
    let program = stranger(&zoho);
    says(
        &program.run(&["auth", "--scopes"]).await,
        0,
        &["ZohoBooks.invoices.READ", "ZohoBooks.settings.CREATE"],
    );
    says(&program.run(&["auth", "--code", "1000.x"]).await, 2, &["ZOHO_CLIENT_ID"]);
    write_env(&program, &format!("# mine\nTDS_WORKERS=2\nZOHO_REFRESH_TOKEN=\n{}", client_lines(&zoho)));
    says(&program.run(&["auth"]).await, 2, &["--code", "ZohoBooks.settings.CREATE"]);
    let before = env(&program);
    says(&program.run(&["auth", "--code", "1000.wrong"]).await, 1, &["invalid_code", "new code"]);
    assert_eq!(env(&program), before, "a refusal changes nothing");

    // With one organization, nothing is asked. --print leaves the file alone.
    let printed = program.run(&["auth", "--print", "--code", &zoho.grant_code(&SCOPES)]).await;
    says(&printed, 0, &["ZOHO_REFRESH_TOKEN=1000.fake.granted", "ZOHO_ORGANIZATION_ID=60045678901"]);
    assert_eq!(env(&program), before);

    // With several, no terminal can be asked. The code is spent, but the token is kept.
    zoho.add_organization("70000000001", "Second");
    let several = program.run(&["auth", "--code", &zoho.grant_code(&["ZohoBooks.settings.READ"])]).await;
    says(
        &several,
        2,
        &["--organization", "70000000001", "without the scopes", "without the scopes for settings"],
    );
    assert!(env(&program).contains("ZOHO_REFRESH_TOKEN=1000.fake.granted"), "{}", env(&program));
    says(&program.run(&["auth", "--organization", "8"]).await, 1, &["70000000001 (Second)"]);
    says(&program.run(&["auth", "--organization", "70000000001"]).await, 0, &["Second"]);
    let after = env(&program);
    assert!(after.starts_with("# mine\nTDS_WORKERS=2\nZOHO_REFRESH_TOKEN=1000.fake.granted"), "{after}");
    assert!(after.ends_with("ZOHO_ORGANIZATION_ID=70000000001\n"), "{after}");
    let mode = fs::metadata(program.directory().join(".env")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // A scope that even the list of organizations needs.
    let narrow = program.run(&["auth", "--code", &zoho.grant_code(&["ZohoBooks.bills.READ"])]).await;
    says(&narrow, 1, &["code 57", "ZohoBooks.settings.READ"]);
    let client_secret = zoho.credentials().client_secret;
    for secret in [client_secret.as_str(), "1000.fake.granted"] {
        assert!(!narrow.stderr.contains(secret), "{}", narrow.stderr);
    }
}

/// Returns the kinds of what `webhooks status` finds.
async fn findings(program: &Program, status: i32) -> Vec<String> {
    let ended = program.run(&["webhooks", "status", "--json"]).await;
    assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("a list");
    findings.iter().map(|one| one["kind"].as_str().expect("text").to_owned()).collect()
}

/// Clicks what a command printed. The rows are `name … module … URL …` and `name … module …; webhook …`.
fn click(zoho: &FakeZoho, printed: &str) {
    let (mut ids, mut api) = (std::collections::HashMap::new(), Api::Books);
    for line in printed.lines() {
        for (product, its) in [("In Zoho Books:", Api::Books), ("In Zoho Inventory:", Api::Inventory)] {
            api = if line.contains(product) { its } else { api };
        }
        let Some(row) = line.trim().strip_prefix("name ") else { continue };
        let Some((name, rest)) = row.split_once(" module ") else { continue };
        let (name, (module, rest)) = (name.trim(), rest.split_once(' ').expect("a module"));
        if let Some((_, url)) = rest.split_once("URL ") {
            let webhook = json!({"webhook_name": name, "entity": module, "url": url, "secret": SECRET, "method": "POST"});
            ids.insert(name.to_owned(), zoho.enter_registered(api, webhook));
        } else if let Some(id) = rest.split_once("; webhook ").and_then(|(_, webhook)| ids.get(webhook)) {
            let kind = if rest.contains("deleted;") { "delete" } else { "add_edit" };
            let action = json!([{"action_type": "webhook", "action_id": id}]);
            let rule = json!({"workflow_name": name, "entity": module, "rule_type": kind, "instant_actions": action});
            zoho.enter_registered(api, rule);
        }
    }
}

#[tokio::test]
async fn two_commands_lead_from_an_empty_organization_to_the_first_row_of_a_webhook() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let program = stranger(&zoho)
        .with("DATABASE_URL", database.url())
        .with("TDS_BIND", format!("127.0.0.1:{port}"))
        .with("ZOHO_WEBHOOK_SECRET", SECRET)
        // Many commands in a short time share one access token, as they should with a server.
        .with("ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        .with("TDS_ENTITIES", "products,composite_items");
    write_env(&program, &client_lines(&zoho));
    program.done(&["auth", "--code", &zoho.grant_code(&SCOPES)]).await;
    program.done(&["migrate"]).await;
    let running = program.start(&["serve"]);
    wait_for_port(port).await;
    let writes = zoho.writes();
    says(
        &program.run(&["webhooks", "plan", "--url", &base]).await,
        0,
        &["create webhook", "TDS item updated"],
    );
    assert_eq!(zoho.writes(), writes, "plan changes nothing");
    says(&program.run(&["webhooks", "status"]).await, 2, &["--url"]);
    says(&program.run(&["webhooks", "install", "--url", &base]).await, 0, &["4 webhooks and rules", &base]);

    // Zoho sends by the rules that were registered, signed with the secret that was registered.
    zoho.follow_rules(true);
    let id = zoho.put(Module::ITEMS, sample::item(1));
    let body = zoho.webhook_body(Module::ITEMS, &id);
    let delivery = Delivery { entity_path: "products".to_owned(), event: "created".to_owned(), body };
    for webhook in zoho.registered(&delivery) {
        let receipt = webhook.send().await.expect("an answer");
        assert_eq!(receipt.status, 200, "{}", receipt.body);
        let receipt: Value = serde_json::from_str(&receipt.body).expect("JSON");
        let event = receipt["inbox_event_id"].to_string();
        let event = crate::serving::wait_for_end(&program, &event).await;
        assert_eq!(event["outcome"], "applied", "{event}");
    }
    let row = program.json(&["explain", "products", &id, "--json"]).await;
    assert_eq!(row["record"]["zoho_id"].as_str(), Some(id.as_str()), "{row}");
    assert_eq!(findings(&program, 0).await, Vec::<String>::new());

    // A question about something else changes no report.
    for other in [&["--url", "https://typo.example.com"][..], &["--url", &base, "--entities", "products"]] {
        let asked = [&["webhooks", "status"][..], other].concat();
        says(&program.run(&asked).await, 1, &["health report of the servers stays"]);
    }
    let health = async || {
        let text =
            reqwest::get(format!("{base}/health")).await.expect("an answer").text().await.expect("text");
        let health: Value = serde_json::from_str(&text).expect("JSON");
        health["components"]["webhook_rules"]["state"].as_str().expect("text").to_owned()
    };
    assert_eq!(health().await, "healthy");

    // Damage is found, and mended by the same command.
    assert!(zoho.edit_registered(Api::Books, "TDS item deleted", &json!({"status": "inactive"})));
    let slack = json!({"webhook_name": "Slack", "url": "https://hooks.example.net/1"});
    zoho.enter_registered(Api::Books, slack);
    assert_eq!(findings(&program, 1).await, ["inactive", "foreign"]);
    assert_eq!(health().await, "degraded");
    says(&program.run(&["webhooks", "install"]).await, 0, &["activate rule", "hooks.example.net"]);
    assert_eq!(findings(&program, 1).await, ["foreign"]);

    // Another secret means other webhooks; the rules stay.
    let rotated =
        program.run(&["webhooks", "install", "--webhook-secret", "TdsSecret0123456,AnotherSecret99"]).await;
    says(&rotated, 0, &["change rule", "delete webhook"]);
    let secrets = zoho.registered_webhooks(Api::Books);
    assert_eq!(secrets.iter().filter(|one| one["secret"] == "AnotherSecret99").count(), 2, "{secrets:#?}");
    assert_eq!((secrets.len(), zoho.registered_rules(Api::Books).len()), (3, 2));
    assert!(!rotated.stderr.contains("AnotherSecret99") && !rotated.stdout.contains("AnotherSecret99"));

    says(&program.run(&["webhooks", "remove"]).await, 2, &["--yes"]);
    // What an entity type needed that is no longer synced is deleted as well, in whatever product it is.
    let removed = program.run(&["webhooks", "remove", "--yes", "--entities", "products"]).await;
    says(&removed, 0, &["8 webhooks and rules were deleted"]);
    assert_eq!(zoho.registered_rules(Api::Inventory).len(), 0);
    assert_eq!(zoho.registered_webhooks(Api::Books).len(), 1, "what is not ours stays");

    // A webhook without our secret is refused, and the check says so. A server that ends stores its counts.
    let forged = reqwest::Client::new().post(format!("{base}/api/zoho/webhooks/products"));
    assert_eq!(forged.body(r#"{"item":{"item_id":"7"}}"#).send().await.expect("an answer").status(), 401);
    running.terminate().await;
    says(&running.ended_within(Duration::from_secs(10)).await, 0, &[]);
    says(
        &program.run(&["webhooks", "status", "--url", &base]).await,
        1,
        &["missing", "1 without a signature", "the last at 20"],
    );

    // An install that creates webhooks begins the counts anew; those that it creates sent nothing of it.
    says(&program.run(&["webhooks", "install", "--url", &base]).await, 0, &["create rule"]);
    let status = program.run(&["webhooks", "status", "--json"]).await;
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(status["refused"], json!([]), "{status}");
    program.done(&["webhooks", "remove", "--yes"]).await;

    // Without the scopes, the clicks are printed.
    program
        .done(&["auth", "--code", &zoho.grant_code(&["ZohoBooks.settings.READ", "ZohoInventory.items.READ"])])
        .await;
    let clicks = program.run(&["webhooks", "install", "--url", &base]).await;
    says(&clicks, 1, &["New webhook", "compositeitem", "scopes for settings", "ZohoBooks.settings.CREATE"]);
    assert!(!clicks.stdout.contains(SECRET) && !clicks.stderr.contains(SECRET));
    click(&zoho, &format!("{}{}", clicks.stdout, clicks.stderr));
    assert_eq!((zoho.registered_webhooks(Api::Books).len(), zoho.registered_rules(Api::Books).len()), (3, 2));
    assert_eq!(findings(&program, 1).await, ["foreign"], "what was clicked is what TDS looks for");
}
