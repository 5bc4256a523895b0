//! The way back of the stack's own dump, with stubs: what `restore` calls, and what it does when a step fails.

use crate::stage::{CURRENT, Done, PREVIOUS, Stage};

/// Runs `restore` with a dump that stubs accept.
fn restore(stage: &Stage, arguments: &[&str]) -> Done {
    stage.write("a.dump", "a dump");
    let dump = stage.path("a.dump").display().to_string();
    stage.run("restore", &[arguments, &[&dump]].concat())
}

#[test]
fn a_restore_stops_makes_a_second_database_migrates_exchanges_and_starts() {
    let stage = Stage::new();
    stage.configure("COMPOSE_FILES=\"compose.yml compose.erp.yml\"");
    let done = restore(&stage, &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[
        &["up --detach --wait --no-recreate db"],
        &["pg_restore --list"],
        &["stop tds-a tds-b erp"],
        &["pg_stat_activity"],
        &["--env DB_NAME=tds_restore_2", "--env DB_USER=tds", "db sh -s database"],
        &["pg_restore --dbname=user=postgres dbname='tds_restore_2", "--single-transaction", "--role=tds"],
        &[CURRENT, "run --rm --no-deps -T --env DB_NAME=tds_restore_2", "tds-task migrate"],
        &["ALLOW_CONNECTIONS false"],
        &["ALTER DATABASE \"tds\" RENAME TO \"tds_before_restore_2"],
        &["RENAME TO \"tds\"; COMMIT"],
        &["up --detach --no-deps --no-build tds-a tds-b"],
        &["tds-a /usr/bin/tds-server healthcheck"],
        &["tds-b /usr/bin/tds-server healthcheck"],
        &["webhook send products --file - --url http://nginx:8081"],
    ]);
    assert_eq!(done.call(&["DROP DATABASE"]), None);
    // Programs of the ERP wait for a person who knows whether the data is right.
    assert!(done.call(&["start"]).is_none() && done.said.contains("compose start erp"), "{}", done.said);
    assert!(
        done.said.contains("To go back: deploy/bin/restore --back tds_before_restore_2"),
        "{}",
        done.said
    );
    assert!(stage.read("state/deployments.log").contains(&format!("restored\t{CURRENT}\t40")));

    // The last resort after a migration: an earlier image, on the backup of before.
    let done = restore(&stage, &["--image", PREVIOUS]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[&[PREVIOUS, "tds-task migrate"], &[PREVIOUS, "--no-build tds-a tds-b"]]);
    assert_eq!(stage.read("state/current-image").trim(), PREVIOUS);
    assert_eq!(stage.read("state/previous-image").trim(), CURRENT);
}

