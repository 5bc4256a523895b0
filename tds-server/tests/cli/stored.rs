//! Commands on the database alone.

use serde_json::json;
use tds_postgres::testkit::TestDatabase;

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
async fn lists_of_an_empty_database_are_empty_documents() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let page = json!({"items": [], "next_cursor": null});
    assert_eq!(program.json(&["queue", "list", "--json"]).await, page);
    assert_eq!(program.json(&["inbox", "list", "--json", "--status", "failed"]).await, page);
    assert_eq!(program.json(&["runs", "list", "--json"]).await, json!({"runs": []}));
    assert_eq!(program.done(&["queue", "list"]).await, "", "talk belongs to stderr");
}

#[tokio::test]
async fn what_does_not_exist_is_a_failure() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    for arguments in
        [["queue", "show", "1"], ["inbox", "show", "1"], ["runs", "show", "1"], ["runs", "cancel", "1"]]
    {
        let ended = program.run(&arguments).await;
        assert_eq!(ended.status, 1, "{arguments:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn changes_of_items_want_a_choice_and_a_yes() {
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
async fn old_rows_are_pruned() {
    let database = TestDatabase::new().await;
    let ended = program(&database).run(&["prune", "--older-than", "1d", "--dead-letters"]).await;
    assert!(ended.status == 0 && ended.stderr.contains("0 rows deleted"), "{}", ended.stderr);
}
