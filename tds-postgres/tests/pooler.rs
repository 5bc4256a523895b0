//! What a pooler in transaction mode cannot carry is not used: named statements, session state.

use sqlx::Row as _;
use tds_core::{
    Applied, Content, EntityType, Fields, Mirror as _, MirrorSchema, Observed, Outcome, Payload, Read,
    Record, RecordId, RecordKey, Shape,
};
use tds_postgres::{Database, DatabaseConfig, PgMirror, testkit::TestDatabase};

/// As behind a pooler: the flag in the URL. With `TDS_TEST_POOLER_URL` through a real one, whose address is
/// given with `{name}` in the place of the database's name.
async fn pooled(test: &TestDatabase) -> Database {
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(test.database())
        .await
        .expect("a name");
    let url = match std::env::var("TDS_TEST_POOLER_URL") {
        Ok(url) => url.replace("{name}", &name),
        Err(_) => format!("{}&pgbouncer=true", test.url()),
    };
    let mut config = DatabaseConfig::new(url);
    config.max_connections = 4;
    Database::connect(&config).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_everything_works_and_no_statement_stays_prepared() {
    let test = TestDatabase::empty().await;
    let database = pooled(&test).await;
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
        sqlx::query("SELECT count(*) AS n FROM erp.products").fetch_one(&database).await.expect("answers");
    assert_eq!(row.get::<i64, _>("n"), 40);
    database.ping().await.expect("answers");
    database.close().await;
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
        raw: Payload::new("{}"),
    };
    let observed = Observed::Push(time::OffsetDateTime::UNIX_EPOCH);
    Read { key, shape: Shape::Webhook, observed, content: Content::Present(Box::new(record)), listed: None }
}
