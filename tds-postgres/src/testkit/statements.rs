//! The statements of the store for other drivers, which measure the cost of the statements alone.

use crate::queue::{claim::CLAIM, settle::COMPLETE};

/// Returns a script for pgbench (`-M prepared`). The script claims a batch of items without waiters and settles the
/// batch as unchanged. It uses the same two statements as a worker.
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

/// Replaces the parameters by values. pgbench would take the colons in a time for variables, but no value is a time.
fn fill(statement: &str, values: &[&str]) -> String {
    let mut text = statement.trim().to_owned();
    for (index, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    text
}
