//! The compose files: what every service has to have, and what none may have.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    linted::{told, tool},
    stage::sources,
};

const FILES: [&str; 3] = ["compose.yml", "compose.monitoring.yml", "compose.erp.yml"];

/// Reads a compose file. Python resolves the anchors and merges of YAML.
fn parsed(file: &str) -> Value {
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = tool("python3", &["-c", program, &sources().join(file).display().to_string()]);
    assert!(output.status.success(), "{file}: {}", told(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Returns every service with an image. The others add something to a service of another file.
fn services() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for file in FILES {
        for (name, service) in parsed(file)["services"].as_object().expect("services") {
            if service.get("image").is_some() {
                found.push((format!("{file}: {name}"), service.clone()));
            }
        }
    }
    assert_eq!(found.len(), 14, "{:?}", found.iter().map(|(name, _)| name).collect::<Vec<_>>());
    found
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| entry.as_str().map_or_else(|| entry.to_string(), str::to_owned)).collect()
}

#[test]
fn every_service_is_watched_limited_and_hardened() {
    for (name, service) in services() {
        let restart = if name == "compose.yml: tds-task" { "no" } else { "unless-stopped" };
        assert_eq!(service["restart"], restart, "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        for key in ["mem_limit", "cpus", "pids_limit"] {
            assert!(!service[key].is_null(), "{name} has no {key}");
        }
        assert!(!service["logging"]["options"]["max-size"].is_null(), "{name}: its log grows for ever");
        let check = &service["healthcheck"];
        for key in ["test", "interval", "timeout", "retries", "start_period"] {
            assert!(!check[key].is_null(), "{name}: its health check has no {key}");
        }
        let user = service["user"].as_str().unwrap_or_else(|| panic!("{name} has no user"));
        let number = user.trim_start_matches(|c: char| !c.is_ascii_digit());
        assert!(!number.starts_with("0:") && !number.is_empty(), "{name} is root: {user}");
        for key in ["cap_add", "privileged", "network_mode", "pid", "ipc", "devices"] {
            assert!(service[key].is_null(), "{name} has {key}");
        }
        assert!(!service.to_string().contains("docker.sock"), "{name} can control docker");
        let image = service["image"].as_str().expect("an image");
        let is_pinned = image.rsplit_once(':').is_some_and(|(_, tag)| !tag.starts_with("latest"));
        assert!(is_pinned || image.contains(":?"), "{name}: {image}");
    }
}

#[test]
fn only_nginx_is_published_and_the_database_has_no_way_out() {
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            let is_open = !port.starts_with("127.0.0.1:");
            assert!(!is_open || name == "compose.yml: nginx", "{name} publishes {port}");
        }
        let networks = &service["networks"];
        let networks: Vec<String> =
            networks.as_object().map_or_else(|| texts(networks), |named| named.keys().cloned().collect());
        assert!(!networks.is_empty(), "{name} is in the default network");
        if ["db", "redis", "node-exporter", "postgres-exporter"].iter().any(|closed| name.ends_with(closed)) {
            assert!(texts(&service["ports"]).is_empty(), "{name} is published");
            assert!(!networks.contains(&"outside".to_owned()), "{name} has a way out");
        }
    }
    for (file, name) in
        [(FILES[0], "database"), (FILES[0], "edge"), (FILES[1], "monitoring"), (FILES[2], "erp")]
    {
        assert_eq!(parsed(file)["networks"][name]["internal"], true, "{name}");
    }
}

#[test]
fn secrets_are_files_and_never_values() {
    let is_secret = |name: &str| {
        ["PASSWORD", "SECRET", "TOKEN", "ENCRYPTION_KEY", "PASS"].iter().any(|part| name.contains(part))
    };
    for (name, service) in services() {
        let environment = service["environment"].as_object().cloned().unwrap_or_default();
        for (variable, value) in environment {
            if is_secret(&variable) {
                let value = value.as_str().unwrap_or_default();
                assert!(
                    variable.ends_with("_FILE") && value.starts_with("/run/secrets/"),
                    "{name}: {variable}"
                );
                let secret = value.trim_start_matches("/run/secrets/");
                assert!(
                    texts(&service["secrets"]).contains(&secret.to_owned()),
                    "{name}: {secret} is not mounted"
                );
            }
        }
    }
    // What docker compose reads as a file must not hold a value either.
    let example = fs::read_to_string(sources().join(".env.example")).expect("the example");
    for (variable, value) in example.lines().filter_map(|line| line.trim_start_matches('#').split_once('=')) {
        assert!(!is_secret(variable) || value.is_empty() || variable.ends_with("_DIR"), "{variable}");
    }
}

