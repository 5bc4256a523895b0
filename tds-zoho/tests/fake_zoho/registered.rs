//! Webhooks and rules are registered in the simulated organization, and codes are exchanged.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tds_core::{clock::SystemClock, error::ErrorKind, queue::Lane};
use tds_zoho::{
    ZohoClient,
    entities::{Api, Catalogue},
    exchange,
    rules::{
        Destination, Found, Kind, Pace, Plan, Registered, RuleModules, StepOutcome, Target, Unreadable,
        Wanted, plans, removal, targets,
    },
    sim::{AutomationLimits, webhook::Delivery},
    testkit::{FakeZoho, Fault},
};

use crate::writer::{client, config};

const BASE: &str = "https://tds.example.com";
const SECRET: &str = "TdsSecret0123456";

fn destination(secret: &str) -> Destination {
    Destination { base: BASE.to_owned(), secret: secret.into(), key: Some("header-value".into()) }
}

fn wanted(entities: &[&str]) -> Vec<Target> {
    let names = entities.iter().map(|name| name.parse().expect("a name"));
    targets(&Catalogue::default().syncing(names), &RuleModules::default())
}

fn pace() -> Pace {
    Pace::new(Duration::ZERO)
}

async fn found(client: &ZohoClient, api: Api) -> Found {
    let wanted = targets(&Catalogue::default(), &RuleModules::default());
    match client.registered(api, &wanted, Lane::Operator, &mut pace()).await.expect("an answer") {
        Registered::Known(found) => found,
        Registered::Unreadable(reason) => panic!("{reason:?}"),
    }
}

async fn planned(client: &ZohoClient, targets: &[Target], secret: &str) -> Plan {
    let (destination, found, suspects) =
        (destination(secret), found(client, Api::Books).await, BTreeSet::new());
    let wanted = Wanted { targets, destination: &destination, earlier: &[], known: &[], suspects: &suspects };
    plans(wanted, &[(Api::Books, &found)]).remove(0)
}

/// Takes the steps of a plan until one fails with an error. Returns what Zoho refused.
async fn install(client: &ZohoClient, targets: &[Target], secret: &str) -> Result<Vec<String>, String> {
    let plan = planned(client, targets, secret).await;
    let (mut pace, mut refused) = (pace(), Vec::new());
    for step in &plan.steps {
        let taken = client.register(plan.api, step, Some(&destination(secret)), &mut pace).await;
        match taken.map_err(|error| error.to_string())? {
            StepOutcome::Refused(reason) => refused.push(format!("{}: {reason}", step.name)),
            StepOutcome::Done | StepOutcome::Skipped => {}
        }
    }
    Ok(refused)
}

#[tokio::test]
async fn an_empty_organization_gets_webhooks_that_carry_the_secret_and_fire() {
    let fake = FakeZoho::start().await;
    let (client, wanted) = (client(&fake), wanted(&["products", "customers"]));
    for other in 0..205 {
        let url = format!("https://elsewhere.example.net/{other}");
        fake.enter_registered(Api::Books, json!({"webhook_name": format!("other {other}"), "url": url}));
    }
    assert_eq!(install(&client, &wanted, SECRET).await, Ok(Vec::new()));
    let plan = planned(&client, &wanted, SECRET).await;
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.others.len(), 205, "every page is read");
    assert!(plan.deviations.iter().all(|one| one.kind == Kind::Foreign));
    let ours: Vec<Value> = fake.registered_webhooks(Api::Books).split_off(205);
    assert_eq!((ours.len(), fake.registered_rules(Api::Books).len()), (4, 4));
    assert!(ours.iter().all(|webhook| webhook["secret"] == SECRET), "{ours:#?}");
    assert_eq!(ours[0]["headers"][0]["param_value"], "header-value");

    fake.follow_rules(true);
    let delivery = |event: &str| Delivery {
        entity_path: "products".to_owned(),
        event: event.to_owned(),
        body: r#"{"item":{"item_id":"7"}}"#.to_owned(),
    };
    let urls = |event: &str| {
        let fired = fake.registered(&delivery(event));
        fired.into_iter().map(|one| one.url).collect::<Vec<_>>()
    };
    assert_eq!(urls("created"), ["https://tds.example.com/api/zoho/webhooks/products?event=updated"]);
    assert_eq!(urls("updated"), urls("created"));
    assert_eq!(urls("deleted"), ["https://tds.example.com/api/zoho/webhooks/products?event=deleted"]);
    assert_eq!(fake.registered(&delivery("updated"))[0].clone().body, r#"{"item":{"item_id":"7"}}"#);
}

