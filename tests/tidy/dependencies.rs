//! Who may depend on whom.

use cargo_metadata::{Metadata, MetadataCommand};

use crate::tree;

/// What a crate must never name. docs/ARCHITECTURE.md tells why.
const NEVER: &[(&str, &[&str])] = &[
    ("tds-core", &["sqlx", "reqwest", "axum", "governor", "backoff", "clap", "tds-zoho", "tds-postgres"]),
    ("tds-zoho", &["sqlx", "axum", "clap", "tds-postgres"]),
    ("tds-postgres", &["reqwest", "axum", "clap", "tds-zoho"]),
    ("tds-server", &["sqlx", "governor", "backoff", "wiremock"]),
];

/// Packages that are never published, and may know the whole.
const OUTER: &[&str] = &["tests", "examples", "benches"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(tree::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata")
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
