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

/// Returns the variables that the code reads: whole string literals outside comments.
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
fn the_readme_names_every_example_and_a_test_runs_it() {
    let (manifest, readme) = (tree::read("examples/Cargo.toml"), tree::read("README.md"));
    let examples: Vec<&str> = manifest
        .split("[[example]]")
        .skip(1)
        .filter_map(|section| section.split("name = \"").nth(1)?.split('"').next())
        .collect();
    assert!(examples.len() >= 5, "only {examples:?} were found");
    let tests = tree::read("examples/tests.rs");
    for example in examples {
        assert!(readme.contains(&format!("`{example}`")), "README.md does not name {example}");
        assert!(tests.contains(&format!("printed(\"{example}\")")), "no test runs {example}");
    }
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

/// Returns the default values that the table of docs/configuration.md gives, if a row has one variable and a value.
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

/// Names in documents that belong to other programs: an extension and a directory of PostgreSQL, a directive of nginx, and
/// a field of Docker.
const FOREIGN: [&str; 4] = ["pg_stat_statements", "pg_wal", "sub_filter", "OOMKilled"];

/// Returns the code spans of a document, without its code blocks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(str::lines).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Returns the parts of a code span that looks like Rust names, such as `Queue::claim` or `is_settled`.
fn rust_names(span: &str) -> Option<Vec<&str>> {
    let names: Vec<&str> = span.trim_end_matches("()").split("::").collect();
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_in_camel_case = |name: &str| {
        name.as_bytes().windows(2).any(|pair| pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase())
    };
    let is_in_snake_case =
        |name: &str| name.contains('_') && name.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_code = names.len() > 1 || is_in_camel_case(span) || is_in_snake_case(span);
    (is_code && names.iter().all(is_name)).then_some(names)
}

/// Returns true for the path of a file or directory from the root, or for its end.
fn is_path(span: &str) -> bool {
    let roots = [
        "tds-core/",
        "tds-zoho/",
        "tds-postgres/",
        "tds-server/",
        "tests/",
        "examples/",
        "benches/",
        "docs/",
    ];
    let is_plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    let is_file = [".rs", ".sql", ".md"].iter().any(|ending| span.ends_with(ending));
    is_plain
        && !span.starts_with('/')
        && (is_file || span.ends_with('/') || roots.iter().any(|root| span.starts_with(root)))
}

#[test]
fn what_the_documents_name_is_in_the_repository() {
    let files = tree::text_files();
    let (documents, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.path.ends_with(".md"));
    let separates = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words: BTreeSet<&str> =
        others.iter().flat_map(|file| file.text.split(separates)).chain(FOREIGN).collect();
    let exists = |path: &str| {
        let (name, within) =
            (format!("/{}", path.trim_end_matches('/')), format!("/{}/", path.trim_end_matches('/')));
        files
            .iter()
            .map(|file| format!("/{}", file.path))
            .any(|file| file.ends_with(&name) || file.contains(&within))
    };
    let (mut checked, mut unknown) = (0, BTreeSet::new());
    for document in documents.iter().filter(|file| !file.path.contains("/data/")) {
        for span in code_spans(&document.text) {
            let is_there = if is_path(span) {
                exists(span)
            } else if let Some(names) = rust_names(span) {
                names.iter().all(|name| words.contains(name))
            } else {
                continue;
            };
            checked += 1;
            if !is_there {
                unknown.insert(format!("{}: `{span}`", document.path));
            }
        }
    }
    assert!(checked > 300, "only {checked} names were found in the documents");
    assert!(unknown.is_empty(), "nothing in the repository has these names: {unknown:#?}");
}

#[test]
fn the_commands_of_the_readme_exist() {
    let readme = tree::read("README.md");
    let script = tree::read("dev");
    for command in ["demo", "test", "check", "bench"] {
        assert!(readme.contains(&format!("./dev {command}")), "the README does not mention ./dev {command}");
        assert!(script.contains(&format!("    {command})")), "dev has no command {command}");
    }
}
