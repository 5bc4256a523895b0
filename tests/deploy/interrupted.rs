//! What ends `deploy` and `rollback` in the middle, or before they touch anything: a question that docker does not answer,
//! an nginx that refuses, a full disk, a signal.

use std::fs;

use crate::stage::{CURRENT, Done, PREVIOUS, Stage};

const BOTH: &str = "172.31.250.11:8000 max_fails=0;\n    server 172.31.250.12:8000";

fn replaced_nothing(stage: &Stage, done: &Done) {
    assert_eq!(done.status, 1, "{}", done.said);
    assert_eq!(done.call(&["--no-build tds-"]), None, "{}", done.said);
    assert_eq!(done.call(&["up --detach --no-build"]), None, "{}", done.said);
    assert_eq!(stage.read("state/current-image"), CURRENT);
    assert!(stage.read("state/nginx/upstream.conf").contains(BOTH));
    assert!(!stage.path("state/replacing").exists());
}

#[test]
fn a_question_that_fails_is_no_answer() {
    for command in ["deploy", "rollback"] {
        for question in [
            "image inspect tds-server:20260101",
            "ps --quiet --status running nginx",
            "ps --quiet --status running tds-a",
            "ps --quiet --status running tds-b",
            "ps --quiet tds-b",
            "inspect --format",
        ] {
            let stage = Stage::new();
            stage.write("running", "0123456789ab\n");
            stage.write("environment", "");
            stage.fails(&[question]);
            let done = stage.run(command, &[]);
            replaced_nothing(&stage, &done);
            assert!(done.said.contains("nothing was touched"), "{command} {question}: {}", done.said);
            assert_eq!(
                done.call(&["migrate"]).or(done.call(&["docker build"])),
                None,
                "{command} {question}"
            );
        }
    }
}

#[test]
fn processes_that_serve_without_nginx_are_replaced_one_after_the_other_and_put_back() {
    for command in ["deploy", "rollback"] {
        let stage = Stage::new();
        stage.write("nginx", "");
        let done = stage.run(command, &[]);
        assert_eq!(done.status, 0, "{}", done.said);
        done.in_order(&[
            &["up --detach --wait --no-deps --no-build nginx"],
            &["--no-build tds-a"],
            &["tds-a /usr/bin/tds-server healthcheck"],
            &["--no-build tds-b"],
        ]);
        stage.fails(&["--no-build nginx"]);
        stage.write("state/current-image", CURRENT);
        stage.write("state/previous-image", PREVIOUS);
        let done = stage.run(command, &["--image", PREVIOUS][..if command == "deploy" { 2 } else { 0 }]);
        replaced_nothing(&stage, &done);
    }
    let stage = Stage::new();
    stage.write("nginx", "");
    stage.fails(&["webhook send .*nginx:8081"]);
    let done = stage.run("deploy", &[]);
    assert!(done.said.contains(&format!("rolled back: {CURRENT} serves")), "{}", done.said);
}

#[test]
fn an_nginx_that_refuses_its_configuration_is_asked_before_anything_is_touched() {
    for command in ["deploy", "rollback"] {
        let stage = Stage::new();
        stage.fails(&["nginx nginx -t -q"]);
        let done = stage.run(command, &[]);
        replaced_nothing(&stage, &done);
        assert!(done.said.contains("nginx does not run, or refuses its configuration"), "{}", done.said);
        assert_eq!(done.call(&["migrate"]).or(done.call(&["pg_dump"])), None, "{command}");
    }
}

#[test]
fn on_a_full_disk_no_file_is_half_written_and_the_disk_is_named() {
    for command in ["deploy", "rollback"] {
        let stage = Stage::new();
        stage.is_full_for("state/replacing.new");
        let done = stage.run(command, &[]);
        replaced_nothing(&stage, &done);
        assert!(done.said.contains("is the disk full?"), "{}", done.said);

        let stage = Stage::new();
        stage.is_full_for("state/nginx/upstream.conf.new");
        let done = stage.run(command, &[]);
        assert_eq!(done.status, 1, "{}", done.said);
        assert!(done.said.contains("upstream.conf could not be written, and is as it was"), "{}", done.said);
        let kept = fs::symlink_metadata(stage.path("state/nginx/upstream.conf")).expect("the file");
        assert!(kept.is_file(), "{kept:?}");
        assert!(stage.read("state/nginx/upstream.conf").contains(BOTH));

        // The diary is no reason to fail.
        let stage = Stage::new();
        stage.is_full_for("state/deployments.log");
        let done = stage.run(command, &[]);
        assert!(done.status == 0 && done.said.contains("deployments.log lacks a line"), "{}", done.said);
    }
}

