//! How a certificate gets from the authority to nginx.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::{
    linted::told,
    stage::{sources, stub},
};

/// Runs a script of `deploy/` until it and what it started have ended. Returns what the stubs were called with.
fn run(script: &str, directory: &Path, server: &str) -> String {
    let output = Command::new("sh")
        .arg(sources().join(script))
        .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
        .envs([("HERE", directory), ("TDS_TLS", &directory.join("tls")), ("ACME_WORK", directory)])
        .envs([("ACME_DOMAIN", "tds.example.test"), ("ACME_SERVER", server)])
        .env("ACME_KEPT", directory.join("kept"))
        .output()
        .expect("sh");
    assert!(output.status.success(), "{}", told(&output));
    fs::read_to_string(directory.join("calls")).expect("calls")
}

#[test]
fn certbot_is_asked_again_and_again_and_its_certificate_is_copied_for_nginx_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let live = here.join("kept/live/tds.example.test");
    fs::create_dir_all(&live).expect("a directory");
    fs::create_dir(here.join("tls")).expect("a directory");
    fs::write(here.join("tls/fullchain.pem"), "of a test authority").expect("a file");
    // Like certbot: the first attempt fails. The second one finds a certificate that is still valid.
    fs::write(live.join("privkey.pem"), "the key").expect("a file");
    fs::write(live.join("fullchain.pem"), "the chain").expect("a file");
    stub(here, "certbot", r#"[ -e "$HERE/tried" ] || { : >"$HERE/tried"; exit 1; }"#);
    // Time passes twice, then the container is stopped.
    stub(here, "sleep", r#"[ "$(grep -c '^sleep' "$HERE/calls")" -lt 2 ] || kill -TERM "$PPID""#);
    let calls = run("certbot/renew.sh", here, "https://acme.example.test/directory");
    let lines: Vec<&str> = calls.lines().collect();
    assert_eq!(lines.len(), 4, "{calls}");
    assert!(
        lines[0].contains("certonly --non-interactive") && lines[0].contains("--domain tds.example.test")
    );
    assert!(lines[0].contains("--register-unsafely-without-email"), "{}", lines[0]);
    assert_eq!((lines[1], lines[3]), ("sleep 3600", "sleep 43200"), "a failure is repeated earlier");
    assert!(here.join("last-success").exists(), "the health check looks for it");
    for (name, text) in [("privkey.pem", "the key"), ("fullchain.pem", "the chain")] {
        let path = here.join("tls").join(name);
        assert_eq!(fs::read_to_string(&path).expect(name), text);
        assert_eq!(fs::metadata(&path).expect(name).permissions().mode() & 0o777, 0o600, "{name}");
    }

    // On a full disk the old pair stays together.
    fs::write(live.join("privkey.pem"), "another key").expect("a file");
    fs::write(live.join("fullchain.pem"), "another chain").expect("a file");
    fs::write(here.join("calls"), "").expect("a file");
    std::os::unix::fs::symlink("/dev/full", here.join("tls/.fullchain.pem")).expect("a link");
    run("certbot/renew.sh", here, "https://acme.example.test/directory");
    for (name, text) in [("privkey.pem", "the key"), ("fullchain.pem", "the chain")] {
        assert_eq!(fs::read_to_string(here.join("tls").join(name)).expect(name), text);
    }
    fs::remove_file(here.join("tls/.fullchain.pem")).expect("a link");

    // Whoever brings a certificate of his own keeps it.
    fs::write(here.join("tls/fullchain.pem"), "of my own").expect("a file");
    fs::write(here.join("calls"), "").expect("a file");
    let calls = run("certbot/renew.sh", here, "off");
    assert_eq!(calls.lines().collect::<Vec<_>>(), ["sleep 43200", "sleep 43200"], "nobody is asked");
    assert_eq!(fs::read_to_string(here.join("tls/fullchain.pem")).expect("a file"), "of my own");
}

#[test]
fn nginx_is_reloaded_once_for_a_new_certificate_and_never_for_a_broken_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    fs::create_dir(here.join("tls")).expect("a directory");
    fs::write(here.join("tls/fullchain.pem"), "1").expect("a file");
    // The certificate changes before the second look. At the third look nginx refuses it, later it does not.
    let looks = r#"
        looks=$(grep -c '^sleep' "$HERE/calls")
        [ "$looks" != 2 ] || printf 2 >"$HERE/tls/fullchain.pem"
        [ "$looks" -lt 6 ]"#;
    stub(here, "sleep", looks);
    stub(here, "nginx", r#"[ "$1" != -t ] || [ "$(grep -c '^nginx -t' "$HERE/calls")" -gt 1 ]"#);
    let calls = run("nginx/reload.sh", here, "off");
    let nginx: Vec<&str> = calls.lines().filter(|line| line.starts_with("nginx")).collect();
    assert_eq!(nginx, ["nginx -t -q", "nginx -t -q", "nginx -s reload"], "{calls}");
}
