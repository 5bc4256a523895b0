//! Tests that the store uses nothing that a pooler in transaction mode does not support, such as named statements and
//! session state.

#[path = "pooler/bouncer.rs"]
mod bouncer;
mod support;

use sqlx::Row as _;
use tds_core::{
    inbox::Inbox as _,
    mirror::{Applied, Mirror as _, MirrorSchema},
    queue::{Outcome, Queue as _, QueueOperator as _},
    record::{Content, EntityType, Fields, Observed, Payload, Read, Record, RecordId, RecordKey, Shape},
};
use tds_postgres::{
    Database, DatabaseConfig, PgMirror, PgStore, Schemas, StoreSettings, testkit::TestDatabase,
};

/// Connects as if a pooler were in between: the URL contains the flag.
async fn flagged(test: &TestDatabase) -> Database {
    connect(format!("{}&pgbouncer=true", test.url())).await
}

async fn connect(url: String) -> Database {
    let mut config = DatabaseConfig::new(url);
    config.max_connections = 4;
    Database::connect(&config).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_processed_from_end_to_end_through_a_real_pooler() {
    let test = TestDatabase::empty().await;
    let bouncer = bouncer::Bouncer::start_with(test.url(), "extra_float_digits", "").await;
    let database = connect(format!("{}?sslmode=disable&pgbouncer=true", bouncer.url())).await;
    everything_works(&database).await;
    let store = PgStore::new(database.clone(), StoreSettings::default());
    // There are more events at once than the pooler has server connections.
    let events = (0..30).map(|n| {
        let store = store.clone();
        tokio::spawn(
            async move { store.accept(support::event(&n.to_string(), support::work(1, "{}"))).await },
        )
    });
    for event in events.collect::<Vec<_>>() {
        event.await.expect("no panic").expect("accepted");
    }
    let mut settled = 0;
    loop {
        let claimed = support::claim(&store, 7).await;
        if claimed.is_empty() {
            break;
        }
        let done = store.settle(support::complete(&claimed, Outcome::Applied)).await.expect("settled");
        settled += done.accepted;
    }
    assert_eq!(settled, 30);
    let stats = store.stats().await.expect("stats");
    assert_eq!((stats.queue.completed, stats.queue.pending), (30, 0));
    store.shutdown().await;
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_everything_works_and_no_statement_stays_prepared() {
    let test = TestDatabase::empty().await;
    let database = flagged(&test).await;
    everything_works(&database).await;
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_recognised_whether_it_refuses_settings_or_forgets_them() {
    let test = TestDatabase::empty().await;
    for ignored in ["extra_float_digits", "extra_float_digits, options"] {
        let bouncer = bouncer::Bouncer::start_with(test.url(), ignored, "").await;
        let database = connect(format!("{}?sslmode=disable", bouncer.url())).await;
        assert!(database.is_pooled(), "ignore_startup_parameters = {ignored}");
        database.close().await;
    }
    let direct = connect(test.url().to_owned()).await;
    assert!(!direct.is_pooled());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_store_everything_through_a_pooler_that_drops_settings_silently() {
    let test = TestDatabase::new().await;
    let bouncer = bouncer::Bouncer::start_with(test.url(), "extra_float_digits, options", "").await;
    let url = format!("{}?sslmode=disable", bouncer.url());
    everything_is_stored(&url, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_takes_few_clients_makes_work_wait() {
    let test = TestDatabase::new().await;
    let few = "max_client_conn = 6";
    let bouncer = bouncer::Bouncer::start_with(test.url(), "extra_float_digits, options", few).await;
    let url = format!("{}?sslmode=disable", bouncer.url());
    everything_is_stored(&url, 10).await;
}

async fn everything_is_stored(url: &str, connections: u32) {
    let mut stores = Vec::new();
    for _ in 0..2 {
        let config = DatabaseConfig { max_connections: connections, ..DatabaseConfig::new(url) };
        let database = Database::connect(&config).await.expect("connects");
        stores.push(PgStore::new(database, StoreSettings::default()));
    }
    let tasks = (0..100).map(|n: usize| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move {
            store.accept(support::event(&n.to_string(), support::work(1, "{}"))).await.expect("accepted");
            store.stats().await.expect("counted");
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    assert_eq!(support::claim(&stores[0], 200).await.len(), 100);
    for store in stores {
        store.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_organizations_that_share_the_sessions_of_a_pooler_do_not_mix() {
    let test = TestDatabase::empty().await;
    for ignored in ["extra_float_digits, options", "extra_float_digits"] {
        let bouncer = bouncer::Bouncer::start_with(test.url(), ignored, "").await;
        let url = format!("{}?sslmode=disable", bouncer.url());
        let own = Schemas {
            engine: Some("tds_de".parse().expect("a name")),
            mirror: "erp_de".parse().expect("a name"),
        };
        let config =
            |schemas| DatabaseConfig { max_connections: 4, schemas, ..DatabaseConfig::new(url.clone()) };
        let configs = [config(Schemas::default()), config(own)];
        let mut databases = Vec::new();
        for config in &configs {
            databases.push(Database::connect(config).await.expect("connects"));
        }
        let migrations = tokio::join!(databases[0].migrate(), databases[1].migrate());
        assert!(migrations.0.is_ok() && migrations.1.is_ok(), "{migrations:?}");
        // Statements of both take turns on three sessions.
        let entity = EntityType::from_static("products");
        let tasks = (0..60_usize).map(|n| {
            let (database, entity) = (databases[n % 2].clone(), entity.clone());
            tokio::spawn(async move {
                let id = i32::try_from(n).expect("small");
                let schema = MirrorSchema { entity: entity.clone(), head: Some("products"), children: &[] };
                let applied =
                    PgMirror::new(database.clone()).apply(&schema, vec![read(&entity, id)]).await.pop();
                applied.expect("one result").expect("stored");
                let store = PgStore::new(database, StoreSettings::default());
                let event = support::event(&n.to_string(), support::work(1, "{}"));
                store.accept(event).await.expect("accepted");
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
        for (n, database) in databases.into_iter().enumerate() {
            assert!(database.is_pooled());
            let rows = "SELECT count(*)::text || ' ' || count(*) FILTER (WHERE zoho_id::int % 2 = $1) || ' '
              || (SELECT count(*) FILTER (WHERE entity_id::int % 2 = $1) || ' ' || count(*) FROM tds_inbox_events) FROM erp.products";
            let parity = i32::try_from(n).expect("small");
            let found: String =
                sqlx::query_scalar(rows).bind(parity).fetch_one(&database).await.expect("answers");
            assert_eq!(found, "30 30 30 30", "organization {n}, {ignored}");
            database.close().await;
        }
    }
}

/// Migrates, writes through the mirror and reads, from many tasks at the same time.
async fn everything_works(database: &Database) {
    assert!(database.is_pooled());
    let (one, two) = tokio::join!(database.migrate(), database.migrate());
    assert!(one.expect("migrates").applied.is_empty() ^ two.expect("migrates").applied.is_empty());
    assert!(database.schema().await.expect("readable").is_current());
    let mirror = PgMirror::new(database.clone());
    let entity = EntityType::from_static("products");
    let looks = (0..40).map(|n| {
        let (database, mirror, entity) = (database.clone(), mirror.clone(), entity.clone());
        tokio::spawn(async move {
            let id = RecordId::new(n.to_string());
            assert!(mirror.states(&entity, &[id]).await.expect("states").is_empty());
            let schema = MirrorSchema { entity: entity.clone(), head: Some("products"), children: &[] };
            let applied = mirror.apply(&schema, vec![read(&entity, n)]).await.pop().expect("one result");
            assert_eq!(applied.expect("stored"), Applied::Done(Outcome::Applied));
            let mut tx = database.begin().await.expect("begins");
            let sum: i32 =
                sqlx::query_scalar("SELECT $1::int4 + 1").bind(n).fetch_one(&mut tx).await.expect("answers");
            assert_eq!(sum, n + 1);
            let rows =
                sqlx::query("SELECT generate_series(1, $1)").bind(n).fetch_all(&mut tx).await.expect("rows");
            assert_eq!(rows.len(), usize::try_from(n).expect("small"));
            tx.commit().await.expect("commits");
            sqlx::query("SELECT name FROM pg_prepared_statements")
                .fetch_all(&database)
                .await
                .expect("rows")
                .len()
        })
    });
    for look in looks.collect::<Vec<_>>() {
        assert!(look.await.expect("no panic") <= 1, "a named statement was left behind");
    }
    let row =
        sqlx::query("SELECT count(*) AS n FROM erp.products").fetch_one(database).await.expect("answers");
    assert_eq!(row.get::<i64, _>("n"), 40);
    database.ping(std::time::Duration::from_secs(5)).await.expect("answers");
}

fn read(entity: &EntityType, n: i32) -> Read {
    let key = RecordKey::new(entity.clone(), RecordId::new(n.to_string()));
    let record = Record {
        entity: key.entity.clone(),
        id: key.id.clone(),
        version: None,
        fields: Fields::from_iter([("name".to_owned(), n.into())]),
        volatile: Fields::new(),
        children: std::collections::BTreeMap::new(),
        moves: None,
        cut: std::collections::BTreeSet::new(),
        raw: Payload::new("{}"),
    };
    let observed = Observed::Push(time::OffsetDateTime::UNIX_EPOCH);
    Read {
        key,
        shape: Shape::Webhook,
        observed,
        content: Content::Present(Box::new(record)),
        listed: None,
        follow: None,
        cause: None,
    }
}
