//! Tests who may read the tables and who may not, and that commands that only look create nothing.

use tds_postgres::testkit::TestDatabase;

use crate::program::Program;

fn program(database: &TestDatabase) -> Program {
    Program::new().with("DATABASE_URL", database.url())
}

#[tokio::test]
async fn open_privileges_are_named_and_closed_by_migrate() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let closed = program.run(&["schema", "exposures"]).await;
    assert!(closed.status == 0 && closed.stdout.is_empty(), "{}{}", closed.stdout, closed.stderr);
    assert!(closed.stderr.contains(database.database().target()), "{}", closed.stderr);
    database.execute("GRANT SELECT, TRUNCATE ON tds_inbox_events TO PUBLIC").await;
    let open = program.run(&["schema", "exposures"]).await;
    assert_eq!(open.status, 1, "{}", open.stderr);
    let row = open.stdout.lines().find(|line| line.starts_with("PUBLIC")).expect("a row");
    assert!(row.contains("public.tds_inbox_events") && row.contains("SELECT, TRUNCATE"), "{row}");
    let json = program.run(&["schema", "exposures", "--json"]).await;
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((json.status, &document["open"]), (1, &true.into()));
    assert_eq!(document["exposures"][0]["role"], "PUBLIC");
    let check = program.run(&["check"]).await.stdout;
    assert!(check.contains("FAILED   exposures") && check.contains("tds-server migrate"), "{check}");
    program.done(&["migrate"]).await;
    assert_eq!(program.run(&["schema", "exposures"]).await.status, 0);
    let check = program.run(&["check"]).await.stdout;
    assert!(check.contains("ok       exposures"), "{check}");
    // What is not an object of TDS is named with its remedy, and left as it is.
    database
        .execute("CREATE VIEW public.my_customers AS SELECT name FROM erp.customers; GRANT SELECT ON my_customers TO PUBLIC")
        .await;
    let remedy = "REVOKE ALL ON public.my_customers FROM PUBLIC";
    program.done(&["migrate"]).await;
    let open = program.run(&["schema", "exposures"]).await;
    assert!(open.status == 1 && open.stdout.contains(remedy), "{}", open.stdout);
    assert!(
        open.stderr.contains("run the statements of the last column") && !open.stderr.contains("migrate"),
        "{}",
        open.stderr
    );
    let check = program.run(&["check"]).await.stdout;
    assert!(check.contains("FAILED   exposures") && check.contains(&format!("run {remedy}")), "{check}");
    database.execute(remedy).await;
    // A role that may create objects beside the tables reads nothing yet.
    database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    let check = program.run(&["check"]).await.stdout;
    let line = check.lines().find(|line| line.contains("exposures")).expect("a line");
    assert!(
        line.starts_with("warning") && check.contains("REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        "{check}"
    );
    let open = program.run(&["schema", "exposures"]).await;
    assert_eq!(open.status, 1, "{}", open.stderr);
}

#[tokio::test]
async fn the_schema_is_printed_without_a_database() {
    let program = Program::new();
    let script = program.done(&["schema", "print", "--erp-readers", "grafana,o'brien"]).await;
    for part in
        ["CREATE TABLE tds_inbox_events", "CREATE TABLE erp.products", "'grafana', 'o''brien'", "COMMIT;"]
    {
        assert!(script.contains(part), "{part} is not in the script");
    }
    assert!(!program.directory().join(".tds").exists(), "printing makes nothing");
}

#[tokio::test]
async fn a_role_without_privileges_gets_one_line_with_the_grant() {
    let database = TestDatabase::empty().await;
    let role = format!("tds_test_role_{}", std::process::id());
    database
        .execute(format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'secret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        ))
        .await;
    let (_, rest) = database.url().split_once('@').expect("a user");
    let program = Program::new().with("DATABASE_URL", format!("postgres://{role}:secret@{rest}"));
    let grant = format!("GRANT CREATE, USAGE ON SCHEMA public TO {role}");
    let refused = program.run(&["migrate"]).await;
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains(&grant) && refused.stderr.contains("GRANT CREATE ON DATABASE"),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    let check = program.run(&["check"]).await;
    assert_eq!(check.status, 1, "{}", check.stdout);
    let line = check.stdout.lines().find(|line| line.starts_with("FAILED   privileges")).expect("a line");
    assert!(line.contains(&grant), "{line}");
    database.execute(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn commands_that_need_a_database_create_none() {
    let program = Program::new();
    for arguments in [
        &["queue", "list"][..],
        &["queue", "retry", "--status", "dead_letter", "--yes"],
        &["inbox", "list", "--json"],
        &["runs", "list"],
        &["pause", "products"],
        &["prune", "--yes"],
        &["schema", "exposures"],
    ] {
        let ended = program.run(arguments).await;
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("there is no database"), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    let check = program.run(&["check"]).await;
    assert_eq!(check.status, 1);
    assert!(check.stdout.contains("FAILED   database"), "{}", check.stdout);
    let left: Vec<_> = std::fs::read_dir(program.directory()).expect("readable").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_command_that_reads_uses_the_existing_cluster_and_names_it() {
    let program = Program::new();
    program.done(&["migrate", "--data-dir", ".tds/demo"]).await;
    let listed = program.run(&["queue", "list"]).await;
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    assert!(listed.stderr.contains("nothing found in the demo's database in .tds/demo"), "{}", listed.stderr);
    assert!(!program.directory().join(".tds/postgres").exists(), "no second cluster is made");
}
