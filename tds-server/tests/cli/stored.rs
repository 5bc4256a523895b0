//! Tests the commands that need only the database.

use serde_json::json;
use tds_core::{
    inbox::{Disposition, Inbox as _, NewEvent},
    record::EntityType,
};
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};

use crate::program::Program;

fn program(database: &TestDatabase) -> Program {
    Program::new().with("DATABASE_URL", database.url())
}

#[tokio::test]
async fn migrate_says_what_it_did_and_may_be_repeated() {
    let database = TestDatabase::empty().await;
    let program = program(&database);
    let refused = program.run(&["queue", "list"]).await;
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("run tds-server migrate"), "{}", refused.stderr);
    let first = program.run(&["migrate"]).await;
    assert!(first.status == 0 && first.stderr.contains("migrations applied"), "{}", first.stderr);
    let second = program.run(&["migrate"]).await;
    assert!(second.status == 0 && second.stderr.contains("nothing to do"), "{}", second.stderr);
}

#[tokio::test]
async fn functions_of_an_older_program_are_refused_until_migrate_applied_them() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    database.execute("UPDATE tds_sync_functions SET revision = 0, hash = '' WHERE name = 'claim'").await;
    let refused = program.run(&["queue", "list"]).await;
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("functions") && refused.stderr.contains("tds-server migrate"),
        "{}",
        refused.stderr
    );
    let migrated = program.run(&["migrate"]).await;
    assert!(
        migrated.status == 0 && migrated.stderr.contains("functions applied (claim)"),
        "{}",
        migrated.stderr
    );
    program.done(&["queue", "list"]).await;
}

#[tokio::test]
async fn lists_of_an_empty_database_are_empty_documents() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let page = json!({"items": [], "next_cursor": null});
    assert_eq!(program.json(&["queue", "list", "--json"]).await, page);
    assert_eq!(program.json(&["inbox", "list", "--json", "--status", "failed"]).await, page);
    assert_eq!(program.json(&["runs", "list", "--json"]).await, json!({"runs": [], "next_cursor": null}));
    assert_eq!(program.done(&["queue", "list"]).await, "", "talk belongs to stderr");
}

#[tokio::test]
async fn a_missing_item_event_or_run_is_a_failure() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    for arguments in
        [["queue", "show", "1"], ["inbox", "show", "1"], ["runs", "show", "1"], ["runs", "cancel", "1"]]
    {
        let ended = program.run(&arguments).await;
        assert_eq!(ended.status, 1, "{arguments:?}: {}", ended.stderr);
    }
    for verb in ["retry", "discard"] {
        let ended = program.run(&["queue", verb, "999999", "--yes"]).await;
        assert!(ended.status == 1 && ended.stderr.contains("no queue item 999999"), "{}", ended.stderr);
    }
    for list in ["queue", "runs"] {
        let ended = program.run(&[list, "list", "--cursor", "x"]).await;
        assert!(ended.status == 2 && ended.stderr.contains("--cursor: "), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn changes_of_items_need_a_filter_and_a_confirmation() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let everything = program.run(&["queue", "retry"]).await;
    assert_eq!(everything.status, 2, "{}", everything.stderr);
    let nothing = program.run(&["queue", "discard", "--status", "dead_letter"]).await;
    assert!(nothing.status == 1 && nothing.stderr.contains("nothing to discard"), "{}", nothing.stderr);
    let forced = program.json(&["queue", "retry", "--status", "dead_letter", "--yes", "--json"]).await;
    assert_eq!(forced, json!({"affected": 0}));
    let status = program.run(&["queue", "list", "--status", "broken"]).await;
    assert!(status.status == 2 && status.stderr.contains("dead_letter"), "{}", status.stderr);
}

#[tokio::test]
async fn entity_types_are_paused_and_resumed_in_either_spelling() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    program.done(&["pause", "credit-notes"]).await;
    program.done(&["resume", "credit_notes"]).await;
    let unknown = program.run(&["pause", "orders"]).await;
    assert!(unknown.status == 2 && unknown.stderr.contains("credit_notes"), "{}", unknown.stderr);
}

