//! `deploy` and `rollback`: what they call, in which order, and what they do when a step fails.

use std::fs;

use crate::stage::{CURRENT, Done, PREVIOUS, Stage};

/// Returns the tag of the image that was built.
fn built(done: &Done) -> String {
    let call = &done.calls[done.call(&["docker build"]).expect("an image was built")];
    call.split_whitespace().find(|word| word.starts_with("tds-server:2")).expect("a tag").to_owned()
}

#[test]
fn a_deployment_backs_up_migrates_replaces_one_after_the_other_and_asks() {
    let stage = Stage::new();
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    let new = built(&done);
    done.in_order(&[
        &["docker build", "deploy/Dockerfile", "SOURCE_DATE_EPOCH=", "REVISION="],
        &[&new, "config --quiet"],
        &["up --detach --wait --no-recreate db"],
        &["pg_dump --format=custom"],
        &["pg_restore --list"],
        &[&new, "run --rm --no-deps -T tds-task migrate"],
        &["nginx -s reload"],
        &[&new, "up --detach --no-deps --no-build tds-a"],
        &["tds-a /usr/bin/tds-server healthcheck"],
        // A process that accepts no signed webhook gets no requests.
        &["tds-a /usr/bin/tds-server webhook send products --file - --url http://127.0.0.1:8000"],
        &["nginx -s reload"],
        &["nginx -s reload"],
        &[&new, "up --detach --no-deps --no-build tds-b"],
        &["tds-b /usr/bin/tds-server healthcheck"],
        &["nginx -s reload"],
        // Without their names, docker compose may replace both processes of TDS at once.
        &["up --detach --no-build db nginx"],
        &["nginx -t"],
        &["webhook send products --file - --url http://nginx:8081"],
        &["curl", "--resolve tds.example.test:443:127.0.0.1", "https://tds.example.test/readyz"],
        &["tag", &new, "tds-server:current"],
    ]);
    assert_eq!(stage.read("state/current-image").trim(), new);
    assert_eq!(stage.read("state/previous-image").trim(), CURRENT);
    // Requests go to both processes again.
    let upstream = stage.read("state/nginx/upstream.conf");
    assert!(upstream.contains("172.31.250.11:8000") && upstream.contains("172.31.250.12:8000"), "{upstream}");
    // The body of the smoke test is JSON of an organization that is not ours.
    let smoke: serde_json::Value = serde_json::from_str(&stage.read("smoke")).expect("JSON");
    assert_eq!(smoke["organization_id"], "0");
    assert!(stage.read("state/deployments.log").contains(&format!("deployed\t{new}\t40")));
    assert_eq!(dumps(&stage), 1);
    let ups = done.calls.iter().filter(|call| call.contains(" up --detach"));
    let of_tds: Vec<usize> = ups.map(|call| call.matches(" tds-").count()).collect();
    assert_eq!(of_tds, [0, 1, 1, 0], "{:#?}", done.calls);
}

/// Returns the number of finished backups.
fn dumps(stage: &Stage) -> usize {
    let entries = fs::read_dir(stage.path("state/backups"));
    let names = entries.into_iter().flatten().map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".dump")).count()
}

#[test]
fn a_failure_before_the_first_replacement_replaces_nothing() {
    let cases = [
        ("docker build", "the image could not be built"),
        ("config --quiet", "do not fit together"),
        ("--wait --no-recreate db", "the database does not start"),
        ("pg_dump", "pg_dump failed"),
        ("pg_restore --list", "pg_restore cannot read"),
        ("tds-task migrate", "the migration failed"),
    ];
    for (pattern, message) in cases {
        let stage = Stage::new();
        stage.fails(&[pattern]);
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, 1, "{pattern}: {}", done.said);
        assert!(done.said.contains(message), "{pattern}: {}", done.said);
        assert_eq!(done.call(&["--no-deps --no-build"]), None, "{pattern}: {:?}", done.calls);
        assert_eq!(done.call(&["reload"]), None, "{pattern}");
        assert_eq!(stage.read("state/current-image"), CURRENT, "{pattern}");
        assert!(stage.read("state/deployments.log").contains("failed\ttds-server:"), "{pattern}");
        if pattern != "tds-task migrate" {
            assert_eq!(dumps(&stage), 0, "{pattern}: an unproved backup has its name");
            assert_eq!(done.call(&[" migrate"]), None, "{pattern}");
        }
    }
}