#[test]
fn a_failure_before_the_exchange_leaves_the_present_database_in_service() {
    for (pattern, message) in [
        ("stop tds-a", "the same as before"),
        ("sh -s database", "could not be created"),
        ("mktemp", "nothing was restored"),
        // pg_restore succeeds with an empty list.
        ("sh -c cat", "nothing was restored"),
        ("pg_restore --dbname", "nothing was restored"),
        (r#"count.* FROM "public"._sqlx_migrations"#, "the rows of schema public did not come out of"),
        ("EXECUTE format.*ANALYZE", "nothing was restored"),
        ("tds-task migrate", "does not migrate"),
        ("RENAME TO", "could not be exchanged"),
    ] {
        let stage = Stage::new();
        stage.fails(&[pattern]);
        let done = restore(&stage, &[]);
        assert_eq!(done.status, 1, "{pattern}: {}", done.said);
        assert!(done.said.contains(message), "{pattern}: {}", done.said);
        let is_made = pattern != "stop tds-a";
        assert_eq!(done.call(&["DROP DATABASE IF EXISTS \"tds_restore_2"]).is_some(), is_made, "{pattern}");
        let again = done.call(&["start tds-a tds-b"]).expect("the processes go on");
        assert_eq!(again, done.calls.len() - 1, "{pattern}: {:?}", done.calls);
        assert_eq!(done.call(&["--no-build tds-a"]), None, "{pattern}");
        if pattern == "RENAME TO" {
            done.in_order(&[&["ALLOW_CONNECTIONS false"], &["\"tds\" ALLOW_CONNECTIONS true"]]);
        }
    }
}

#[test]
fn a_connection_that_ends_after_the_exchange_is_no_failure_of_the_exchange() {
    let stage = Stage::new();
    stage.write("exchanged", "1");
    stage.fails(&["RENAME TO"]);
    let done = restore(&stage, &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[
        &["RENAME TO"],
        &["\"tds_before_restore_2", "ALLOW_CONNECTIONS true"],
        &["up --detach --no-deps --no-build tds-a tds-b"],
    ]);
    assert_eq!(
        done.call(&["DROP DATABASE"]).or(done.call(&["compose", " start "])),
        None,
        "{:?}",
        done.calls
    );
}

#[test]
fn whatever_happens_after_the_exchange_the_processes_are_started_and_the_way_on_is_said() {
    let after = |stage: &Stage, what: &str| {
        let done = restore(stage, &[]);
        done.in_order(&[&["RENAME TO"], &["up --detach --no-deps --no-build tds-a tds-b"]]);
        assert_eq!(done.call(&["DROP DATABASE"]).or(done.call(&["compose", " start "])), None, "{what}");
        assert!(
            done.said.contains("deploy/bin/restore --back tds_before_restore_2"),
            "{what}: {}",
            done.said
        );
        done
    };
    for file in ["deployments.log", "current-image.new"] {
        let stage = Stage::new();
        stage.is_full_for(&format!("state/{file}"));
        let done = after(&stage, file);
        assert!(done.said.contains("s the disk full?") && done.said.contains("TDS serves"), "{}", done.said);
        assert_eq!(done.status, i32::from(file != "deployments.log"), "{}", done.said);
    }
    let stage = Stage::new();
    stage.fails(&["docker tag"]);
    let done = after(&stage, "docker tag");
    assert!(done.status == 1 && done.said.contains("could not be written down"), "{}", done.said);
    // What opens the previous database may fail too: the way back opens it itself.
    let stage = Stage::new();
    stage.fails(&["ALLOW_CONNECTIONS true"]);
    let done = after(&stage, "the previous database stays closed");
    assert!(done.status == 0 && done.said.contains("stays closed"), "{}", done.said);
    stage.fails(&[]);
    stage.write("exchanged", "1");
    let done = stage.run("restore", &["--back", "tds_before_restore_20260101_000000"]);
    done.in_order(&[
        &["tds_before_restore_20260101_000000\" ALLOW_CONNECTIONS true"],
        &["relname = 'tds_outbox'"],
    ]);

    for (signal, pattern) in
        [("TERM", "RENAME TO"), ("HUP", "ALLOW_CONNECTIONS true"), ("INT", "--no-build tds-a")]
    {
        let stage = Stage::new();
        stage.write("exchanged", "1");
        stage.interrupts(signal, pattern);
        let done = after(&stage, pattern);
        assert_eq!(done.status, 1, "{pattern}: {}", done.said);
        assert!(
            done.said.contains(&format!("deploy/bin/deploy --image {CURRENT}")),
            "{pattern}: {}",
            done.said
        );
        assert!(stage.read("state/deployments.log").contains("restored"), "{pattern}");
    }
    // A database that does not answer may have exchanged the names.
    let stage = Stage::new();
    stage.fails(&["RENAME TO", "pg_database WHERE datname = 'tds_before_restore"]);
    let done = restore(&stage, &[]);
    assert!(done.status == 1 && done.said.contains("nobody knows whether"), "{}", done.said);
    assert_eq!(done.call(&["DROP DATABASE"]), None);
    // Nothing can connect to a database that stays closed.
    let stage = Stage::new();
    stage.fails(&["RENAME TO", "ALLOW_CONNECTIONS true"]);
    stage.write("exchanged", "0");
    let done = restore(&stage, &[]);
    assert!(done.said.contains("'ALTER DATABASE \"tds\" ALLOW_CONNECTIONS true'"), "{}", done.said);
}

#[test]
fn the_state_of_another_host_names_an_image_that_is_not_here() {
    let stage = Stage::new();
    stage.write("missing", CURRENT);
    let done = restore(&stage, &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[&["[tds-server:current]", "tds-task migrate"], &["RENAME TO \"tds\"; COMMIT"]]);
    assert!(done.said.contains("nothing was deployed yet"), "{}", done.said);
    // The stack does not run yet, so everything is started.
    stage.write("nginx", "");
    stage.write("serving", "");
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    assert!(done.said.contains("nothing serves yet: start everything"), "{}", done.said);
    assert_eq!(done.call(&["nginx -s reload"]), None, "nginx did not run");
}

#[test]
fn what_is_dangerous_is_refused_before_anything_is_stopped_or_made() {
    let refused = |stage: &Stage, arguments: &[&str], status: i32, message: &str| {
        let done = restore(stage, arguments);
        assert_eq!(done.status, status, "{message}: {}", done.said);
        assert!(done.said.contains(message), "{message}: {}", done.said);
        assert_eq!(done.call(&["RENAME"]).or(done.call(&["sh -s database"])), None, "{message}");
        done
    };
    let stage = Stage::new();
    stage.write("others", "erp orders 172.31.250.130\n");
    let done = refused(&stage, &[], 1, "something else is connected to tds, and may write: erp orders");
    assert!(done.call(&["start tds-a tds-b"]).is_some(), "{:?}", done.calls);

    let stage = Stage::new();
    stage.write("free", "900");
    assert_eq!(refused(&stage, &[], 1, "make room first").call(&["stop"]), None);
    stage.write("free", "9000000");
    stage.fails(&["pg_database_size"]);
    assert_eq!(refused(&stage, &[], 1, "is not known").call(&["stop"]), None);
    stage.fails(&[]);
    stage.write("contents", "; Archive\n1; 0 16385 TABLE DATA public orders shop\n");
    assert_eq!(refused(&stage, &[], 1, "is no dump of TDS").call(&["stop"]), None);
    stage.write("a.dump.sha256", &format!("{}  a.dump\n", "0".repeat(64)));
    assert_eq!(refused(&stage, &[], 1, "is not what was backed up").call(&["stop"]), None);
    refused(&stage, &["--no-migrate"], 2, "--no-migrate");
    refused(&stage, &["--back", "tds_before"], 2, "either a dump, or --back");
    stage.write("missing", &format!("{CURRENT}\ntds-server:current"));
    refused(&stage, &[], 2, "there is no image");
    stage.configure("EXTERNAL_DATABASE=service=tds");
    refused(&stage, &[], 2, "EXTERNAL_DATABASE");

    // After the exchange nothing is undone by itself: what to do is said.
    let stage = Stage::new();
    stage.fails(&["healthcheck"]);
    let done = restore(&stage, &[]);
    assert_eq!(done.status, 1, "{}", done.said);
    assert!(done.said.contains("the database is restored, and TDS is not ready"), "{}", done.said);
    assert!(done.said.contains("deploy/bin/restore --back tds_before_restore_2"), "{}", done.said);
    assert_eq!(done.call(&["DROP DATABASE"]), None);
}
