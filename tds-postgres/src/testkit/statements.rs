//! The store's own statements for other drivers, which show what they cost by themselves.

use crate::queue::{claim::CLAIM, settle::COMPLETE};

/// A script for pgbench (`-M prepared`): claims a batch of items that nobody waits for, then settles it as unchanged;
/// the same two statements as those of a worker.
#[must_use]
pub fn pgbench_drain(batch: i64) -> String {
    let lanes = [
        &*batch.to_string(),
        "'{0,10,20,30,40,50}'",
        "'{NULL,NULL,NULL,NULL,NULL,NULL}'",
        "'{0,0,0,0,0,0}'",
        "'{10,20,30,40,50,51}'",
        "'bench'",
        "60.0",
    ];
    let columns = [
        ("id", "ids"),
        ("lease_token", "tokens"),
        ("generation", "generations"),
        ("'unchanged'::text", "outcomes"),
    ]
    .map(|(column, name)| format!("COALESCE(array_agg({column})::text, '{{}}') AS {name}"));
    let claim = fill(CLAIM, &lanes);
    [
        format!("SELECT {} FROM ({claim}) AS claimed \\gset", columns.join(", ")),
        fill(COMPLETE, &[":ids", ":tokens", ":generations", ":outcomes"]) + ";",
    ]
    .join("\n")
}

/// Puts values where the parameters are. pgbench would take a time's colons for variables; there are none.
fn fill(statement: &str, values: &[&str]) -> String {
    let mut text = statement.trim().to_owned();
    for (index, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    text
}
