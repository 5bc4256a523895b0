//! Tests what the documents say about the command line and about the entity types.

use std::{collections::BTreeSet, fs, path::Path};

use tds_zoho::entities::Catalogue;

use crate::program::Program;

fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    fs::read_to_string(root.join(path)).expect("a document")
}

#[tokio::test]
async fn every_subcommand_is_documented() {
    let help = Program::new().done(&["--help"]).await;
    let documented = document("docs/configuration.md");
    let commands = help.split("Commands:").nth(1).expect("a list").split("\n\n").next().expect("its lines");
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 14, "{names:?}");
    for name in names {
        assert!(documented.contains(&format!("`{name}")), "docs/configuration.md does not name {name}");
    }
}

#[tokio::test]
async fn every_documented_variable_has_a_flag_on_serve() {
    let help = Program::new().done(&["serve", "--help"]).await;
    let example = document(".env.example");
    let variables = example.lines().map(|line| line.trim_start_matches('#')).filter_map(|line| {
        let (name, _) = line.split_once('=')?;
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_').then_some(name)
    });
    for variable in variables {
        assert!(help.contains(&format!("<{variable}>")), "serve has no flag for {variable}");
    }
}

#[test]
fn the_setup_of_zoho_names_the_scope_and_the_ids_of_every_entity_type() {
    let (setup, catalogue) = (document("docs/zoho-setup.md"), Catalogue::default());
    for descriptor in catalogue.iter() {
        assert!(setup.contains(descriptor.scope), "docs/zoho-setup.md lacks {}", descriptor.scope);
        for (_, key) in descriptor.envelopes {
            assert!(setup.contains(&format!("`{key}`")), "docs/zoho-setup.md lacks the parameter {key}");
        }
    }
}

#[test]
fn the_setup_of_zoho_lists_the_webhooks_of_every_entity_type() {
    let setup = document("docs/zoho-setup.md");
    let addresses = setup.lines().filter_map(|line| {
        let (_, address) = line.strip_prefix("| ")?.split_once("/api/zoho/webhooks/")?;
        address.strip_suffix("` |")
    });
    // Zoho has no rules for price lists.
    let paths = Catalogue::default().webhook_paths().into_iter().filter(|path| *path != "prices");
    assert_eq!(addresses.collect::<BTreeSet<_>>(), paths.collect::<BTreeSet<_>>());
}

#[test]
fn the_readme_lists_the_entity_types() {
    let readme = document("README.md");
    let list = readme.lines().find(|line| line.starts_with("TDS writes ")).expect("the list");
    for descriptor in Catalogue::default().iter() {
        let name = descriptor.schema.head.unwrap_or(descriptor.name()).replace('_', " ");
        assert!(list.contains(&name), "README.md does not list {name}");
    }
}
