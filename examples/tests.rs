//! Runs the examples as a user does, and compares what they print.

use std::{env, path::PathBuf, process::Command};

/// Returns what an example prints. Cargo builds the examples of this package together with its tests.
fn printed(example: &str) -> String {
    let test = env::current_exe().expect("the path of this program");
    let profile: PathBuf = test.ancestors().nth(2).expect("the directory of the build").to_owned();
    let program = profile.join("examples").join(example).with_extension(env::consts::EXE_EXTENSION);
    let output = Command::new(&program).output().unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo build -p examples --examples` builds it", program.display())
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn quickstart_syncs_three_products_and_applies_an_event() {
    let expected = "full sync completed: 3 of 3 products\n\
                    event 5 accepted\n\
                    1: \"Lamp\" at 25\n\
                    2: \"Chair, oak\" at 95\n\
                    3: \"Table\" at 240\n";
    assert_eq!(printed("quickstart"), expected);
}

#[test]
fn custom_handler_retries_one_note_and_makes_the_other_a_dead_letter() {
    let expected = "note 1, attempt 2: buy paper\n\
                    note 2 is dead_letter the note has no text\n\
                    note 1 is completed \n";
    assert_eq!(printed("custom_handler"), expected);
}

#[test]
fn custom_source_mirrors_changes_and_deletions() {
    let expected = "completed: 4 countries, 0 of them unchanged\n\
                    completed: 4 countries, 2 of them unchanged\n\
                    AT is live: \"Austria\", capital \"Vienna\"\n\
                    CH is live: \"Switzerland\", capital \"Bern\"\n\
                    IQ is deleted: \"Iraq\", capital \"Baghdad\"\n\
                    PT is live: \"Portugal\", capital \"Lisbon\"\n";
    assert_eq!(printed("custom_source"), expected);
}

#[test]
fn custom_store_passes_every_case_of_the_conformance_kit() {
    let printed = printed("custom_store");
    let cases = tds_core::testkit::conformance::cases().len();
    assert_eq!(printed.lines().count(), cases + 1);
    assert_eq!(printed.lines().last(), Some(format!("the store passes all {cases} cases").as_str()));
}

#[test]
fn zoho_to_postgres_mirrors_thirty_products_and_their_stock() {
    let printed = printed("zoho_to_postgres");
    let lines: Vec<&str> = printed.lines().collect();
    let [products, stock, calls] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(products, "products: 30 of 30 records, completed");
    assert!(stock.starts_with("stock: ") && stock.ends_with(" records, completed"), "{stock}");
    assert!(calls.starts_with("Zoho was called "), "{calls}");
}
