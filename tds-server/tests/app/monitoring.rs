//! Monitoring as code: what `docs/monitoring` says is compared with what a running server shows, and checked by the
//! programs of Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    expressions::{dashboards, expressions, rules, series},
    tools::{self, passes},
};

/// The number of series that a process may have.
const MOST_SERIES: usize = 1_000;

/// The series of other programs, which a server does not show.
const FOREIGN: [&str; 9] = [
    "ALERTS",
    "up",
    "node_cpu_seconds_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "pg_up",
    "probe_ssl_earliest_cert_expiry",
];

/// Checks the series that a running server shows.
pub(crate) fn check_scrape(scrape: &str) {
    let samples = scrape.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<&str> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    assert!(names.len() <= MOST_SERIES, "{} series", names.len());

    let families = |kind: &str| -> BTreeMap<&str, &str> {
        let lines = scrape.lines().filter_map(|line| line.strip_prefix(kind));
        lines.filter_map(|line| line.split_once(' ')).collect()
    };
    let (help, types) = (families("# HELP "), families("# TYPE "));
    assert_eq!(help.keys().collect::<Vec<_>>(), types.keys().collect::<Vec<_>>());
    assert!(help.values().all(|help| !help.is_empty()));
    for name in &names {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
            let family = name.strip_suffix(part)?;
            (types.get(family) == Some(&"histogram")).then_some(family)
        });
        assert!(types.contains_key(family.unwrap_or(name)), "{name} has no type");
    }
    // promtool reports names and types that break the conventions.
    assert_eq!(passes("promtool", &["check", "metrics"], scrape), "");

    let rules = rules();
    let recorded = rules.iter().filter(|rule| !rule.is_alert).map(|rule| rule.name.as_str());
    let known: BTreeSet<&str> = names.into_iter().chain(recorded).chain(FOREIGN).collect();
    let of_rules = rules.iter().map(|rule| rule.expression.clone());
    let all: Vec<String> = of_rules.chain(dashboards().iter().flat_map(expressions)).collect();
    assert!(all.len() > 100, "only {} expressions were found", all.len());
    for expression in all {
        let used = series(&expression);
        assert!(!used.is_empty(), "no series in {expression}");
        for name in used {
            assert!(known.contains(name.as_str()), "nothing shows {name}, which this uses: {expression}");
        }
    }
}

#[test]
fn prometheus_and_alertmanager_accept_their_configuration_and_the_rules_do_what_their_tests_say() {
    let tests = ["rules.test.yml", "rules.days.test.yml"];
    passes("promtool", &["check", "config", "prometheus.yml"], "");
    passes("promtool", &["test", "rules", tests[0], tests[1]], "");
    passes("amtool", &["check-config", "alertmanager.yml"], "");

    // The blocks of the tests, by their names.
    let text = tests.map(tools::read).concat();
    let blocks: BTreeMap<&str, &str> = text
        .split("\n  - name: ")
        .skip(1)
        .map(|block| block.split_once('\n').expect("a block"))
        .map(|(name, block)| (name.trim_matches('\''), block))
        .collect();
    let alerts: Vec<_> = rules().into_iter().filter(|rule| rule.is_alert).collect();
    assert!(alerts.len() > 25, "only {} alerts were found", alerts.len());
    for alert in alerts {
        let name = &alert.name;
        let fires = blocks.get(format!("{name} fires").as_str());
        let fires = fires.unwrap_or_else(|| panic!("no test in which {name} fires"));
        assert!(
            fires.contains(&format!("alertname: {name}\n        exp_alerts:\n          - exp_labels")),
            "{name}"
        );
        let quiet = format!("{name} does not fire: ");
        let quiet = blocks.iter().find(|(test, _)| test.starts_with(&quiet));
        let (_, quiet) = quiet.unwrap_or_else(|| panic!("no test in which {name} does not fire"));
        assert!(quiet.contains(&format!("alertname: {name}\n        exp_alerts: []")), "{name}");

        for key in ["labels: {severity: ", "summary: ", "description: ", "runbook_url: "] {
            assert!(alert.text.contains(key), "{name} has no {key}");
        }
        let page = alert.text.split("runbook_url: ").nth(1).and_then(|rest| rest.lines().next());
        let (file, anchor) = page.and_then(|page| page.split_once('#')).expect("a page and an anchor");
        let page = std::fs::read_to_string(tools::root().join(file)).expect("a page");
        let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
        assert!(headings.clone().any(|heading| heading.to_lowercase() == anchor), "{file} has no {anchor}");
    }
}

#[test]
fn the_dashboards_are_complete_and_their_expressions_parse() {
    let source = tools::read("grafana/provisioning/datasources/prometheus.yml");
    let mut file = "groups:\n- name: dashboards\n  rules:\n".to_owned();
    let (mut uids, mut count) = (BTreeSet::new(), 0);
    for dashboard in dashboards() {
        let uid = dashboard["uid"].as_str().expect("a uid").to_owned();
        assert!(uids.insert(uid.clone()), "{uid} is used twice");
        assert!(dashboard["schemaVersion"].as_u64() > Some(35) && dashboard["title"].is_string(), "{uid}");
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().expect("panels") {
            let place = format!("{uid}: {}", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64()), "{place}: its id is used twice");
            let of_grid = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            assert!(of_grid("x") + of_grid("w") <= 24, "{place}");
            if panel["type"] == "row" {
                continue;
            }
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            for text in [&panel["title"], &panel["description"], unit] {
                assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{place}");
            }
            assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{place}");
            let uid = panel["datasource"]["uid"].as_str().expect("a data source");
            assert!(source.contains(&format!("uid: {uid}\n")), "{place}: the data source is not provided");
        }
        for expression in expressions(&dashboard) {
            // A JSON string is a YAML string.
            let expression = Value::String(expression);
            file += &format!("  - record: dashboard:expression{count}\n    expr: {expression}\n");
            count += 1;
        }
    }
    assert!(count > 60, "only {count} expressions were found");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dashboards.yml");
    std::fs::write(&path, file).expect("a file");
    let path = path.to_str().expect("text");
    passes("promtool", &["check", "rules", path], "");
}