#[test]
fn the_exporter_reaches_a_database_elsewhere_by_a_file_of_its_own() {
    let file = parsed("compose.external-database.yml");
    let services = file["services"].as_object().expect("services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["postgres-exporter"]);
    let exporter = services["postgres-exporter"].as_object().expect("a service");
    assert_eq!(exporter.keys().collect::<Vec<_>>(), ["networks"], "only the way out is added");
    let networks = exporter["networks"].as_object().expect("networks");
    assert_eq!(networks.keys().collect::<Vec<_>>(), ["outside"]);
    // The file is nothing by itself: the service and the network are those of the other files.
    assert!(parsed(FILES[1])["services"]["postgres-exporter"]["image"].is_string());
    assert!(parsed(FILES[0])["networks"]["outside"].is_object());
    let uri = &parsed(FILES[1])["services"]["postgres-exporter"]["environment"]["DATA_SOURCE_URI"];
    assert!(uri.as_str().is_some_and(|uri| uri.contains("sslmode=${STACK_DB_SSLMODE:-")), "{uri}");
}

#[test]
fn alertmanager_reads_what_the_operator_filled_in_and_no_tracked_file() {
    let volumes = texts(&parsed(FILES[1])["services"]["alertmanager"]["volumes"]);
    assert!(volumes.contains(&"${STACK_STATE_DIR:-/srv/tds}/alertmanager:/etc/alertmanager:ro".to_owned()));
    assert!(volumes.iter().all(|volume| !volume.contains("docs/monitoring")), "{volumes:?}");
}

#[test]
fn the_tag_of_an_image_is_in_one_file_only() {
    let example = fs::read_to_string(sources().join(".env.example")).expect("the example");
    for (name, service) in services() {
        let image = service["image"].as_str().expect("an image");
        let variable = image.trim_start_matches("${").split(':').next().expect("a name");
        // The names that deploy/bin gives to the images of this project are no versions.
        let is_ours = variable == "STACK_IMAGE";
        assert!(is_ours || example.lines().any(|line| line == format!("#{variable}=")), "{name}: {variable}");
    }
}

/// Returns the names in a text before which the text has one of these.
fn names(text: &str, before: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let names = text.split(before).skip(1);
    names.map(|rest| rest.chars().take_while(|c| is_name(*c)).collect()).collect()
}

#[test]
fn the_example_environment_is_complete() {
    let example = fs::read_to_string(sources().join(".env.example")).expect("the example");
    let given: BTreeSet<String> = example
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.contains(' '))
        .collect();
    let wanted: BTreeSet<String> = FILES
        .iter()
        .flat_map(|file| names(&fs::read_to_string(sources().join(file)).expect("a file"), "${"))
        .collect();
    let missing: Vec<_> = wanted.difference(&given).filter(|name| !name.is_empty()).collect();
    assert!(missing.is_empty(), "deploy/.env.example lacks {missing:?}");
    let unknown: Vec<_> = given.difference(&wanted).filter(|name| *name != "COMPOSE_PROFILES").collect();
    assert!(unknown.is_empty(), "no compose file reads {unknown:?}");
    // The settings of the program are in a copy of its own example, which the program's tests keep complete. Its
    // secrets are empty there: a value and a file of the same secret are refused.
    let program = fs::read_to_string(sources().join("../.env.example")).expect("the example of the program");
    for variable in ["ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN", "ZOHO_WEBHOOK_SECRET"] {
        assert!(program.lines().any(|line| line == format!("{variable}=")), "{variable} has a value");
    }
    assert_eq!(texts(&parsed("compose.yml")["services"]["tds-a"]["env_file"]), ["tds.env"]);
}

#[test]
fn a_process_of_tds_has_the_same_configuration_whether_it_is_started_alone_or_with_all() {
    // `up --no-deps` leaves this key out, and docker compose replaces what differs.
    for side in ["tds-a", "tds-b"] {
        assert!(parsed("compose.yml")["services"][side]["depends_on"].is_null(), "{side}");
    }
}
