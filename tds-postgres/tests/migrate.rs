//! Migrations: by several at once, never backwards, never silently different.

use tds_core::error::ErrorKind;
use tds_postgres::testkit::TestDatabase;

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_migrate_at_once() {
    let test = TestDatabase::empty().await;
    assert!(!test.database().schema().await.expect("readable").is_current());
    let reports =
        tokio::join!(test.database().migrate(), test.database().migrate(), test.database().migrate());
    let reports = [reports.0.expect("migrates"), reports.1.expect("migrates"), reports.2.expect("migrates")];
    assert_eq!(reports.iter().filter(|report| !report.applied.is_empty()).count(), 1);
    assert!(test.database().schema().await.expect("readable").is_current());
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_with_both_versions() {
    let test = TestDatabase::new().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (990001, 'later', now(), true, '\\x00', 0)")
        .execute(test.database())
        .await
        .expect("inserts");
    let status = test.database().schema().await.expect("readable");
    assert!(status.is_newer());
    let error = test.database().migrate().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("990001") && text.contains(&status.expected.to_string()), "{text}");
}

#[tokio::test]
async fn a_migration_that_was_changed_is_refused() {
    let test = TestDatabase::new().await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2")
        .execute(test.database())
        .await
        .expect("updates");
    let error = test.database().migrate().await.expect_err("refused");
    assert!(error.to_string().contains("migration 2"), "{error:?}");
}

#[tokio::test]
async fn a_test_database_is_gone_with_its_value() {
    let first = TestDatabase::new().await;
    let second = TestDatabase::new().await;
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(first.database())
        .await
        .expect("answers");
    drop(first);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(second.database())
        .await
        .expect("answers");
    assert_eq!(left, 0);
}
