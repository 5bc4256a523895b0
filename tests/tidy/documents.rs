//! Checks the promises of the documents, as far as this is possible without running anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// Returns the variables that a text names: upper-case words with the prefixes that TDS reads.
fn variables(text: &str) -> BTreeSet<String> {
    let prefixes = ["TDS_", "ZOHO_", "DB_"];
    let names = ["DATABASE_URL", "APP_ENV", "ALLOWED_HOSTS", "RUST_LOG"];
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| {
            names.contains(word) || prefixes.iter().any(|p| word.len() > p.len() && word.starts_with(p))
        })
        .map(str::to_owned)
        .collect()
}

/// Returns the variables that the code reads: whole string literals outside of comments.
fn variables_of_the_code() -> BTreeSet<String> {
    tree::rust_files()
        .iter()
        .filter(|file| file.path.starts_with("tds-server/src/"))
        .flat_map(|file| file.text.lines())
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|literal| variables(literal).contains(*literal))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_example_environment_and_the_documentation_name_the_same_variables() {
    let example = variables(&tree::read(".env.example"));
    let documented = variables(&tree::read("docs/configuration.md"));
    assert!(example.len() > 20, "only {} variables were found", example.len());
    let missing: Vec<_> = example.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?}");
    let missing: Vec<_> = documented.difference(&example).collect();
    assert!(missing.is_empty(), ".env.example lacks {missing:?}");
}

#[test]
fn every_variable_that_the_code_reads_is_documented() {
    let read = variables_of_the_code();
    let documented = variables(&tree::read("docs/configuration.md"));
    assert!(read.len() > 20, "only {read:?} were found in the code");
    let missing: Vec<_> = read.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?}");
}

#[test]
fn every_documented_variable_is_read_by_the_code() {
    let read = variables_of_the_code();
    let documented = variables(&tree::read("docs/configuration.md"));
    let unread: Vec<_> = documented.difference(&read).filter(|name| *name != "RUST_LOG").collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// Returns the default values that the table of docs/configuration.md gives, where a row has one variable and a value.
fn documented_defaults() -> BTreeMap<String, String> {
    let configuration = tree::read("docs/configuration.md");
    let quoted = |cell: &str| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let default = |line: &str| {
        let mut cells = line.trim_start_matches('|').split('|');
        Some((quoted(cells.next()?)?, quoted(cells.next()?)?))
    };
    configuration.lines().filter(|line| line.starts_with("| `")).filter_map(default).collect()
}

#[test]
fn the_example_environment_and_the_help_give_the_documented_defaults() {
    let documented = documented_defaults();
    assert!(documented.len() > 20, "the table of docs/configuration.md is not understood: {documented:?}");
    let example = tree::read(".env.example");
    let of_example = example.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let settings = tree::read("tds-server/src/cli/settings.rs");
    let of_help = settings.lines().filter_map(|line| {
        let literals: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let [_, variable, help] = literals[..] else { return None };
        Some((variable, help.rsplit_once("[default: ")?.1.strip_suffix(']')?))
    });
    let mut given = 0;
    for (variable, value) in of_example.chain(of_help) {
        let Some(default) = documented.get(variable) else { continue };
        assert_eq!(value, default, "the default of {variable}");
        given += 1;
    }
    assert!(given > 40, "only {given} defaults were compared");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for file in tree::text_files().iter().filter(|file| file.path.ends_with(".md")) {
        let directory = tree::root().join(&file.path).parent().expect("a directory").to_owned();
        for target in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            assert!(directory.join(path).exists(), "{}: the link to {target} leads nowhere", file.path);
        }
    }
}

#[test]
fn the_commands_of_the_readme_exist() {
    let readme = tree::read("README.md");
    let script = tree::read("dev");
    for command in ["demo", "test", "check", "bench"] {
        assert!(readme.contains(&format!("./dev {command}")), "the README does not tell of ./dev {command}");
        assert!(script.contains(&format!("    {command})")), "dev has no command {command}");
    }
}
