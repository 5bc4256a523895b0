//! `daily-check`, `weekly-maintenance` and `prepare`.

use std::{fs, os::unix::fs::PermissionsExt as _, time::SystemTime};

use crate::stage::Stage;

#[test]
fn a_healthy_stack_passes_the_daily_check_and_every_trouble_is_named() {
    let stage = Stage::new();
    fs::create_dir(stage.path("state/backups")).expect("a directory");
    stage.write("state/backups/weekly-20260101.dump", "x");
    let done = stage.run("daily-check", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    assert_eq!(done.said.matches("ok    ").count(), 10, "{}", done.said);
    assert_eq!(done.call(&["up "]).or(done.call(&["reload"])), None, "a check changes nothing");
    assert_eq!(stage.run("daily-check", &["--quiet"]).said, "", "cron sends a mail for every word");

    let troubles: [(&str, &str, &str); 9] = [
        (
            "states",
            "tds-b running healthy\ndb running healthy\n",
            "FAIL  containers: tds-a has no container;nginx has no",
        ),
        ("images", "tds-server:1\ntds-server:2\n", "FAIL  processes: tds-a and tds-b have different images"),
        (
            "state/nginx/upstream.conf",
            "    server 172.31.250.12:8000;\n",
            "FAIL  processes: nginx does not send to both",
        ),
        (
            "states",
            "tds-a running healthy\ntds-b running unhealthy\n",
            "FAIL  containers: tds-b running unhealthy",
        ),
        ("states", "tds-a restarting \n", "FAIL  containers: tds-a restarting"),
        ("health", r#"{"status":"degraded","zoho":"the token was refused"}"#, "FAIL  health: "),
        ("dead", r#"{"items":[{"id":17}]}"#, "FAIL  dead letters"),
        ("disk", "85", "FAIL  disk: "),
        ("certificate", "+13 days", "FAIL  certificate: 1"),
    ];
    for (file, text, message) in troubles {
        let before = stage.read(file);
        stage.write(file, text);
        let done = stage.run("daily-check", &["--quiet"]);
        assert_eq!(done.status, 1, "{file}: {}", done.said);
        assert!(done.said.starts_with(message), "{file}: {}", done.said);
        stage.write(file, &before);
    }
    let silent =
        [("^curl", "does not answer 200"), ("queue list", "dead letters: tds-server gives no answer")];
    for (pattern, message) in silent {
        stage.fails(&[pattern]);
        let done = stage.run("daily-check", &[]);
        assert!(done.status == 1 && done.said.contains(message), "{pattern}: {}", done.said);
    }
    // What curl ends with if it trusts no authority of the certificate.
    stage.write("failure", "60");
    stage.fails(&["^curl --silent --max-time 10 --output /dev/null https://"]);
    let done = stage.run("daily-check", &["--quiet"]);
    assert!(done.said.starts_with("FAIL  certificate: it is self-signed or from a test"), "{}", done.said);
    stage.fails(&["webhooks status"]);
    stage.configure(
        "WEBHOOKS_STATUS=yes\nBACKUP_HOURS=0\nCOMPOSE_FILES=\"compose.yml compose.monitoring.yml\"",
    );
    let done = stage.run("daily-check", &["--quiet"]);
    for trouble in ["webhooks: ", "backup: none", "alerts: "] {
        assert!(done.said.contains(&format!("FAIL  {trouble}")), "{trouble}: {}", done.said);
    }
}

#[test]
fn the_weekly_maintenance_proves_the_new_backup_before_it_removes_old_ones() {
    let stage = Stage::new();
    stage.configure("KEEP_BACKUPS=2");
    fs::create_dir(stage.path("state/backups")).expect("a directory");
    let old = ["weekly-20260101-000000", "weekly-20260102-000000", "before-20260103-000000"];
    for name in old {
        stage.write(&format!("state/backups/{name}.dump"), "x");
    }
    // Others keep theirs in the same place, and a command was ended in the middle, long ago.
    let others = ["erp-20250101.dump", "tds2-20250101-000000.dump", "before-20260104-000000.dump.part"];
    for name in others {
        stage.write(&format!("state/backups/{name}"), "x");
    }
    let ended = fs::File::options().write(true).open(stage.path(&format!("state/backups/{}", others[2])));
    ended.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH)).expect("an old file");
    let done = stage.run("weekly-maintenance", &["--dry-run"]);
    assert!(!done.said.contains("ok  "), "nothing was done, so nothing passed: {}", done.said);
    stage.fails(&["pg_restore"]);
    let done = stage.run("weekly-maintenance", &[]);
    assert_eq!(done.status, 1, "{}", done.said);
    assert!(done.said.contains("old backups are kept"), "{}", done.said);
    for name in old {
        assert!(stage.path(&format!("state/backups/{name}.dump")).exists(), "{name}");
    }
    // The other steps were done nevertheless.
    done.in_order(&[&["prune --yes"], &["report --format html"], &["image prune"], &["openssl s_client"]]);

    stage.fails(&[]);
    stage.configure("DUMP_ARGUMENTS=\"--schema=public --schema=erp\"");
    let done = stage.run("weekly-maintenance", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    let dumped = &done.calls[done.call(&["pg_dump"]).expect("a dump")];
    assert!(
        dumped.ends_with(
            "pg_dump --format=custom --dbname=user=postgres dbname='tds' --schema=public --schema=erp"
        ),
        "{dumped}"
    );
    let mut left: Vec<String> = fs::read_dir(stage.path("state/backups"))
        .expect("the backups")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".dump") && !name.ends_with(".sha256"))
        .collect();
    left.sort();
    // The one that was not proved is of today, and stays unless the second one has its name.
    left.retain(|name| !(name.starts_with("weekly-") && name.ends_with(".part")));
    for name in &others[..2] {
        let kept = left.iter().position(|left| left == name).unwrap_or_else(|| panic!("{name} is gone"));
        left.remove(kept);
    }
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0], "before-20260103-000000.dump", "the newest are kept, whatever made them");
    let newest = stage.path(&format!("state/backups/{}", left[1]));
    assert_eq!(fs::read_to_string(&newest).expect("a dump"), "the dump");
    let mode = fs::metadata(newest).expect("a dump").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "a dump holds the data of customers");
    let reports = fs::read_dir(stage.path("state/reports")).expect("the reports").count();
    assert!(reports >= 1, "no report");
}

