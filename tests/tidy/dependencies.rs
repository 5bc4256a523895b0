//! Rules about which package may depend on which.

use std::{collections::BTreeMap, process::Command};

use cargo_metadata::{Metadata, MetadataCommand};

use crate::tree;

/// The packages that each crate must never name. docs/ARCHITECTURE.md gives the reasons.
const NEVER: &[(&str, &[&str])] = &[
    ("tds-core", &["sqlx", "reqwest", "axum", "governor", "backoff", "clap", "tds-zoho", "tds-postgres"]),
    ("tds-zoho", &["sqlx", "axum", "clap", "tds-postgres"]),
    ("tds-postgres", &["reqwest", "axum", "clap", "tds-zoho"]),
    ("tds-server", &["sqlx", "governor", "backoff", "wiremock", "mockall"]),
];

/// Crates for tests.
const FOR_TESTS: &[&str] = &["wiremock", "mockall", "proptest", "insta", "tempfile", "criterion"];

/// Packages that are never published and may depend on every crate.
const OUTER: &[&str] = &["tests", "examples", "benches"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(tree::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata")
}

/// Returns the packages of the program, each with the features that it is built with. `cargo metadata` would report
/// the features of the whole workspace together, in which the tests enable more.
fn tree_of_the_program(arguments: &[&str]) -> BTreeMap<String, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--package", "tds-server", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}\t{f}"])
        .args(arguments)
        .current_dir(tree::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let packages: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(package, features)| {
            Some((package.split_whitespace().next()?.to_owned(), features.replace(" (*)", "")))
        })
        .collect();
    assert!(packages.contains_key("tds-core") && packages.len() > 100, "{packages:?}");
    packages
}

#[test]
fn the_program_has_no_crate_for_tests_in_it() {
    let packages = tree_of_the_program(&[]);
    let found: Vec<_> = FOR_TESTS.iter().filter(|name| packages.contains_key(**name)).collect();
    assert!(found.is_empty(), "cargo tree -e normal -p tds-server shows {found:?}");
}

#[test]
fn the_program_has_one_crypto_provider() {
    let packages = tree_of_the_program(&[]);
    let providers: Vec<_> =
        ["ring", "aws-lc-rs", "openssl"].into_iter().filter(|name| packages.contains_key(*name)).collect();
    assert_eq!(providers, ["aws-lc-rs"]);
}

#[test]
fn the_private_cluster_and_the_simulation_can_be_left_out_of_the_program() {
    for (is_default, arguments) in [(true, &[][..]), (false, &["--no-default-features"][..])] {
        let packages = tree_of_the_program(arguments);
        let has = |package: &str, feature: &str| packages[package].split(',').any(|found| found == feature);
        assert_eq!(has("tds-postgres", "embedded"), is_default, "{packages:?}");
        assert_eq!(has("tds-zoho", "sim"), is_default, "{packages:?}");
        assert!(!has("tds-core", "testkit") && !has("tds-core", "memory"), "{packages:?}");
    }
}

#[test]
fn no_crate_names_what_it_must_not_know() {
    let metadata = metadata();
    for (name, never) in NEVER {
        let package = metadata.packages.iter().find(|package| package.name == *name).expect("a member");
        let named: Vec<_> = package
            .dependencies
            .iter()
            .filter(|dependency| never.contains(&dependency.name.as_str()))
            .map(|dependency| dependency.name.as_str())
            .collect();
        assert!(named.is_empty(), "{name} must not depend on {named:?}");
    }
}

#[test]
fn only_tests_examples_and_benches_depend_on_the_server() {
    for package in metadata().packages {
        let depends = package.dependencies.iter().any(|dependency| dependency.name == "tds-server");
        assert!(!depends || OUTER.contains(&package.name.as_str()), "{} depends on tds-server", package.name);
    }
}

#[test]
fn the_outer_packages_are_private_and_have_no_library() {
    for package in metadata().packages.iter().filter(|package| OUTER.contains(&package.name.as_str())) {
        assert_eq!(package.publish, Some(Vec::new()), "{} may not be published", package.name);
        assert!(!package.targets.iter().any(|target| target.is_lib()), "{} has a library", package.name);
    }
}

#[test]
fn versions_of_dependencies_stand_in_the_root_only() {
    for package in metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("readable manifest");
        let mut in_dependencies = false;
        for line in manifest.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                in_dependencies = section.contains("dependencies]");
            } else if in_dependencies && line.contains('=') {
                let inherited = line.contains("workspace = true") || line.contains("path = \".\"");
                assert!(inherited && !line.contains("version"), "{}: {line}", package.name);
            }
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("readable manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", package.name);
    }
}
