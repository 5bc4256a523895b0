//! Rules for source files.

use crate::tree::{self, TextFile};

/// A file has one subject and about 100 to 200 lines. At least half of the files are no longer than this.
const USUAL: usize = 200;
/// A longer file is reported for a review.
const LONG: usize = 500;

/// The examples that implement a trait of the engine, each with its largest number of lines. An example that needs more
/// lines shows that the trait asks for too much.
const EXAMPLES: &[(&str, usize)] =
    &[("custom_handler.rs", 60), ("custom_source.rs", 100), ("custom_store.rs", 150)];

/// Endings of names that say how a file was split, not what it contains.
const NAMELESS: &[&str] = &["_sql.rs", "_row.rs", "_page.rs", "/utils.rs"];

/// Patterns that must not occur in any source file. They are concatenated here, so that this file does not contain
/// them.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
    concat!("FIX", "ME"),
    concat!("TO", "DO:"),
];

/// The beginnings of SQL statements.
const SQL: &[&str] = &[
    concat!("SELECT", " "),
    concat!("INSERT", " INTO "),
    concat!("DELETE", " FROM "),
    concat!("UPDATE", " tds_"),
    concat!("UPDATE", " erp."),
    concat!("CREATE", " TABLE "),
    concat!("DROP", " "),
];

fn offences(files: &[TextFile], patterns: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let comment = ["//", "--"].iter().any(|mark| line.trim_start().starts_with(mark));
            if !comment && patterns.iter().any(|pattern| line.contains(pattern)) {
                found.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

/// No single file is refused because of its length, so that a subject can stay in one file.
#[test]
fn files_have_a_usual_length_and_long_ones_are_reported() {
    let mut files: Vec<(usize, String)> =
        tree::rust_files().into_iter().map(|file| (file.text.lines().count(), file.path)).collect();
    files.sort();
    let at = |percent: usize| files[(files.len() - 1) * percent / 100].0;
    println!("{} files: median {} lines, p90 {}", files.len(), at(50), at(90));
    for (lines, path) in files.iter().rev().take_while(|(lines, _)| *lines > LONG) {
        println!("warning: {path} has {lines} lines: is it one thought?");
    }
    assert!(at(50) <= USUAL, "half of the files are longer than {} lines", at(50));
}

#[test]
fn the_examples_of_the_traits_are_short() {
    for (file, most) in EXAMPLES {
        let lines = tree::read(&format!("examples/{file}")).lines().count();
        assert!(lines <= *most, "examples/{file} has {lines} lines, and {most} are allowed");
    }
}

#[test]
fn files_are_named_by_what_is_in_them() {
    let cut = |path: &String| NAMELESS.iter().any(|ending| path.ends_with(ending));
    let found: Vec<String> = tree::rust_files().into_iter().map(|file| file.path).filter(cut).collect();
    assert!(found.is_empty(), "named by how they were cut: {found:#?}");
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    let found = offences(&tree::rust_files(), UNFINISHED);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn sql_stands_in_the_store_and_in_tests_only() {
    let elsewhere = ["tds-core/src/", "tds-zoho/src/", "tds-server/src/"];
    let files: Vec<_> = tree::rust_files()
        .into_iter()
        .filter(|file| elsewhere.iter().any(|crate_path| file.path.starts_with(crate_path)))
        .collect();
    let found = offences(&files, SQL);
    assert!(found.is_empty(), "{found:#?}");
}

/// The server puts the hints of the other crates into words.
#[test]
fn only_the_server_names_its_commands_and_variables() {
    let names = ["tds-server", "TDS_", "ZOHO_", "DATABASE_URL", "ENCRYPTION_KEY", "PG_BIN_DIR"];
    let product = |file: &TextFile| {
        ["tds-core/", "tds-zoho/", "tds-postgres/"].iter().any(|of_crate| file.path.starts_with(of_crate))
            && ["/src/", "/sql/", "/migrations/"].iter().any(|place| file.path.contains(place))
            && !file.path.contains("/testkit")
    };
    let files: Vec<_> = tree::text_files().into_iter().filter(product).collect();
    let found = offences(&files, &names);
    assert!(files.iter().any(|file| file.path.ends_with(".sql")) && found.is_empty(), "{found:#?}");
}

/// The server has a variable for every value of an adapter's `Setting`, and for no other text.
#[test]
fn the_hints_of_the_adapters_name_settings_and_no_free_text() {
    let mut free = Vec::new();
    for file in tree::rust_files() {
        let is_tested_only = ["/testkit", "/tests"].iter().any(|place| file.path.contains(place));
        if is_tested_only
            || !["tds-zoho/src/", "tds-postgres/src/"].iter().any(|of| file.path.starts_with(of))
        {
            continue;
        }
        for (at, found) in file.text.match_indices("Hint::Settings(") {
            let argument: String = file.text[at + found.len()..].chars().take_while(|c| *c != ';').collect();
            if argument.contains("&[\"") {
                free.push(format!("{}: {argument}", file.path));
            }
        }
    }
    assert!(free.is_empty(), "{free:#?}");
}

#[test]
fn every_select_of_the_engine_is_biased_so_that_a_simulation_replays() {
    let mut unbiased = Vec::new();
    for file in tree::rust_files().into_iter().filter(|file| file.path.starts_with("tds-core/src/")) {
        for (number, pair) in file.text.lines().collect::<Vec<_>>().windows(2).enumerate() {
            if pair[0].contains(concat!("select", "! {")) && pair[1].trim() != "biased;" {
                unbiased.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    assert!(unbiased.is_empty(), "tokio picks a branch by chance: {unbiased:#?}");
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let mut found = offences(&tree::rust_files(), &[concat!("#[", "allow("), concat!("#![", "allow(")]);
    // A module that several test binaries share is used only in part by each, so `#[expect]` would fail in some of
    // them.
    found.retain(|offence| !offence.contains("/support/") || !offence.contains("dead_code, reason"));
    assert!(found.is_empty(), "use #[expect(lint, reason = \"...\")]: {found:#?}");
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    let root = tree::root();
    let mut needles = vec![root.to_string_lossy().into_owned()];
    needles.extend(std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| format!("{home}/")));
    // A checkout directly below `/` has a name that is too short to be searched for.
    needles.retain(|needle| needle.trim_matches('/').len() > 3);
    let found: Vec<_> = tree::text_files()
        .into_iter()
        .filter(|file| needles.iter().any(|needle| file.text.contains(needle.as_str())))
        .map(|file| file.path)
        .collect();
    assert!(found.is_empty(), "{found:#?} name one of {needles:?}");
}
