//! Tests of migrations and functions: several processes migrate at once, a schema never goes backwards, and a
//! difference never goes unnoticed.

#[path = "migrate/capture.rs"]
mod capture;
#[path = "migrate/custom_columns.rs"]
mod custom_columns;
#[path = "migrate/organizations.rs"]
mod organizations;
mod support;
#[path = "migrate/views.rs"]
mod views;

use std::time::Duration;

use tds_core::{
    engine::{Schedule as _, ScheduleSpec},
    error::ErrorKind,
    mirror::Mirror,
    record::{EntityType, RecordId},
    runs::RunType,
};
use tds_postgres::{
    MigrationSettings, PgMirror, PgStore, SchemaVerdict, StoreSettings, testkit::TestDatabase,
};

use support::text;

/// Calls the function `tds_better_outcome` of the family `fold`.
const BETTER: &str = "SELECT tds_better_outcome('stale', 'applied')";

/// Another text of the same function, which returns something else.
const OTHER: &str = "CREATE OR REPLACE FUNCTION tds_better_outcome(one text, other text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'other' $$;";

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
async fn a_schema_from_the_future_is_refused_with_both_versions_unless_it_supports_this_program() {
    let test = TestDatabase::new().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (990001, 'later', now(), true, '\\x00', 0)")
        .execute(test.database())
        .await
        .expect("inserts");
    let status = test.database().schema().await.expect("readable");
    assert!(status.verdict == SchemaVerdict::Newer);
    let report = test.database().migrate().await.expect("the newer schema supports this program");
    assert!(report.applied.is_empty() && report.to == 990_001, "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("a newer program")), "{report:?}");
    test.execute("UPDATE tds_oldest_program SET schema_version = 990001").await;
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
async fn functions_whose_text_changed_are_applied_again_and_no_others() {
    let test = TestDatabase::new().await;
    let report = test.database().migrate().await.expect("migrates");
    assert_eq!(report.functions, Vec::<&str>::new(), "nothing was changed");
    let older = "UPDATE tds_sync_functions SET revision = 0, hash = 'another text' WHERE name = 'fold'";
    test.execute(format!("{OTHER} {older}")).await;
    let status = test.database().schema().await.expect("readable");
    assert!(
        status.applied == status.expected && status.verdict == SchemaVerdict::OlderFunctions,
        "{status:?}"
    );
    let applied_before =
        "SELECT string_agg(applied_at::text, ' ' ORDER BY name) FROM tds_sync_functions WHERE name <> 'fold'";
    let before = text(&test, applied_before).await;
    let report = test.database().migrate().await.expect("migrates");
    assert_eq!((report.applied, report.functions), (Vec::new(), vec!["fold"]));
    assert_eq!(text(&test, BETTER).await, "applied");
    assert_eq!(text(&test, applied_before).await, before);
    assert!(test.database().schema().await.expect("readable").is_current());
}

#[tokio::test]
async fn functions_that_are_missing_are_applied() {
    let test = TestDatabase::new().await;
    test.execute("DROP FUNCTION tds_better_outcome; DELETE FROM tds_sync_functions WHERE name = 'fold'")
        .await;
    assert!(!test.database().schema().await.expect("readable").is_current());
    assert_eq!(test.database().migrate().await.expect("migrates").functions, ["fold"]);
    assert_eq!(text(&test, BETTER).await, "applied");
}

#[tokio::test]
async fn functions_of_a_newer_program_are_used_as_they_are() {
    let test = TestDatabase::new().await;
    let newer = "UPDATE tds_sync_functions SET revision = 990001, hash = 'another text' WHERE name = 'fold'";
    test.execute(format!("{OTHER} {newer}")).await;
    assert!(test.database().schema().await.expect("readable").is_current());
    assert_eq!(test.database().migrate().await.expect("migrates").functions, Vec::<&str>::new());
    assert_eq!(text(&test, BETTER).await, "other");
}

#[tokio::test]
async fn functions_stay_closed_when_they_are_applied_again() {
    let test = TestDatabase::new().await;
    // One function is replaced and one is created anew. By default, PostgreSQL allows every role to execute a new
    // function.
    test.execute("UPDATE tds_sync_functions SET hash = ''; DROP FUNCTION tds_better_outcome").await;
    let families = text(&test, "SELECT count(*)::text FROM tds_sync_functions").await;
    assert_eq!(test.database().migrate().await.expect("migrates").functions.len().to_string(), families);
    let open = "SELECT COALESCE(string_agg(p.oid::regprocedure::text, ' '), '') FROM pg_proc p
      CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
      WHERE p.proname LIKE 'tds\\_%' AND a.grantee = 0";
    assert_eq!(text(&test, open).await, "");
    assert_eq!(test.database().exposures(&[]).await.expect("readable").exposures, []);
}

#[tokio::test]
async fn a_test_database_is_dropped_with_its_value() {
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

#[tokio::test]
async fn what_a_stored_document_names_is_known_after_the_migration() {
    let test = TestDatabase::new().await;
    let stored = "
        INSERT INTO erp.invoices (zoho_id, customer_zoho_id) VALUES ('1', 'c'), ('2', NULL);
        INSERT INTO erp.invoice_lines (document_zoho_id, product_zoho_id)
          VALUES ('1', 'b'), ('1', 'a'), ('1', 'a'), ('1', NULL);
        INSERT INTO erp.bills (zoho_id, vendor_zoho_id) VALUES ('1', 'v');
        INSERT INTO tds_sync_records (entity_type, zoho_id, pushed, observed_began, observed_ended)
          SELECT e, id, false, now(), now() FROM unnest(ARRAY['invoices', 'bills']) e, unnest(ARRAY['1', '2']) id";
    // The statement runs before the schema has documents in a new database.
    let migration = include_str!("../migrations/0015_derived.sql");
    let (_, rest) = migration.split_once("UPDATE tds_sync_records").expect("the statement");
    let (statement, _) = rest.split_once(';').expect("its end");
    let fill = format!("{stored}; UPDATE tds_sync_records{statement}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(test.database()).await.expect("updates");
    let mirror = PgMirror::new(test.database().clone());
    let moves = async |entity: EntityType| {
        let ids = ["1", "2"].map(RecordId::new);
        let states = mirror.states(&entity, &ids).await.expect("states");
        ids.map(|id| {
            let moves = states[&id].moves.clone();
            moves.map(|moves| moves.all().map(|key| key.to_string()).collect::<Vec<_>>().join(", "))
        })
    };
    let known = |text: &str| Some(text.to_owned());
    let invoices = moves(EntityType::from_static("invoices")).await;
    assert_eq!(invoices, [known("customers c, stock a, stock b"), known("")]);
    assert_eq!(moves(EntityType::from_static("bills")).await, [known("vendors v"), None], "no such bill");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_the_schedules_are_due_also_if_the_backup_knows_none() {
    let test = TestDatabase::new().await;
    let store = PgStore::new(test.database().clone(), StoreSettings::default());
    let spec = |entity, run_type| ScheduleSpec {
        entity: EntityType::from_static(entity),
        run_type,
        every: Duration::from_secs(900),
    };
    // The servers of the backup had run bulk syncs of products, and no schedules.
    let run = "INSERT INTO tds_sync_runs (entity_type, run_type, source_type, status)
      VALUES ('products', 'full', 'zoho', 'completed')";
    test.execute(run).await;
    let restored = MigrationSettings { restored: true, ..MigrationSettings::default() };
    test.database().migrate_with(&restored).await.expect("migrates");
    let [incremental, full, verify] =
        [RunType::Incremental, RunType::Full, RunType::Verify].map(|run_type| spec("products", run_type));
    let never_synced = spec("bills", RunType::Full);
    let all = [incremental.clone(), full.clone(), verify, never_synced];
    assert_eq!(store.due(&all).await.expect("due"), [incremental, full]);
    assert_eq!(store.due(&all).await.expect("due"), [], "once");
    store.shutdown().await;
}