#[test]
fn what_cannot_be_written_down_at_the_end_is_said_and_done_by_the_same_command_again() {
    let stage = Stage::new();
    stage.fails(&["docker tag"]);
    let done = stage.run("deploy", &[]);
    assert_eq!(done.status, 1, "{}", done.said);
    let new = stage.read("state/current-image").trim().to_owned();
    assert!(
        done.said.contains(&format!("{new} is in service, and that could not be written down")),
        "{}",
        done.said
    );
    assert!(done.said.contains(&format!("deploy/bin/deploy --image {new}")), "{}", done.said);
    assert!(stage.read("state/deployments.log").contains(&format!("deployed\t{new}\t40")));

    let stage = Stage::new();
    stage.is_full_for("state/current-image.new");
    let done = stage.run("deploy", &[]);
    assert!(done.status == 1 && done.said.contains("is in service"), "{}", done.said);
    // The way back is not one version too far.
    let done = stage.run("rollback", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    assert_eq!(done.call(&[&format!("[{PREVIOUS}]")]), None, "{:?}", done.calls);
    assert_eq!(stage.read("state/current-image").trim(), CURRENT);
}

#[test]
fn a_signal_says_how_to_go_on_and_the_way_back_is_to_what_served_before() {
    for (signal, side) in [("HUP", "a"), ("TERM", "b"), ("INT", "a"), ("PIPE", "b")] {
        let stage = Stage::new();
        stage.interrupts(signal, &format!("--no-build tds-{side}"));
        let done = stage.run("deploy", &[]);
        assert_eq!(done.status, 1, "{}", done.said);
        let new = stage.read("state/replacing").trim().to_owned();
        for command in [format!("deploy/bin/deploy --image {new}"), format!("deploy/bin/rollback {CURRENT}")]
        {
            assert!(done.said.contains(&command), "{signal}: {}", done.said);
        }
        assert!(stage.read("state/nginx/upstream.conf").contains(BOTH), "both are ready, and get requests");
        assert!(stage.read("state/deployments.log").contains(&format!("interrupted\t{new}")));
        let checked = stage.run("daily-check", &["--quiet"]).said;
        assert!(
            checked.contains("FAIL  processes: ") && checked.contains("did not come to its end"),
            "{checked}"
        );

        assert!(stage.run("rollback", &["--list"]).said.contains(&format!("begun:    {new}")));
        let done = stage.run("rollback", &[]);
        assert_eq!(done.status, 0, "{}", done.said);
        done.in_order(&[&[&format!("[{CURRENT}]"), "--no-build tds-a"], &[&format!("[{CURRENT}]"), "tds-b"]]);
        let images = ["current", "previous"].map(|name| stage.read(&format!("state/{name}-image")));
        assert_eq!(images.each_ref().map(|image| image.trim()), [CURRENT, PREVIOUS]);
        assert!(!stage.path("state/replacing").exists());
    }
    // A process that is not ready gets no requests.
    let stage = Stage::new();
    stage.interrupts("TERM", "--no-build tds-a");
    stage.fails(&[r"\[tds-server:new\].* tds-a .*healthcheck"]);
    let done = stage.run("deploy", &["--image", "tds-server:new"]);
    assert!(done.said.contains("ready: b"), "{}", done.said);
    assert!(!stage.read("state/nginx/upstream.conf").contains("172.31.250.11"));

    let stage = Stage::new();
    stage.interrupts("TERM", "config --quiet");
    let done = stage.run("deploy", &[]);
    replaced_nothing(&stage, &done);
    assert!(done.said.contains("nothing was replaced"), "{}", done.said);

    let stage = Stage::new();
    stage.interrupts("TERM", "--no-build tds-b");
    let done = stage.run("rollback", &[]);
    for command in [format!("deploy/bin/rollback {PREVIOUS}"), format!("deploy/bin/rollback {CURRENT}")] {
        assert!(done.status == 1 && done.said.contains(&command), "{}", done.said);
    }
}