#[tokio::test]
async fn rows_are_pruned_only_with_a_yes() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let nothing = program.run(&["prune", "--older-than", "1d", "--dead-letters"]).await;
    assert!(nothing.status == 0 && nothing.stderr.contains("0 rows deleted"), "{}", nothing.stderr);
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    let event = NewEvent {
        event_id: "a".into(),
        source_type: "zoho".into(),
        entity_type: EntityType::from_static("products"),
        entity_id: None,
        event_type: "updated".into(),
        raw_payload: b"{}".to_vec(),
        headers: json!({}),
        disposition: Disposition::Ignored("nothing handles it".into()),
    };
    store.accept(event).await.expect("accepted");
    store.shutdown().await;
    let recent = program.run(&["prune", "--older-than", "1s"]).await;
    assert_eq!(recent.status, 2, "{}", recent.stderr);
    assert!(
        recent.stderr.contains("less than an hour") && recent.stderr.contains("--yes"),
        "{}",
        recent.stderr
    );
    let age = "UPDATE tds_inbox_events SET received_at = received_at - interval '2 days', processed_at = processed_at - interval '2 days'";
    database.execute(age).await;
    let asked = program.run(&["prune", "--older-than", "1d"]).await;
    assert_eq!(asked.status, 2, "{}", asked.stderr);
    assert!(
        asked.stderr.contains("1 items and events") && asked.stderr.contains("--yes"),
        "{}",
        asked.stderr
    );
    // Bodies have a retention of their own.
    let bodies = program.with("TDS_PAYLOAD_RETENTION", "1d");
    let blanked = bodies.run(&["prune"]).await;
    assert!(
        blanked.status == 0 && blanked.stderr.contains("0 rows deleted, 1 bodies blanked"),
        "{}",
        blanked.stderr
    );
    let done = bodies.run(&["prune", "--older-than", "1s", "--yes"]).await;
    assert!(done.status == 0 && done.stderr.contains("1 rows deleted"), "{}", done.stderr);
}

#[tokio::test]
async fn no_command_changes_the_data_of_another_organization() {
    let database = TestDatabase::new().await;
    let owner = "INSERT INTO erp.organization (zoho_id) VALUES ('60001');
      INSERT INTO erp.customers (zoho_id, name, email) VALUES ('1', 'Ali', 'ali@shop.example')";
    database.execute(format!("BEGIN; SET LOCAL tds.origin = 'remote'; {owner}; COMMIT")).await;
    let assert = async |condition: &str| {
        database.execute(format!("DO $$ BEGIN ASSERT ({condition}); END $$")).await;
    };
    let (kept, removed) = ("SELECT email = 'ali@shop.example'", "SELECT email IS NULL");
    let of_customer = |condition: &str| format!("{condition} FROM erp.customers");
    let hiding = || program(&database).with("TDS_HIDE_COLUMNS", "customers.email");
    let of_another = hiding().with("ZOHO_ORGANIZATION_ID", "60002");
    for arguments in [
        &["migrate"][..],
        &["migrate", "--after-restore"],
        &["prune", "--yes"],
        &["erase", "customers", "1", "--yes"],
        &["pause", "customers"],
        &["resume", "customers"],
        &["mode", "set", "customers", "shadow"],
        &["queue", "retry", "1"],
        &["queue", "discard", "1"],
        &["inbox", "replay", "1"],
        &["schema", "exposures"],
    ] {
        let refused = of_another.run(arguments).await;
        let expected = "belong to the organization 60001, not to 60002";
        assert!(refused.status == 2 && refused.stderr.contains(expected), "{arguments:?} {}", refused.stderr);
    }
    // Nobody knows whose columns these are.
    let unknown = hiding().run(&["migrate"]).await;
    assert!(unknown.status == 2 && unknown.stderr.contains("see ZOHO_ORGANIZATION_ID"), "{}", unknown.stderr);
    assert(&of_customer(kept)).await;
    hiding().with("ZOHO_ORGANIZATION_ID", "60001").done(&["migrate"]).await;
    assert(&of_customer(removed)).await;
    // What is hidden already stays hidden, also without the id.
    hiding().done(&["migrate"]).await;
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_refused_with_the_nearest_one() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    for (arguments, meant) in [
        (["queue", "list", "--entity", "product"], "products"),
        (["inbox", "list", "--entity", "product"], "products"),
        (["runs", "list", "--entity", "credit-note"], "credit_notes"),
        (["runs", "list", "--status", "complete"], "completed"),
        (["queue", "list", "--status", "dead_leter"], "dead_letter"),
        (["bulk-sync", "--mode", "incremental", "--entity=stok"], "stock"),
    ] {
        let ended = program.run(&arguments).await;
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("'{meant}'")), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(program.run(&["inbox", "list", "--entity", "users"]).await.status, 0, "the inbox keeps these");
    let target = database.database().target();
    let empty = program.run(&["queue", "list", "--entity", "credit-notes"]).await;
    assert!(empty.stderr.contains(&format!("nothing found in {target}")), "{}", empty.stderr);
}

#[tokio::test]
async fn a_variable_that_means_nothing_is_reported_with_the_nearest_one() {
    let database = TestDatabase::new().await;
    let program = program(&database).with("TDS_BNID", "").with("ZOHO_WEBHOOK_SECRET_FILE", "/nowhere");
    std::fs::write(program.directory().join(".env"), "ZOHO_DAILY_LIMITS=5\n").expect("written");
    let ended = program.run(&["schema", "print"]).await;
    assert_eq!(ended.status, 2, "the file of the secret does not exist");
    assert!(
        ended.stderr.contains("warning: TDS_BNID is not a setting of this version; did you mean TDS_BIND?"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("ZOHO_DAILY_LIMITS (in .env)"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("warning: ZOHO_WEBHOOK_SECRET_FILE"), "{}", ended.stderr);
}
