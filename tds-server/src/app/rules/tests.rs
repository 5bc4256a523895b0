use std::sync::Arc;

use tds_core::{
    clock::{Clock as _, SystemClock},
    limits::shared_state::SharedState as _,
};
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};
use tds_zoho::testkit::{FakeZoho, Fault};

use super::*;
use crate::{Need, config::Config};

pub(super) fn config(zoho: &FakeZoho) -> Config {
    config_with(zoho, &[])
}

/// Returns a configuration with further settings.
pub(super) fn config_with(zoho: &FakeZoho, settings: &[(&str, &str)]) -> Config {
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
        name => settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
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
    let check = async || rules.check(&client, &store, &kept().await).await;

    // Without an install, nothing is looked at.
    check().await.expect("a look");
    assert!(kept().await.checked.is_none());
    assert_eq!(zoho.calls(), 0);

    Kept::installed(&store, "https://tds.example.com", &[], Checked::default(), None).await.expect("stored");
    check().await.expect("a look");
    let checked = kept().await.checked.expect("a look");
    assert_eq!(checked.wrong, ["TDS item updated is missing", "TDS item deleted is missing"]);
    assert_eq!(zoho.writes(), 0, "a look changes nothing");

    let destination = rules.destination("https://tds.example.com").expect("a secret");
    let mut pace = Pace::new(config.rules.pace);
    let look = rules
        .look(&client, &destination, &Before::default(), Lane::Operator, &mut pace)
        .await
        .expect("a look");
    for step in &look.plans[0].steps {
        client.register(Api::Books, step, Some(&destination), &mut pace).await.expect("an answer");
    }
    assert!(zoho.registered_webhooks(Api::Books).iter().all(|one| one["secret"] == "TheNewSecret0123"));
    check().await.expect("a look");
    let checked = kept().await.checked.expect("a look");
    assert_eq!((checked.wrong.len(), checked.webhooks), (0, 2));
    assert!(checked.at > 1_700_000_000, "by the clock of the store");

    // Zoho's refusal is kept as a reason, and is nothing wrong.
    zoho.faults().every("/settings/webhooks", 1, Fault::not_authorized(Some(57)));
    check().await.expect("a look");
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

#[tokio::test]
async fn only_a_look_with_a_result_ends_the_day_and_another_one_follows_after_a_pause() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let config = config(&zoho);
    let catalogue = config.entities.of(&Catalogue::default()).expect("known names");
    let rules = Rules::of(&config, &catalogue);
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    let client =
        ZohoClient::new(config.zoho.clone().expect("Zoho"), Arc::new(SystemClock)).expect("a client");
    let kept = async || Kept::load(&store).await.expect("a document");
    let back = async |seconds: i64| {
        let mut kept = kept().await;
        let at = |at: &mut i64| *at -= seconds;
        kept.checked.iter_mut().for_each(|checked| at(&mut checked.at));
        if let Some(looking) = &mut kept.looking {
            looking.at -= seconds;
        }
        let text = serde_json::to_string(&kept).expect("JSON");
        let version = store.load("registered webhooks").await.expect("a document").version;
        assert!(store.swap("registered webhooks", version, &text).await.expect("stored"));
    };
    Kept::installed(&store, "https://tds.example.com", &[], Checked::default(), None).await.expect("stored");
    rules.check_of_the_day(&client, &store).await.expect("nothing is due");
    assert_eq!(zoho.calls(), 0, "the install has looked today");

    back(2 * 86_400).await;
    zoho.faults().every("/settings/webhooks", 1, Fault::Status(500, 1_000, "Internal error".to_owned()));
    rules.check_of_the_day(&client, &store).await.expect_err("no result");
    zoho.faults().clear();
    let calls = zoho.calls();
    rules.check_of_the_day(&client, &store).await.expect("nothing is due");
    assert_eq!(zoho.calls(), calls, "a look was made a moment ago");
    let since = kept().await.looking.expect("a look").since;

    back(16 * 60).await;
    // A process that is killed during its look leaves the same traces.
    assert!(Kept::claim_look(&store).await.expect("claimed").is_some());
    assert!(Kept::claim_look(&store).await.expect("not due").is_none());
    assert_eq!(kept().await.looking.expect("a look").since, since);
    back(16 * 60).await;
    rules.check_of_the_day(&client, &store).await.expect("a result");
    let kept = kept().await;
    assert_eq!((kept.looking, kept.checked.expect("a look").wrong.len()), (None, 2));
    assert!(Kept::claim_look(&store).await.expect("not due").is_none());
}

#[tokio::test]
async fn only_the_counts_of_webhooks_that_were_switched_begin_anew() {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    let now = SystemClock.now().unix_timestamp();
    let counts = |at| {
        let of = RefusedOf { unsigned: 2, unsigned_at: at, ..RefusedOf::default() };
        Refused::from([("products".to_owned(), of.clone()), ("bills".to_owned(), of)])
    };
    let known = async || Kept::refused(&store).await.expect("a document");
    let left = async || {
        known()
            .await
            .into_iter()
            .filter_map(|(name, of)| Some((name, of.since(0)?.unsigned)))
            .collect::<Vec<_>>()
    };
    Kept::add_refused(&store, &counts(now - 60)).await.expect("stored");
    Kept::installed(&store, "https://tds.example.com", &[], Checked::default(), None).await.expect("stored");
    assert_eq!(left().await.len(), 2, "an install that switched nothing mends nothing");
    Kept::forget_refused(&store, &["products".to_owned()]).await.expect("stored");
    assert_eq!(left().await, [("bills".to_owned(), 2)]);
    // A server stores what it refused before.
    Kept::add_refused(&store, &counts(now - 30)).await.expect("stored");
    assert_eq!(left().await, [("bills".to_owned(), 4)]);
    Kept::add_refused(&store, &counts(now + 30)).await.expect("stored");
    assert_eq!(left().await, [("bills".to_owned(), 6), ("products".to_owned(), 2)]);
}

#[tokio::test]
async fn whether_anything_was_ever_in_inventory_is_kept() {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    let mut kept = Vec::new();
    for seen in [None, Some(true), None, Some(false)] {
        Kept::installed(&store, "https://tds.example.com", &[], Checked::default(), seen)
            .await
            .expect("stored");
        kept.push(Kept::load(&store).await.expect("a document").in_inventory);
    }
    assert_eq!(kept, [Some(false), Some(true), Some(true), Some(true)]);
}