/// An answer that gets lost after the call took effect, one that a gateway gives in place of the call, and a refusal of
/// everything.
fn faults() -> [Fault; 3] {
    [Fault::answer_lost(), Fault::Html(502), Fault::RetryAfter429 { retry_after: "120".to_owned(), code: 44 }]
}

#[tokio::test]
async fn an_error_at_any_call_is_mended_by_running_again() {
    let wanted = wanted(&["products"]);
    for (is_rotation, steps) in [(false, 4), (true, 6)] {
        for fault in faults() {
            for call in 0..steps {
                let fake = FakeZoho::start().await;
                if is_rotation {
                    assert_eq!(install(&client(&fake), &wanted, "TheOldSecret0123").await, Ok(Vec::new()));
                }
                let first = client(&fake);
                let plan = planned(&first, &wanted, SECRET).await;
                assert_eq!(plan.steps.len(), steps);
                let mut pace = pace();
                for (number, step) in plan.steps.iter().enumerate() {
                    if number == call {
                        fake.faults().next_writes("/settings/", 1, fault.clone());
                    }
                    let taken = first.register(Api::Books, step, Some(&destination(SECRET)), &mut pace).await;
                    assert_eq!(taken.is_err(), number == call, "{step:?}: {taken:?}");
                    if taken.is_err() {
                        break;
                    }
                }
                // The next command knows nothing of this one.
                let next = client(&fake);
                assert_eq!(install(&next, &wanted, SECRET).await, Ok(Vec::new()), "{fault:?} at {call}");
                let left = planned(&next, &wanted, SECRET).await;
                assert!(left.is_right(), "{fault:?} at {call}: {left:?}");
                let webhooks = fake.registered_webhooks(Api::Books);
                assert_eq!((webhooks.len(), fake.registered_rules(Api::Books).len()), (2, 2));
                assert!(webhooks.iter().all(|webhook| webhook["secret"] == SECRET));
            }
        }
    }
}

#[tokio::test]
async fn what_zoho_refuses_concerns_only_its_own_rule_and_repeats_no_secret() {
    let fake = FakeZoho::start().await;
    let (client, all) = (client(&fake), wanted(&["products", "invoices", "credit_notes"]));
    let modules = ["item", "creditnote"].map(str::to_owned).to_vec();
    fake.set_automation_limits(AutomationLimits { rules: 3, modules, ..AutomationLimits::default() });
    let refused = install(&client, &all, SECRET).await.expect("no error");
    let text = refused.join("\n");
    assert_eq!(refused.len(), 3, "two triggers of invoices, and the fourth rule: {text}");
    assert!(
        text.contains("Invalid value passed for entity") && text.contains("maximum number of workflow rules"),
        "{text}"
    );
    assert_eq!(fake.registered_rules(Api::Books).len(), 3);
    fake.set_automation_limits(AutomationLimits::default());
    assert_eq!(install(&client, &all, SECRET).await, Ok(Vec::new()));
    assert_eq!(fake.registered_rules(Api::Books).len(), 6);

    let echo = format!("the secret {SECRET} and the value header-value are bad");
    fake.faults().next_writes("/settings/webhooks", 1, Fault::Status(400, 2, echo));
    fake.edit_registered(Api::Books, "TDS item updated", &json!({"workflow_name": "TDS bill updated"}));
    let plan = planned(&client, &wanted(&["bills"]), SECRET).await;
    let step = plan.steps.iter().find(|step| step.action() == "create webhook").expect("a step");
    let outcome = client.register(Api::Books, step, Some(&destination(SECRET)), &mut pace()).await;
    let Ok(StepOutcome::Refused(reason)) = outcome else { panic!("{outcome:?}") };
    assert!(!reason.contains(SECRET) && !reason.contains("header-value"), "{reason}");
}

