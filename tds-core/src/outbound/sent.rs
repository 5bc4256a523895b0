//! What writes have sent whose answers did not arrive. The source may show it as a change, and it is our own.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    FieldConflict, LocalRecord,
    pairs::{Counts, LINE_ID, POSITION, identity, same_row},
};
use crate::record::{Fields, Record, same_value};

/// Columns of the head row and rows of child tables of one record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// The columns of the head row.
    pub fields: Fields,
    /// The rows of child tables, by table.
    pub children: BTreeMap<String, Vec<Fields>>,
}

impl Values {
    /// Leaves out the columns and child tables that the function returns false for.
    #[must_use]
    pub fn only(mut self, is_kept: impl Fn(&str) -> bool) -> Self {
        self.fields.retain(|name, _| is_kept(name));
        self.children.retain(|name, _| is_kept(name));
        self
    }

    /// Returns true if there is a value of a column or a child table.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.children.contains_key(name)
    }

    /// Returns true if there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.children.is_empty()
    }
}

/// What one write sent, as the target had it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The write creates the record.
    pub creates: bool,
    /// It is not known what was sent: the database was restored, and these are the values that the target had then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guessed: bool,
    /// The columns and child tables. Rows have the local columns as well that the source does not take.
    pub values: Values,
}

/// A write that is about to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    /// What is sent.
    pub sent: Sent,
    /// The conflicts that were decided. After the write, what lost is nowhere else.
    pub conflicts: Vec<FieldConflict>,
}

impl Sent {
    /// The number of writes of one push that are remembered.
    pub const MOST: usize = 8;

    /// Returns what a write of these columns and child tables sends; `None`: a create, which sends all.
    pub(crate) fn of(record: &LocalRecord, names: Option<&BTreeSet<String>>) -> Self {
        let all = Values { fields: record.fields.clone(), children: record.children.clone() };
        let values = all.only(|name| names.is_none_or(|names| names.contains(name)));
        Self { creates: names.is_none(), guessed: false, values }
    }

    /// Returns what a create may have sent that the target knows nothing of.
    pub(crate) fn guessed(record: &LocalRecord) -> Self {
        Self { guessed: true, ..Self::of(record, None) }
    }

    /// Returns the record as it was when it was sent.
    pub(crate) fn in_place_of(&self, record: &LocalRecord) -> LocalRecord {
        let Values { fields, children } = self.values.clone();
        LocalRecord { fields, children, ..record.clone() }
    }

    /// Returns what is remembered of writes after a push has ended in which these columns and child tables were withheld:
    /// about the others, both sides agree.
    #[must_use]
    pub fn about(writes: &[Self], is_withheld: impl Fn(&str) -> bool) -> Vec<Self> {
        let about = |sent: &Self| Self {
            creates: false,
            guessed: false,
            values: sent.values.clone().only(&is_withheld),
        };
        writes.iter().map(about).filter(|sent| !sent.values.is_empty()).collect()
    }

