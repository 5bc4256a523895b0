//! The pairing of child rows: which rows of the base, the target and the source are the same row.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    mirror::{IDENTITIES, identifies, text},
    record::{Fields, same_value},
};

/// The rows of the base, the target and the source, by a key that the same row has in all of them.
pub(super) struct Pairs<'a> {
    pub(super) base: BTreeMap<String, &'a Fields>,
    pub(super) target: BTreeMap<String, &'a Fields>,
    pub(super) source: BTreeMap<String, &'a Fields>,
    /// The keys in the order of the rows: those of the source first, then what only the target has.
    pub(super) order: Vec<String>,
}

/// Pairs rows by the first column that distinguishes all rows of each side. Rows that the source has not seen yet have no
/// id of the source: such a row is the same as a new row of the source that shows the same values.
pub(super) fn pair<'a>(base: &'a [Fields], target: &'a [Fields], source: &'a [Fields]) -> Pairs<'a> {
    let seen = |rows: &'a [Fields], column: &str| -> Vec<&'a Fields> {
        rows.iter().filter(|row| !value(row, column).is_null()).collect()
    };
    let all: Vec<&Fields> = base.iter().chain(source).collect();
    // Rows of the target may be new, so their ids need not be complete.
    let identity = IDENTITIES.into_iter().find(|column| {
        identifies(column, &base.iter().collect::<Vec<_>>())
            && identifies(column, &source.iter().collect::<Vec<_>>())
            && identifies(column, &seen(target, column))
            && (!all.is_empty() || target.iter().all(|row| !value(row, column).is_null()))
    });
    let keyed = |rows: &'a [Fields]| -> (BTreeMap<String, &'a Fields>, Vec<&'a Fields>) {
        let (mut known, mut new) = (BTreeMap::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            match identity.map(|column| value(row, column)) {
                None => drop(known.insert(format!("#{}", index + 1), row)),
                Some(Value::Null) => new.push(row),
                Some(id) => drop(known.insert(text(id), row)),
            }
        }
        (known, new)
    };
    let ((base, _), (mut target_rows, new), (source_rows, _)) = (keyed(base), keyed(target), keyed(source));
    let mut order: Vec<String> = source
        .iter()
        .enumerate()
        .map(|(index, row)| {
            identity.map_or_else(|| format!("#{}", index + 1), |column| text(value(row, column)))
        })
        .collect();
    let mut taken: BTreeSet<String> = target_rows.keys().cloned().collect();
    for (index, row) in new.into_iter().enumerate() {
        let is_same = |key: &&String| {
            !taken.contains(*key)
                && !base.contains_key(*key)
                && source_rows.get(*key).is_some_and(|theirs| shows(row, theirs, identity))
        };
        let key = order.iter().find(is_same).cloned().unwrap_or_else(|| format!("new {}", index + 1));
        taken.insert(key.clone());
        target_rows.insert(key, row);
    }
    let known: BTreeSet<String> = order.iter().cloned().collect();
    order.extend(target_rows.keys().chain(base.keys()).filter(|key| !known.contains(*key)).cloned());
    let mut listed = BTreeSet::new();
    order.retain(|key| listed.insert(key.clone()));
    Pairs { base, target: target_rows, source: source_rows, order }
}

/// Returns true if a row of the source has every value that a new row of the target has. Columns that only the target
/// knows, such as its own ids, do not count.
fn shows(row: &Fields, theirs: &Fields, identity: Option<&str>) -> bool {
    let counts = |name: &str, value: &Value| {
        !value.is_null() && Some(name) != identity && name != "position" && theirs.contains_key(name)
    };
    row.iter()
        .filter(|(name, value)| counts(name, value))
        .all(|(name, value)| same_value(value, &theirs[name]))
}

fn value<'a>(row: &'a Fields, column: &str) -> &'a Value {
    row.get(column).unwrap_or(&Value::Null)
}
