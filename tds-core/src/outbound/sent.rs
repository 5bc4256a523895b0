//! What writes have sent whose answers did not arrive. The source may show it as a change, and it is our own.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    FieldConflict, LocalRecord,
    pairs::{Counts, POSITION, identity, same_row},
};
use crate::record::{Fields, Record, same_value};

/// The columns and child tables of one write, as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The columns of the head row.
    pub fields: Fields,
    /// The rows of child tables, with the local columns that the source does not take.
    pub children: BTreeMap<String, Vec<Fields>>,
}

/// A write that is about to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    /// The write creates the record.
    pub creates: bool,
    /// What is sent.
    pub sent: Sent,
    /// The conflicts that were decided. After the write, what lost is nowhere else.
    pub conflicts: Vec<FieldConflict>,
}

impl Sent {
    /// The number of writes of one push that are remembered.
    pub const MOST: usize = 8;

    /// Returns what a write of these columns and child tables sends; `None`: of all.
    pub(crate) fn of(record: &LocalRecord, names: Option<&BTreeSet<String>>) -> Self {
        let is_sent = |name: &String| names.is_none_or(|names| names.contains(name));
        let mut sent = Self { fields: record.fields.clone(), children: record.children.clone() };
        sent.fields.retain(|name, _| is_sent(name));
        sent.children.retain(|name, _| is_sent(name));
        sent
    }

    /// Returns the record as it was when it was sent.
    pub(crate) fn in_place_of(&self, record: &LocalRecord) -> LocalRecord {
        LocalRecord { fields: self.fields.clone(), children: self.children.clone(), ..record.clone() }
    }

    /// Adds a write to those that are remembered. A write that says the same as an earlier one is no other write.
    pub fn remember(self, writes: &mut Vec<Self>) {
        if writes.contains(&self) {
            return;
        }
        writes.push(self);
        if writes.len() > Self::MOST {
            writes.remove(0);
        }
    }
}

/// Returns the base and the target's record as they are if these writes have reached the source: what the source shows
/// as one of them sent it is no change of others. `is_taken` returns true if the source takes a column, as
/// [`super::Stance::writable`] does.
pub(crate) fn recognize(
    writes: &[Sent],
    base: &Record,
    local: &LocalRecord,
    remote: &Record,
    is_taken: &dyn Fn(&str) -> bool,
) -> (Record, LocalRecord) {
    let (mut base, mut local) = (base.clone(), local.clone());
    for (column, shown) in &remote.fields {
        let is_own = |sent: &Sent| sent.fields.get(column).is_some_and(|sent| is_respelled(sent, shown));
        if writes.iter().any(is_own) {
            base.fields.insert(column.clone(), shown.clone());
        }
    }
    for (table, shown) in &remote.children {
        let counts = |column: &str| is_taken(&format!("{table}.{column}"));
        let Some(before) = base.children.get_mut(table) else { continue };
        let mut nobody = Vec::new();
        let target = local.children.get_mut(table).unwrap_or(&mut nobody);
        for sent in writes.iter().filter_map(|sent| sent.children.get(table)) {
            recognize_rows(sent, (before, target, shown), &counts);
        }
    }
    (base, local)
}

/// Recognizes the rows that one write sent.
fn recognize_rows(
    sent: &[Fields],
    (base, target, shown): (&mut Vec<Fields>, &mut Vec<Fields>, &[Fields]),
    counts: Counts<'_>,
) {
    let Some(identity) = identity(base, target, shown) else {
        // Without ids, the rows are recognized as a whole or not at all.
        let is_whole = sent.len() == shown.len();
        if is_whole && sent.iter().zip(shown).all(|(sent, shown)| shows(sent, shown, counts)) {
            *base = shown.to_vec();
        }
        return;
    };
    let id = |row: &Fields| row.get(identity).filter(|id| !id.is_null()).cloned();
    for sent in sent {
        if let Some(known) = id(sent) {
            let Some(shown) = shown.iter().find(|row| id(row).as_ref() == Some(&known)) else { continue };
            match base.iter_mut().find(|row| id(row).as_ref() == Some(&known)) {
                Some(before) => recognize_columns(sent, before, shown),
                None => base.push(shown.clone()),
            }
            continue;
        }
        let is_new = |row: &&Fields| base.iter().all(|before| id(before) != id(row));
        let found = shown.iter().find(|row| is_new(row) && shows(sent, row, counts)).cloned();
        let Some(found) = found else { continue };
        let ours = target.iter_mut().filter(|row| id(row).is_none());
        if let Some(ours) = ours.into_iter().find(|row| same_row(row, sent, counts))
            && let Some(id) = id(&found)
        {
            ours.insert(identity.to_owned(), id);
        }
        base.push(found);
    }
}

fn recognize_columns(sent: &Fields, base: &mut Fields, shown: &Fields) {
    for (column, value) in shown {
        if sent.get(column).is_some_and(|sent| is_respelled(sent, value)) {
            base.insert(column.clone(), value.clone());
        }
    }
}

/// Returns true if a row of the source has every value that was sent, perhaps in its own spelling.
fn shows(sent: &Fields, shown: &Fields, counts: Counts<'_>) -> bool {
    sent.iter()
        .filter(|(name, value)| !value.is_null() && *name != POSITION && counts(name))
        .all(|(name, value)| shown.get(name).is_none_or(|shown| is_respelled(value, shown)))
}

/// Returns true if the source may have made one value out of the other: it rounds amounts to cents, and changes spaces
/// and capitals of texts.
fn is_respelled(sent: &Value, shown: &Value) -> bool {
    if same_value(sent, shown) {
        return true;
    }
    match (number(sent), number(shown)) {
        (Some(sent), Some(shown)) => (sent - shown).abs() <= Decimal::new(5, 3),
        (None, None) => match (words(sent), words(shown)) {
            (Some(sent), Some(shown)) => sent == shown,
            _ => false,
        },
        _ => false,
    }
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns the words of a text. Nothing is an empty text.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spellings_of_the_source_are_recognized_and_other_values_are_not() {
        for (sent, shown) in [
            (json!(10.005), json!(10.01)),
            (json!(10.004), json!(10)),
            (json!("10.50"), json!(10.5)),
            (json!(" two  words "), json!("Two words")),
            (json!(null), json!("")),
        ] {
            assert!(is_respelled(&sent, &shown), "{sent} {shown}");
        }
        for (sent, shown) in [
            (json!(10), json!(10.01)),
            (json!(1), json!(2)),
            (json!("a"), json!("b")),
            (json!(1), json!("one")),
            (json!(null), json!(0)),
            (json!(true), json!(false)),
        ] {
            assert!(!is_respelled(&sent, &shown), "{sent} {shown}");
        }
    }
}