    /// Adds a write to those that are remembered. A write that says the same as an earlier one is no other write.
    pub fn remember(self, writes: &mut Vec<Self>) {
        if self.values.is_empty() || writes.contains(&self) {
            return;
        }
        writes.push(self);
        if writes.len() > Self::MOST {
            // As long as a create is among them, the record may be unfinished.
            writes.remove(writes.iter().position(|sent| !sent.creates).unwrap_or(0));
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
    let versions: Vec<&Fields> = writes.iter().rev().map(|sent| &sent.values.fields).collect();
    recognize_columns(&versions, &mut base.fields, (Some(&local.fields), &remote.fields));
    for (table, shown) in &remote.children {
        let counts = |column: &str| is_taken(&format!("{table}.{column}"));
        let Some(before) = base.children.get_mut(table) else { continue };
        let mut nobody = Vec::new();
        let target = local.children.get_mut(table).unwrap_or(&mut nobody);
        let sent: Vec<&[Fields]> = writes
            .iter()
            .rev()
            .filter_map(|sent| Some(sent.values.children.get(table)?.as_slice()))
            .collect();
        recognize_rows(&sent, (before, target, shown), &counts);
        let created =
            writes.iter().find(|sent| sent.creates).and_then(|sent| sent.values.children.get(table));
        if let Some(created) = created
            && before.is_empty()
            && !shown.is_empty()
            && identity(created, target, shown).is_none()
        {
            // A create writes all rows, so rows without ids that the source shows differently were changed there.
            before.clone_from(created);
        }
    }
    (base, local)
}

/// Recognizes the rows that these writes sent, newest first.
fn recognize_rows<'a>(
    writes: &[&'a [Fields]],
    (base, target, shown): (&mut Vec<Fields>, &mut Vec<Fields>, &[Fields]),
    counts: Counts<'_>,
) {
    if writes.is_empty() {
        return;
    }
    // The source gives the ids of lines, so a row that was sent with one has been there.
    let has_line_id =
        || writes.iter().copied().flatten().any(|row| !row.get(LINE_ID).is_none_or(Value::is_null));
    let known_by = identity(base, target, shown).or_else(|| has_line_id().then_some(LINE_ID));
    let Some(identity) = known_by else {
        // Without ids, the rows are recognized as a whole or not at all.
        let is_whole = |sent: &&&[Fields]| {
            sent.len() == shown.len()
                && sent.iter().zip(shown).all(|(sent, shown)| shows(sent, shown, counts))
        };
        if writes.iter().any(|sent| is_whole(&sent)) {
            *base = shown.to_vec();
        }
        return;
    };
    let id = |row: &Fields| row.get(identity).filter(|id| !id.is_null()).cloned();
    let mut known: Vec<(Value, &'a Fields)> = Vec::new();
    for sent in writes.iter().copied().flatten() {
        known.extend(id(sent).map(|id| (id, sent)));
    }
    let mut find = |sent: &'a Fields, is_same: fn(&Fields, &Fields, Counts<'_>) -> bool| {
        if known.iter().any(|(_, other)| std::ptr::eq(*other, sent)) {
            return;
        }
        let is_free = |row: &&Fields| {
            let of = id(row);
            base.iter().all(|before| id(before) != of) && known.iter().all(|(id, _)| Some(id) != of.as_ref())
        };
        // Another write of the same row may have had the id, or may have been found.
        let same = known.iter().find(|(_, other)| same_row(sent, other, counts)).map(|(id, _)| id.clone());
        let found = || shown.iter().find(|row| is_free(row) && is_same(sent, row, counts)).and_then(id);
        if let Some(id) = same.or_else(found) {
            known.push((id, sent));
        }
    };
    let new = || writes.iter().copied().flatten().filter(|sent| id(sent).is_none());
    new().chain(new()).for_each(|sent| find(sent, shows));
    // A user of the source may have changed a new row before its answer would have arrived, so a row that resembles one is
    // that row if no row shows all of it.
    new().chain(new()).for_each(|sent| find(sent, resembles));

    for row in target.iter_mut().filter(|row| id(row).is_none()) {
        if let Some((id, _)) = known.iter().find(|(_, sent)| same_row(row, sent, counts)) {
            row.insert(identity.to_owned(), id.clone());
        }
    }
    for of in known.iter().map(|(id, _)| id) {
        let versions: Vec<&Fields> =
            known.iter().filter(|(id, _)| id == of).map(|(_, version)| *version).collect();
        let is_it = |row: &&Fields| id(row).as_ref() == Some(of);
        let (shown, ours) = (shown.iter().find(is_it), target.iter().find(is_it));
        match (base.iter_mut().find(|row| id(row).as_ref() == Some(of)), shown) {
            (Some(before), Some(shown)) => recognize_columns(&versions, before, (ours, shown)),
            (None, Some(shown)) => base.push(as_sent(&versions, (ours, shown))),
            // A user of the source has removed the row since.
            (None, None) if identity == LINE_ID => base.extend(versions.last().map(|first| {
                let mut row = (*first).clone();
                row.insert(identity.to_owned(), of.clone());
                row
            })),
            (_, None) => {}
        }
    }
}

/// Returns a row of the source as it was when it was first sent: with its id and what the source derives. `versions`: the
/// newest comes first.
fn as_sent(versions: &[&Fields], (ours, shown): (Option<&Fields>, &Fields)) -> Fields {
    let mut row = shown.clone();
    if let Some(first) = versions.last() {
        let sent = first.iter().filter(|(name, sent)| shown.contains_key(*name) && !sent.is_null());
        row.extend(sent.map(|(name, sent)| (name.clone(), sent.clone())));
    }
    recognize_columns(versions, &mut row, (ours, shown));
    row
}

/// Recognizes the values that these writes sent. What the target still has as it was sent is the base, so that the source's
/// spelling of it is taken; otherwise the base is what the source shows.
fn recognize_columns(versions: &[&Fields], base: &mut Fields, (ours, shown): (Option<&Fields>, &Fields)) {
    for (column, value) in shown {
        let sent = versions.iter().filter_map(|sent| sent.get(column));
        let mut own = sent.filter(|sent| is_respelled(sent, value)).peekable();
        if own.peek().is_none() {
            continue;
        }
        let ours = ours.and_then(|row| row.get(column));
        let common = own.find(|sent| ours.is_some_and(|ours| same_value(ours, sent))).unwrap_or(value);
        base.insert(column.clone(), common.clone());
    }
}

/// Returns true if a row of the source has every value that was sent, perhaps in its own spelling.
fn shows(sent: &Fields, shown: &Fields, counts: Counts<'_>) -> bool {
    sent.iter()
        .filter(|(name, value)| !value.is_null() && *name != POSITION && counts(name))
        .all(|(name, value)| shown.get(name).is_none_or(|shown| is_respelled(value, shown)))
}

/// Returns true if a row of the source has at least half of the values that were sent.
fn resembles(sent: &Fields, shown: &Fields, counts: Counts<'_>) -> bool {
    let both = sent.iter().filter(|(name, value)| !value.is_null() && *name != POSITION && counts(name));
    let both = both.filter_map(|(name, value)| Some((value, shown.get(name)?)));
    let (same, other): (Vec<_>, Vec<_>) = both.partition(|(sent, shown)| is_respelled(sent, shown));
    !same.is_empty() && same.len() >= other.len()
}

/// Returns true if the source may have made one value out of the other: it rounds amounts to cents, changes spaces and
/// capitals of texts, and adds keys to objects.
pub(crate) fn is_respelled(sent: &Value, shown: &Value) -> bool {
    if same_value(sent, shown) {
        return true;
    }
    match (sent, shown) {
        (Value::Object(sent), Value::Object(shown)) => {
            return sent.iter().all(|(key, sent)| is_respelled(sent, shown.get(key).unwrap_or(&Value::Null)));
        }
        (Value::Array(sent), Value::Array(shown)) if sent.len() == shown.len() => {
            return sent.iter().zip(shown).all(|(sent, shown)| is_respelled(sent, shown));
        }
        _ => {}
    }
    match (number(sent), number(shown)) {
        (Some(sent), Some(shown)) => {
            // Texts can be numbers of any size.
            sent.checked_sub(shown).is_some_and(|difference| difference.abs() <= Decimal::new(5, 3))
        }
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

/// Returns the words of a text. No value counts as an empty text.
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
            (json!({"city": "Basra", "fax": ""}), json!({"city": "BASRA", "address_id": "1"})),
            (json!([{"email": "a@b"}]), json!([{"email": "a@b", "contact_person_id": "1"}])),
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
            (json!({"city": "Basra"}), json!({"city": "Erbil"})),
            (json!([{"email": "a@b"}]), json!([{"email": "a@b"}, {"email": "c@d"}])),
            (json!("-79228162514264337593543950335"), json!("79228162514264337593543950335")),
        ] {
            assert!(!is_respelled(&sent, &shown), "{sent} {shown}");
        }
    }
}