#[test]
fn an_empty_dump_is_no_backup() {
    let stage = Stage::new();
    stage.write("contents", "");
    let done = stage.run("deploy", &[]);
    assert_eq!((done.status, dumps(&stage)), (1, 0), "{}", done.said);
    assert_eq!(done.call(&[" migrate"]), None);
}

#[test]
fn a_process_that_does_not_serve_is_replaced_first() {
    // As after a roll-back that failed: `b` has ended, and everything goes to `a`.
    let broken = r"\[tds-server:current\] .*exec -T tds-b .*healthcheck";
    for command in ["deploy", "rollback"] {
        let stage = Stage::new();
        stage.fails(&[&broken.replace("current", "(current|20260101-000000)")]);
        let done = stage.run(command, &[]);
        assert_eq!(done.status, 0, "{command}: {}", done.said);
        done.in_order(&[&["--no-deps --no-build tds-b"], &["--no-deps --no-build tds-a"]]);
    }
}

#[test]
fn a_stack_that_is_down_is_started_by_deploy_and_not_by_rollback() {
    let stage = Stage::new();
    stage.write("serving", "");
    let done = stage.run("rollback", &[]);
    assert_eq!((done.status, done.call(&["migrate"])), (2, None), "{}", done.said);
    assert!(done.said.contains(&format!("deploy/bin/deploy --image {PREVIOUS}")), "{}", done.said);
}

#[test]
fn a_process_that_ends_again_and_again_is_not_waited_for() {
    let stage = Stage::new();
    stage.configure("READY_SECONDS=100000");
    stage.write("container", "restarting");
    stage.fails(&[r"exec -T tds-a .*healthcheck"]);
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 1, "{}", done.said);
    assert!(done.said.contains("tds-a has ended; its last words"), "{}", done.said);
    let asked = done.calls.iter().filter(|call| call.contains("tds-a /usr/bin/tds-server healthcheck"));
    assert_eq!(asked.count(), 7, "before, and three times for each of the images");
}

#[test]
fn a_process_that_does_not_become_ready_gets_the_previous_image_again() {
    for side in ["a", "b"] {
        let stage = Stage::new();
        let fails = format!(r"\[tds-server:202[6-9][^ ]*-[^ ]*\].*exec -T tds-{side} .*healthcheck");
        // The image in service may be ready, the new one may not.
        stage.write("state/current-image", PREVIOUS);
        stage.fails(&[&fails]);
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, 1, "{}", done.said);
        let new = built(&done);
        let replaced = format!("up --detach --no-deps --no-build tds-{side}");
        done.in_order(&[
            &[&format!("[{new}]"), &replaced],
            &["logs", &format!("tds-{side}")],
            &[&format!("[{PREVIOUS}]"), &replaced],
        ]);
        if side == "b" {
            let back = [&format!("[{PREVIOUS}]"), "up --detach --no-deps --no-build tds-a"];
            done.in_order(&[&[&format!("[{PREVIOUS}]"), &replaced], &back.map(AsRef::as_ref)]);
        }
        assert!(done.said.contains(&format!("rolled back: {PREVIOUS} serves")), "{}", done.said);
        assert_eq!(stage.read("state/current-image"), PREVIOUS);
        let upstream = stage.read("state/nginx/upstream.conf");
        assert_eq!(upstream.matches("server ").count(), 2, "{upstream}");
    }
}

#[test]
fn a_smoke_test_that_fails_brings_both_processes_back() {
    for pattern in ["webhook send .*nginx:8081", "^curl", "20-envsubst"] {
        let stage = Stage::new();
        stage.fails(&[pattern]);
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, 1, "{pattern}: {}", done.said);
        done.in_order(&[
            &[&format!("[{CURRENT}]"), "--no-build tds-b"],
            &[&format!("[{CURRENT}]"), "--no-build tds-a"],
        ]);
        assert_eq!(stage.read("state/current-image"), CURRENT, "{pattern}");
        assert!(done.said.contains("rolled back"), "{pattern}: {}", done.said);
    }
}

