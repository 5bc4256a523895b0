//! What `deploy` asks before it touches anything: an image alone, and other hidden columns than those of what runs.

use crate::stage::{CURRENT, Stage};

#[test]
fn other_hidden_columns_are_not_rolled_out_while_old_processes_store_their_values() {
    let stage = Stage::new();
    stage.write("running", "0123456789ab\n");
    stage.write("environment", "PATH=/usr/bin\nTDS_HIDE_COLUMNS=customers.phone\n");
    for (line, is_refused) in [
        ("TDS_HIDE_COLUMNS=customers.phone,customers.email", true),
        ("#TDS_HIDE_COLUMNS=customers.phone", true),
        ("TDS_HIDE_COLUMNS='customers.phone'", false),
    ] {
        stage.write("deploy/tds.env", &format!("ZOHO_DATA_CENTER=us\n{line}\n"));
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, if is_refused { 2 } else { 0 }, "{line}: {}", done.said);
        if is_refused {
            assert!(done.said.contains("deploy/bin/compose stop tds-a tds-b"), "{}", done.said);
            assert_eq!(done.call(&["docker build"]).or(done.call(&["migrate"])), None, "{line}");
            // The previous image migrates as well.
            let done = stage.run("rollback", &[]);
            assert_eq!((done.status, done.call(&["migrate"])), (2, None), "{line}: {}", done.said);
        }
    }
    // Neither is a service rolled out that could not start.
    stage.write("environment", "");
    stage.write("deploy/tds.env", "");
    stage.configure("COMPOSE_FILES=\"compose.yml compose.monitoring.yml\"");
    let done = stage.run("deploy", &[]);
    assert!(
        done.status == 2 && done.said.contains("alertmanager.yml is missing: deploy/bin/prepare"),
        "{}",
        done.said
    );
    stage.configure("COMPOSE_FILES=compose.yml");
    // What does not run stores nothing.
    stage.write("deploy/tds.env", "TDS_HIDE_COLUMNS=customers.email\n");
    stage.write("running", "");
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
}

#[test]
fn the_service_db_is_not_backed_up_if_the_database_is_elsewhere() {
    let stage = Stage::new();
    for (profiles, is_refused) in [("", true), ("other", true), ("other,database", false)] {
        stage.write("deploy/.env", &format!("COMPOSE_PROFILES={profiles}\n"));
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, if is_refused { 2 } else { 0 }, "{profiles}: {}", done.said);
        assert_eq!(done.said.contains("name it in EXTERNAL_DATABASE"), is_refused, "{}", done.said);
    }
    stage.fails(&["to_regclass"]);
    let done = stage.run("deploy", &[]);
    assert!(done.status == 1 && done.said.contains("the database does not answer"), "{}", done.said);
    assert_eq!(done.call(&["pg_dump"]), None, "an empty database would need no proof");
}

#[test]
fn an_image_is_built_before_the_first_deployment_and_nothing_is_started() {
    let stage = Stage::fresh();
    let done = stage.run("deploy", &["--build-only"]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[&["docker build"], &["docker tag", "tds-server:current"]]);
    assert_eq!(done.call(&["compose"]), None, "{:?}", done.calls);
    // While an image is in service, the name `current` stays with it.
    let stage = Stage::new();
    let done = stage.run("deploy", &["--build-only"]);
    assert_eq!((done.status, done.call(&["docker tag"])), (0, None), "{}", done.said);
    assert_eq!(stage.read("state/current-image"), CURRENT);
}
