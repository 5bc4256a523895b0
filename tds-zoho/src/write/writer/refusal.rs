//! Refusals: what an operator can do about them, and what they mean for the next attempt.

use tds_core::error::{Error, ErrorKind, Retry};

/// What Zoho's words are about, and what to do. The first line whose words appear decides.
const HINTS: [(&[&str], &str); 6] = [
    (
        &["already exists", "already been taken", "duplicate", "code 1001:", "code 3062:"],
        "another record in Zoho has this name or number: change one of the two",
    ),
    (
        &["auto-generat", "auto generat", "auto-number", "auto number"],
        "turn off the automatic numbers of the module in Zoho, or leave the number empty",
    ),
    (
        &["balance due", "more than", "exceed"],
        "the document was paid or changed in Zoho: compare the amounts, and correct the record",
    ),
    (
        &["cannot be deleted", "used in", "part of", "associated"],
        "other records in Zoho use it: remove those first, or make it inactive or void",
    ),
    (&["inactive", "void", "draft", "status"], "look at its status in Zoho"),
    (&["invalid value", "code 2:", "code 15:"], "correct the value"),
];

/// Returns true for a refusal that the record itself causes.
pub(super) fn is_about_the_record(error: &Error) -> bool {
    error.retry() == Retry::Permanent && matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound)
}

/// Adds to a refusal what it is about and what to do. `creates`: the call creates a record, so that what does not exist
/// is another one.
pub(super) fn explained(error: Error, creates: bool, noun: &str, unique_field: &str) -> Error {
    if !is_about_the_record(&error) {
        return error.context(noun);
    }
    if error.kind() == ErrorKind::NotFound {
        return if creates { refers_to_nothing(&error.context(noun)) } else { error.context(noun) };
    }
    let said = error.to_string().to_lowercase();
    let hint = if said.contains(&unique_field.to_lowercase()) || said.contains("unique-identifier") {
        format!(
            "the module needs the custom field {unique_field}, which refuses duplicates: see docs/zoho-setup.md, \
             section 7"
        )
    } else {
        let known = HINTS.iter().find(|(words, _)| words.iter().any(|words| said.contains(words)));
        known.map_or("correct the record", |(_, hint)| hint).to_owned()
    };
    Error::new(error.kind(), error.retry(), format!("{noun}: {error}; {hint}"))
}

/// Returns the error of a record that refers to one that Zoho does not have.
pub(super) fn refers_to_nothing(error: &Error) -> Error {
    Error::invalid(format!(
        "{error}; it refers to a record that Zoho does not have any more: choose another one"
    ))
}