#[tokio::test]
async fn what_a_person_changed_in_zoho_is_seen_and_mended() {
    let fake = FakeZoho::start().await;
    let (client, wanted) = (client(&fake), wanted(&["products", "invoices"]));
    assert_eq!(install(&client, &wanted, SECRET).await, Ok(Vec::new()));
    let is_right = async || planned(&client, &wanted, SECRET).await.is_right();
    assert!(is_right().await);
    let webhook = fake.registered_webhooks(Api::Books)[0].clone();
    let (webhook_name, id) = (webhook["webhook_name"].as_str().expect("a name"), &webhook["webhook_id"]);
    let rule = "TDS item updated";
    for (name, changes) in [
        (rule, json!({"apply_rule_always": false})),
        (rule, json!({"rule": {"criteria": [{"field": "rate", "value": 3}]}})),
        (rule, json!({"entity": "invoice"})),
        (webhook_name, json!({"method": "PUT"})),
        (&*format!("{webhook_name} 2"), json!({"raw_data": "${ITEM.NAME}"})),
        (webhook_name, json!({"headers": []})),
        (
            &*format!("{webhook_name} 2"),
            json!({"headers": [{"param_name": "X-Webhook-Key", "param_value": "another"}]}),
        ),
    ] {
        assert!(fake.edit_registered(Api::Books, name, &changes), "{name}");
        let plan = planned(&client, &wanted, SECRET).await;
        let kinds: Vec<Kind> = plan.deviations.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [Kind::Changed], "{changes}: {:?}", plan.deviations);
        assert_eq!(install(&client, &wanted, SECRET).await, Ok(Vec::new()), "{changes}");
        assert!(is_right().await, "{changes}");
        assert_eq!(fake.registered_webhooks(Api::Books).len(), 4, "{changes}");
    }

    // A rule of others sends a webhook of ours. Its row in the list does not show that.
    let webhook = fake.registered_webhooks(Api::Books).pop().expect("a webhook");
    let action = json!([{"action_type": "webhook", "action_id": webhook["webhook_id"]}]);
    assert_ne!(&webhook["webhook_id"], id, "it was created again");
    let other = json!({"workflow_name": "Items to ERP", "entity": "item", "rule_type": "edit", "instant_actions": action});
    fake.enter_registered(Api::Books, other);
    let plan = planned(&client, &wanted, SECRET).await;
    let found: Vec<(Kind, &str)> = plan.deviations.iter().map(|one| (one.kind, one.name.as_str())).collect();
    assert_eq!((found, plan.steps.len()), (vec![(Kind::Doubled, "Items to ERP")], 0));
}

#[tokio::test]
async fn removal_deletes_what_is_ours_and_what_is_gone_already_is_no_error() {
    let fake = FakeZoho::start().await;
    let (client, wanted) = (client(&fake), wanted(&["products"]));
    fake.enter_registered(Api::Books, json!({"webhook_name": "Slack", "url": "https://hooks.example.net/1"}));
    assert_eq!(install(&client, &wanted, SECRET).await, Ok(Vec::new()));
    let plan = removal(Api::Books, &found(&client, Api::Books).await);
    assert_eq!(plan.steps.len(), 4);
    for _ in 0..2 {
        for step in &plan.steps {
            let taken = client.register(Api::Books, step, None, &mut pace()).await;
            assert_eq!(taken.expect("an answer"), StepOutcome::Done, "{step:?}");
        }
    }
    assert_eq!(fake.registered_webhooks(Api::Books).len(), 1);
}