#[test]
fn if_the_previous_image_refuses_too_the_other_process_is_left_alone() {
    let stage = Stage::new();
    stage.write("schema.after", "41");
    stage.fails(&["tds-a .*healthcheck"]);
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 1, "{}", done.said);
    assert_eq!(done.call(&["--no-build tds-b"]), None, "the process that serves was touched");
    let upstream = stage.read("state/nginx/upstream.conf");
    assert!(!upstream.contains("172.31.250.11") && upstream.contains("172.31.250.12"), "{upstream}");
    assert!(done.said.contains("the schema stays at version 41 (before: 40)"), "{}", done.said);
    assert!(done.said.contains("before-"), "the backup is named: {}", done.said);
    // Nothing is restored by itself: that would lose what arrived since.
    assert_eq!(done.call(&["dropdb"]).or(done.call(&["pg_restore --clean"])), None);
}

#[test]
fn an_image_that_refuses_the_schema_is_not_put_back() {
    // A program that is older than the schema refuses to start, and the processes that run are worth more.
    let refuses = format!(r"\[{CURRENT}\] .* migrate");
    for (pattern, replaced) in [("webhook send .*127.0.0.1:8000", 1), ("webhook send .*nginx:8081", 2)] {
        let stage = Stage::new();
        stage.fails(&[&refuses, pattern]);
        stage.write("schema.after", "41");
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, 1, "{}", done.said);
        let of_current = format!("[{CURRENT}]");
        assert_eq!(done.call(&[&of_current, "--no-build tds-"]), None, "{:?}", done.calls);
        let ups = done.calls.iter().filter(|call| call.contains("--no-deps --no-build tds-")).count();
        assert_eq!(ups, replaced, "{pattern}");
        assert!(done.said.contains("refuses the schema") && done.said.contains("before-"), "{}", done.said);
        assert_eq!(stage.read("state/current-image"), CURRENT);
    }
    let stage = Stage::new();
    stage.fails(&[&format!(r"\[{PREVIOUS}\] .* migrate")]);
    let done = stage.run("rollback", &[]);
    assert_eq!((done.status, done.call(&["--no-build"])), (1, None), "{}", done.said);
    assert!(done.said.contains("nothing was replaced"), "{}", done.said);
    assert_eq!(stage.read("state/current-image"), CURRENT);
}

#[test]
fn the_first_deployment_starts_everything_and_has_nothing_to_go_back_to() {
    let stage = Stage::fresh();
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[&["migrate"], &["up --detach --no-build"], &["healthcheck"], &["webhook send"]]);
    assert_eq!(done.call(&["reload"]), None, "nginx does not run yet");
    assert!(!stage.path("state/previous-image").exists());
    let failing = Stage::fresh();
    failing.fails(&["webhook send .*nginx:8081"]);
    let done = failing.run("deploy", &[]);
    assert_eq!(done.status, 1);
    assert!(done.said.contains("there is no previous image"), "{}", done.said);
    assert!(!failing.path("state/current-image").exists());
}

#[test]
fn ten_images_are_kept_and_those_that_a_roll_back_needs() {
    let stage = Stage::new();
    let tags: Vec<String> = (1..=15).map(|day| format!("202601{day:02}-000000")).collect();
    // The two of the state are older than all of these. Other tags are nobody's business.
    stage.write(
        "tags",
        &format!("{}\ncurrent\nmine\n20260101-000000\n20251201-000000\n", tags[1..].join("\n")),
    );
    let done = stage.run("deploy", &["--image", "tds-server:20260115-000000"]);
    assert_eq!(done.status, 0, "{}", done.said);
    let removed: Vec<&str> =
        done.calls.iter().filter_map(|call| call.split_once("image rm ")).map(|c| c.1).collect();
    let expected: Vec<String> =
        ["05", "04", "03", "02"].iter().map(|day| format!("tds-server:202601{day}-000000")).collect();
    // The image before the current one is not needed any more, the current one became the previous one.
    assert_eq!(removed, [&expected[..], &[PREVIOUS.to_owned()]].concat());
    assert_eq!(done.call(&["docker build"]), None);
}

