//! Tests what the documents say about the command line.

use std::{fs, path::Path};

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
