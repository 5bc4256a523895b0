//! What the documents promise, as far as it can be checked without running anything.

use std::collections::BTreeSet;

use crate::tree;

/// The variables that a text names: upper-case words with the prefixes that TDS reads.
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

/// The variables that the code reads: whole string literals, comments left out.
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