#[tokio::test]
async fn a_missing_scope_and_a_missing_product_are_told_apart_and_stop_nothing_else() {
    let fake = FakeZoho::start().await;
    let code = fake.grant_code(&["ZohoBooks.settings.READ", "ZohoInventory.items.READ"]);
    let mut config = config(&fake);
    config.refresh_token = exchange(&config, &code.into(), None).await.expect("a grant").refresh_token;
    let client = ZohoClient::new(config, Arc::new(SystemClock)).expect("a client");
    let of = async |api| client.registered(api, &[], Lane::Operator, &mut pace()).await.expect("an answer");
    assert!(matches!(of(Api::Books).await, Registered::Known(_)), "reading is permitted");
    let refused = install(&client, &wanted(&["products"]), SECRET).await.expect("no error");
    assert_eq!(refused.len(), 2, "the rules are not tried: {refused:?}");
    assert!(refused.iter().all(|reason| reason.contains("ZohoBooks.settings.CREATE")), "{refused:?}");
    // Inventory answers its items, so its settings lack the scope.
    match of(Api::Inventory).await {
        Registered::Unreadable(Unreadable::Refused(reason)) => {
            assert!(reason.contains("ZohoInventory.settings.READ"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let health = format!("{:?}", client.health().await.state);
    assert_eq!(health, "Ok", "no call waits because of a refusal");
    assert_eq!(fake.mints(), 3, "one more token is minted, because the first may have been dead");
}

#[tokio::test]
async fn a_dead_access_token_is_replaced_once_at_any_call_of_settings() {
    let wanted = wanted(&["products"]);
    for (is_write, path) in
        [(false, "/settings/webhooks"), (false, "/settings/workflows"), (true, "/settings/workflows")]
    {
        let fake = FakeZoho::start().await;
        let client = client(&fake);
        let dead = Fault::not_authorized(Some(57));
        match is_write {
            true => fake.faults().next_writes(path, 1, dead),
            false => fake.faults().next(path, 1, dead),
        };
        assert_eq!(install(&client, &wanted, SECRET).await, Ok(Vec::new()), "{path}");
        assert_eq!(fake.mints(), 2, "{path}");
        assert!(planned(&client, &wanted, SECRET).await.is_right(), "{path}");
    }
    // Where the new token is refused too, no more are minted.
    let fake = FakeZoho::start().await;
    let client = client(&fake);
    fake.faults().every("/settings/", 1, Fault::not_authorized(Some(57)));
    for _ in 0..3 {
        let looked = client.registered(Api::Books, &wanted, Lane::Operator, &mut pace()).await;
        let Ok(Registered::Unreadable(Unreadable::Refused(reason))) = looked else { panic!("{looked:?}") };
        assert!(reason.contains("ZohoBooks.settings.READ"), "{reason}");
    }
    assert_eq!(fake.mints(), 2);
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_every_refusal_says_what_to_do() {
    let fake = FakeZoho::start().await;
    let config = config(&fake);
    let refused = async |code: String, redirect: Option<&str>| {
        let error = exchange(&config, &SecretString::from(code), redirect).await.expect_err("a refusal");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        error.to_string()
    };
    let code = fake.grant_code(&["ZohoBooks.settings.READ"]);
    let grant = exchange(&config, &code.clone().into(), None).await.expect("a grant");
    assert_eq!(grant.scopes, ["ZohoBooks.settings.READ"]);
    assert!(!format!("{grant:?}").contains(grant.refresh_token.expose_secret()));
    for code in [code, "never made".to_owned(), fake.expired_code()] {
        let text = refused(code, None).await;
        assert!(text.contains("invalid_code") && text.contains("new code"), "{text}");
    }
    let with_uri = || fake.grant_code_for(&["ZohoBooks.settings.READ"], "https://erp.example.test/back");
    assert!(refused(with_uri(), None).await.contains("redirect URI"));
    assert!(refused(with_uri(), Some("https://erp.example.test/")).await.contains("redirect URI"));
    assert!(exchange(&config, &with_uri().into(), Some("https://erp.example.test/back")).await.is_ok());

    let wrong = |change: fn(&mut tds_zoho::ZohoConfig)| {
        let mut config = config.clone();
        change(&mut config);
        config
    };
    let code = || SecretString::from(fake.grant_code(&[]));
    let client = wrong(|config| config.client_id = "1000.OTHER".to_owned());
    let text = exchange(&client, &code(), None).await.expect_err("a refusal").to_string();
    assert!(text.contains("invalid_client") && text.contains("data center"), "{text}");
    let secret = wrong(|config| config.client_secret = "canary-secret".into());
    let text = exchange(&secret, &code(), None).await.expect_err("a refusal").to_string();
    assert!(text.contains("invalid_client_secret") && !text.contains("canary"), "{text}");

    // The new refresh token works, and lists every organization of its user.
    fake.add_organization("70000000001", "Second");
    let mut config = config.clone();
    config.refresh_token = grant.refresh_token;
    let client = ZohoClient::new(config, Arc::new(SystemClock)).expect("a client");
    let ids: HashSet<String> =
        client.visible_organizations().await.expect("a list").into_iter().map(|one| one.id).collect();
    assert!(ids.len() == 2 && ids.contains("70000000001"), "{ids:?}");
}