#[test]
fn prepare_makes_what_is_missing_and_changes_nothing_that_exists() {
    let stage = Stage::fresh();
    stage.unstub("openssl");
    fs::create_dir(stage.path("state/nginx")).expect("a directory");
    stage.is_full_for("state/nginx/allow.conf.new");
    let done = stage.run("prepare", &[]);
    assert!(done.status == 1 && done.said.contains("is the disk full?"), "{}", done.said);
    assert!(!stage.path("state/nginx/allow.conf").exists(), "the next run makes it");
    let done = stage.run("prepare", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    let webhook_secret = stage.read("deploy/secrets/zoho_webhook_secret");
    let is_zohos = |c: char| c.is_ascii_alphanumeric();
    assert!((12..=50).contains(&webhook_secret.trim().len()), "{}", webhook_secret.len());
    assert!(webhook_secret.trim().chars().all(is_zohos));
    let mode = |name: &str| fs::metadata(stage.path(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!((mode("deploy/secrets"), mode("state/tls/privkey.pem")), (0o700, 0o600));
    assert!(done.said.contains("zoho_refresh_token is empty: deploy/bin/auth"), "{}", done.said);
    // Alerts have no receiver before somebody names one.
    stage.configure("COMPOSE_FILES=\"compose.yml compose.monitoring.yml\"");
    let receivers = stage.read("state/alertmanager/alertmanager.yml");
    assert!(receivers.contains("alert-receiver.invalid"), "{receivers}");
    assert!(stage.run("daily-check", &[]).said.contains("FAIL  alerts: nobody gets them"));
    let mine = receivers.replace("alert-receiver.invalid", "chat.example.test");
    stage.write("state/alertmanager/alertmanager.yml", &mine);
    assert!(stage.run("daily-check", &[]).said.contains("ok    alerts"));
    let watched = stage.read("state/prometheus/certificate.yml");
    assert_eq!(watched, "- targets: [https://tds.example.test/livez]\n");
    // Every secret that a compose file names exists.
    for file in ["compose.yml", "compose.erp.yml", "compose.monitoring.yml"] {
        let text = stage.read(&format!("deploy/{file}"));
        for name in text.split("./secrets}/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(stage.path(&format!("deploy/secrets/{name}")).exists(), "{file}: {name}");
        }
    }
    assert!(stage.read("state/nginx/allow.conf").contains("#allow"));
    let key = stage.read("state/tls/privkey.pem");
    stage.write("state/nginx/allow.conf", "allow 203.0.113.7;\n");
    let again = stage.run("prepare", &[]);
    assert_eq!(again.status, 0, "{}", again.said);
    assert_eq!(stage.read("deploy/secrets/zoho_webhook_secret"), webhook_secret);
    assert_eq!(stage.read("state/tls/privkey.pem"), key);
    assert_eq!(stage.read("state/nginx/allow.conf"), "allow 203.0.113.7;\n");
    assert_eq!(stage.read("state/alertmanager/alertmanager.yml"), mine);
}

#[test]
fn a_path_may_have_blanks_and_a_value_quotes() {
    let stage = Stage::at(tempfile::Builder::new().prefix("my stack ").tempdir().expect("a directory"));
    stage.replace_stub("docker", "#!/bin/sh\nprintf '<%s>' \"$@\" >\"$STAGE/words\"\n");
    let state = stage.path("state").display().to_string();
    for value in [format!("'{state}'"), format!("\"{state}\" # here"), format!("{state} # here")] {
        stage.write("deploy/.env", &format!("STACK_STATE_DIR={value}\n"));
        let done = stage.run("compose", &["exec", "db", "a b"]);
        assert_eq!(done.status, 0, "{}", done.said);
        let here = stage.path("deploy").display().to_string();
        let words =
            format!("<compose><--project-directory><{here}><--file><{here}/compose.yml><exec><db><a b>");
        assert_eq!(stage.read("words"), words);
    }
}

#[test]
fn a_backup_has_its_name_only_with_a_whole_checksum() {
    let stage = Stage::new();
    // A disk that takes what is written, and has no room when it is asked to keep it.
    stage.replace_stub("sync", "#!/bin/sh\nexit 1\n");
    let done = stage.run("backup", &[]);
    assert!(done.status == 1 && done.said.contains("is the disk full?"), "{}", done.said);
    let left: Vec<_> = fs::read_dir(stage.path("state/backups")).expect("the backups").collect();
    assert!(left.iter().all(|entry| {
        !entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "dump"))
    }));
    assert_eq!(left.len(), 1, "the part alone: {left:?}");
}

#[test]
fn a_token_that_cannot_be_stored_is_not_thrown_away() {
    let stage = Stage::new();
    fs::create_dir(stage.path("deploy/secrets")).expect("a directory");
    for name in ["tds.env", "secrets/zoho_client_secret", "secrets/zoho_refresh_token"] {
        stage.write(&format!("deploy/{name}"), "");
    }
    let docker = "#!/bin/sh\nfor word; do case $word in *:/work) echo ZOHO_REFRESH_TOKEN=kept >\"${word%:/work}/.env\" ;; esac; done\n";
    stage.replace_stub("docker", docker);
    stage.is_full_for("deploy/secrets/zoho_refresh_token.new");
    let done = stage.run("auth", &[]);
    assert_eq!(done.status, 1, "{}", done.said);
    let line = done.said.lines().find_map(|line| line.split_once("which is in ")).expect("a place");
    let place = line.1.split(':').next().expect("a path");
    assert_eq!(fs::read_to_string(place).expect("the values"), "ZOHO_REFRESH_TOKEN=kept\n");
    let done = stage.run("auth", &[]);
    assert_eq!((done.status, stage.read("deploy/secrets/zoho_refresh_token")), (0, "kept\n".to_owned()));
}
