use std::sync::Arc;

use tds_core::clock::SystemClock;
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};
use tds_zoho::testkit::FakeZoho;

use super::*;
use crate::{Need, config::Config};

pub(super) fn config(zoho: &FakeZoho) -> Config {
    let credentials = zoho.credentials();
    let value = |name: &str| match name {
        "ZOHO_CLIENT_ID" => Some(credentials.client_id.clone()),
        "ZOHO_CLIENT_SECRET" => Some(credentials.client_secret.clone()),
        "ZOHO_REFRESH_TOKEN" => Some(credentials.refresh_token.clone()),
        "ZOHO_ORGANIZATION_ID" => Some(credentials.organization_id.clone()),
        "ZOHO_ACCOUNTS_URL" | "ZOHO_API_URL" => Some(zoho.api_url()),
        "ZOHO_REQUESTS_PER_MINUTE" => Some("10000".to_owned()),
        "ZOHO_WEBHOOK_SECRET" => Some("TdsSecret0123456,TheNewSecret0123".to_owned()),
        "TDS_ENTITIES" => Some("products".to_owned()),
        "TDS_SETTINGS_PACE" => Some("1ms".to_owned()),
        _ => None,
    };
    Config::from_lookup(value, Need::Sync).expect("a configuration")
}

#[tokio::test]
async fn the_daily_look_keeps_what_is_wrong_at_the_url_of_the_last_install() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let config = config(&zoho);
    let catalogue = config.entities.of(&Catalogue::default()).expect("known names");
    let rules = Rules::of(&config, &catalogue);
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    let client =
        ZohoClient::new(config.zoho.clone().expect("Zoho"), Arc::new(SystemClock)).expect("a client");
    let kept = async || Kept::load(&store).await.expect("a document");

    // Without an install, nothing is looked at.
    rules.check(&client, &store).await.expect("a look");
    assert!(kept().await.checked.is_none());
    assert_eq!(zoho.calls(), 0);

    Kept::installed(&store, "https://tds.example.com", &[], Checked::default()).await.expect("stored");
    rules.check(&client, &store).await.expect("a look");
    let checked = kept().await.checked.expect("a look");
    assert_eq!(checked.wrong, ["TDS item updated is missing", "TDS item deleted is missing"]);
    assert_eq!(zoho.writes(), 0, "a look changes nothing");

    let destination = rules.destination("https://tds.example.com").expect("a secret");
    let mut pace = Pace::new(config.rules.pace);
    let look = rules.look(&client, &destination, Lane::Operator, &mut pace).await.expect("a look");
    for step in &look.plans[0].steps {
        client.register(Api::Books, step, Some(&destination), &mut pace).await.expect("an answer");
    }
    assert!(zoho.registered_webhooks(Api::Books).iter().all(|one| one["secret"] == "TheNewSecret0123"));
    rules.check(&client, &store).await.expect("a look");
    let checked = kept().await.checked.expect("a look");
    assert_eq!((checked.wrong.len(), checked.webhooks), (0, 2));
    assert!(checked.at > 1_700_000_000, "by the clock of the store");

    // Zoho's refusal is kept as a reason, and is nothing wrong.
    zoho.faults().every("/settings/webhooks", 1, tds_zoho::testkit::Fault::not_authorized(Some(57)));
    rules.check(&client, &store).await.expect("a look");
    let checked = kept().await.checked.expect("a look");
    assert!(checked.unreadable.expect("a reason").contains("ZohoBooks.settings.READ"));
}

#[tokio::test]
async fn refused_deliveries_add_up_over_processes_and_hours() {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    let of = |unsigned, at| {
        let of = RefusedOf { unsigned, unsigned_at: at, ..RefusedOf::default() };
        Refused::from([("products".to_owned(), of)])
    };
    for counts in [of(2, 10), of(3, 7)] {
        Kept::add_refused(&store, &counts).await.expect("stored");
    }
    let known = Kept::refused(&store).await.expect("a document");
    assert_eq!((known["products"].unsigned, known["products"].unsigned_at), (5, 10));
    Kept::forget(&store).await.expect("stored");
    assert_eq!(Kept::refused(&store).await.expect("a document").len(), 1);
}