#[test]
fn a_dry_run_calls_nothing_and_changes_nothing() {
    for (command, arguments) in [
        ("deploy", &["--dry-run"][..]),
        ("rollback", &["--dry-run"]),
        ("daily-check", &["--dry-run"]),
        ("weekly-maintenance", &["--dry-run"]),
        ("compose", &["--dry-run", "ps"]),
        ("prepare", &["--dry-run"]),
        ("backup", &["--dry-run"]),
        ("auth", &["--dry-run"]),
        ("restore", &["--dry-run", "/dev/null"]),
        ("restore", &["--dry-run", "--back", "tds_before_restore_20260101_000000"]),
    ] {
        let stage = Stage::new();
        let done = stage.run(command, arguments);
        assert_eq!((done.status, done.calls.len()), (0, 0), "{command}: {:?}\n{}", done.calls, done.said);
        assert!(done.said.contains("would "), "{command}: {}", done.said);
        let mut left: Vec<_> = fs::read_dir(stage.path("state"))
            .expect("the state")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["current-image", "nginx", "previous-image"], "{command} wrote something");
        assert!(!stage.path("deploy/secrets").exists(), "{command}");
    }
}

#[test]
fn a_roll_back_takes_the_previous_image_and_touches_no_data() {
    let stage = Stage::new();
    let done = stage.run("rollback", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    done.in_order(&[
        // The old program is asked whether it accepts the schema.
        &[&format!("[{PREVIOUS}]"), "run --rm --no-deps -T tds-task migrate"],
        &[&format!("[{PREVIOUS}]"), "--no-build tds-a"],
        &[&format!("[{PREVIOUS}]"), "--no-build tds-b"],
        &["webhook send products --file - --url http://nginx:8081"],
    ]);
    assert_eq!(done.call(&["pg_restore"]).or(done.call(&["dropdb"])), None);
    assert_eq!(stage.read("state/current-image").trim(), PREVIOUS);
    assert_eq!(stage.read("state/previous-image").trim(), CURRENT);
    assert!(stage.run("rollback", &["--list"]).said.contains(&format!("rolled-back\t{PREVIOUS}")));

    // An image that does not become ready: the other process stays, and the state too.
    let stage = Stage::new();
    stage.fails(&["healthcheck"]);
    let done = stage.run("rollback", &[]);
    assert_eq!(done.status, 1);
    assert_eq!(done.call(&["--no-build tds-b"]), None);
    assert_eq!(stage.read("state/current-image"), CURRENT);
    assert!(done.said.contains(&format!("deploy/bin/deploy --image {CURRENT}")), "{}", done.said);
}

#[test]
fn wrong_usage_and_wrong_configuration_have_exit_status_2_and_say_what_is_accepted() {
    let stage = Stage::new();
    for (arguments, message) in [
        (&["--imagee"][..], "unknown argument --imagee"),
        (&["--image"], "--image needs a name and a tag"),
        (&["--config", "/nowhere"], "/nowhere cannot be read"),
    ] {
        let done = stage.run("deploy", arguments);
        assert_eq!((done.status, done.calls.len()), (2, 0), "{}", done.said);
        assert!(done.said.contains(message), "{}", done.said);
    }
    let environment = stage.read("deploy/.env");
    stage.write("deploy/.env", &format!("{environment}\nSTACK_LOCAL_PORT=1\n"));
    let done = stage.run("deploy", &[]);
    assert_eq!((done.status, done.calls.len()), (2, 0), "{}", done.said);
    assert!(
        done.said.contains("STACK_LOCAL_PORT") && done.said.contains("have to be equal"),
        "{}",
        done.said
    );
    stage.write("deploy/.env", &environment);
    let configuration = stage.read("deploy/deploy.conf");
    for (line, message) in [
        ("KEEP_IMAGES=many", "a whole number"),
        ("KEEP_IMAGES=1", "a roll-back needs one"),
        ("KEEP_BACKUPS=0", "KEEP_BACKUPS in"),
        ("BACKUP_DIR=backups", "have to begin with /; found \"backups\""),
        ("this is nonsense", "lines of the form NAME=value"),
    ] {
        stage.write("deploy/deploy.conf", &configuration);
        stage.configure(line);
        let done = stage.run("deploy", &[]);
        assert_eq!((done.status, done.calls.len()), (2, 0), "{line}: {}", done.said);
        assert!(done.said.contains(message), "{line}: {}", done.said);
    }
    let commands = [
        "deploy",
        "rollback",
        "compose",
        "prepare",
        "daily-check",
        "weekly-maintenance",
        "backup",
        "restore",
        "auth",
    ];
    for command in commands {
        let help = stage.run(command, &["--help"]);
        assert_eq!(help.status, 0);
        assert!(help.said.contains(&format!("usage: deploy/bin/{command}")), "{}", help.said);
        assert!(help.said.contains("--dry-run"), "{command}");
    }
}
