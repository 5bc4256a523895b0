//! The pairing of child rows: which rows of the base, the target and the source are the same row.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    mirror::{IDENTITIES, identifies, text},
    record::{Fields, same_value},
};

/// The column with the place of a row among the rows of its record. The place is no part of what a row says.
pub(super) const POSITION: &str = "position";

/// The column with the id that the source gives a row.
pub(super) const LINE_ID: &str = "line_zoho_id";

/// The column with the local id of a row.
const LOCAL_ID: &str = "id";

/// The rows of the base, the target and the source, by a key that the same row has in all of them.
pub(super) struct Pairs<'a> {
    pub(super) base: BTreeMap<String, &'a Fields>,
    pub(super) target: BTreeMap<String, &'a Fields>,
    pub(super) source: BTreeMap<String, &'a Fields>,
    /// The keys in the order of the rows: those of the source first, then what only the target has, then what only the
    /// base has.
    pub(super) order: Vec<String>,
    /// The column by which the rows were paired. The source gives its values.
    pub(super) identity: Option<&'static str>,
}

/// The rows of one side with their keys, in the order of the rows.
type Keyed<'a> = Vec<(String, &'a Fields)>;

/// The columns that count when rows are compared.
pub(super) type Counts<'a> = &'a dyn Fn(&str) -> bool;

/// Pairs rows by the first column that distinguishes all rows of each side. Without such a column, equal rows are the same
/// row, and the others are the same in their order. Rows that the source has not seen yet have no id of the source: such a
/// row is the same as a new row of the source that shows the same values.
///
/// Values that the source derives must not count: a new row of the target has them in its own spelling or not at all.
pub(super) fn pair<'a>(
    base: &'a [Fields],
    target: &'a [Fields],
    source: &'a [Fields],
    counts: Counts<'_>,
) -> Pairs<'a> {
    let identity = identity(base, target, source);
    let (base, source, mut known, new) = match identity {
        Some(column) => {
            let ids = |rows: &'a [Fields]| -> Keyed<'a> {
                rows.iter().map(|row| (text(value(row, column)), row)).collect()
            };
            let (new, known): (Vec<&Fields>, Vec<&Fields>) =
                target.iter().partition(|row| value(row, column).is_null());
            let known = known.into_iter().map(|row| (text(value(row, column)), row)).collect();
            (ids(base), ids(source), known, new)
        }
        None => {
            let base = numbered("#", base.iter().collect());
            let (theirs, ours) = (Side::of(&base, source, counts), Side::of(&base, target, counts));
            let (mut theirs, added, mut ours, new) = pair_rest(theirs, ours, counts);
            theirs.extend(numbered("+", added));
            in_order_of(source, &mut theirs);
            in_order_of(target, &mut ours);
            (base, theirs, ours, new)
        }
    };
    let mut number = 0;
    for row in new {
        let is_free = |key: &String, rows: &Keyed<'a>| rows.iter().all(|(other, _)| other != key);
        let same = source
            .iter()
            .find(|(key, theirs)| is_free(key, &known) && is_free(key, &base) && shows(row, theirs, counts));
        let key = same.map_or_else(
            || {
                number += 1;
                format!("new {number}")
            },
            |(key, _)| key.clone(),
        );
        known.push((key, row));
    }
    in_order_of(target, &mut known);
    let mut order: Vec<String> = Vec::new();
    for (key, _) in source.iter().chain(&known).chain(&base) {
        if !order.contains(key) {
            order.push(key.clone());
        }
    }
    let by_key = |rows: Keyed<'a>| rows.into_iter().collect();
    Pairs { base: by_key(base), target: by_key(known), source: by_key(source), order, identity }
}

/// Returns the column that distinguishes the rows of each side. Rows of the target may be new, so their ids need not be
/// complete.
pub(crate) fn identity(base: &[Fields], target: &[Fields], source: &[Fields]) -> Option<&'static str> {
    let all = |rows: &[Fields], column: &str| identifies(column, &rows.iter().collect::<Vec<_>>());
    let is_seen = !base.is_empty() || !source.is_empty();
    IDENTITIES.into_iter().filter(|column| *column != POSITION).find(|column| {
        let seen: Vec<&Fields> = target.iter().filter(|row| !value(row, column).is_null()).collect();
        all(base, column)
            && all(source, column)
            && identifies(column, &seen)
            && (is_seen || seen.len() == target.len())
    })
}

fn numbered<'a>(name: &str, rows: Vec<&'a Fields>) -> Keyed<'a> {
    rows.into_iter().enumerate().map(|(index, row)| (format!("{name}{}", index + 1), row)).collect()
}

/// The rows of a side without identities, while they are paired with those of the base.
struct Side<'a> {
    /// The rows that the base has.
    found: Keyed<'a>,
    /// The rows that the base does not have as they are.
    rest: Vec<&'a Fields>,
    /// The rows of the base that the side does not have as they are.
    free: Vec<String>,
}

impl<'a> Side<'a> {
    fn of(base: &Keyed<'a>, rows: &'a [Fields], counts: Counts<'_>) -> Self {
        let mut free: Vec<&(String, &Fields)> = base.iter().collect();
        let (mut found, mut rest) = (Vec::new(), Vec::new());
        for row in rows {
            match free.iter().position(|(_, before)| are_equal(before, row, counts)) {
                Some(index) => found.push((free.remove(index).0.clone(), row)),
                None => rest.push(row),
            }
        }
        Self { found, rest, free: free.into_iter().map(|(key, _)| key.clone()).collect() }
    }

    /// Takes the other rows for those of the base in their order. Returns the rows of the base, and those that are new.
    fn changed(mut self) -> (Keyed<'a>, Vec<&'a Fields>) {
        let new = self.rest.split_off(self.free.len().min(self.rest.len()));
        self.found.extend(self.free.into_iter().zip(self.rest));
        (self.found, new)
    }
}

/// Pairs the rows that the base does not have as they are: those that both sides have first, because one side may have
/// them from the other.
fn pair_rest<'a>(
    mut theirs: Side<'a>,
    mut ours: Side<'a>,
    counts: Counts<'_>,
) -> (Keyed<'a>, Vec<&'a Fields>, Keyed<'a>, Vec<&'a Fields>) {
    let (mut both, mut rest) = (0, Vec::new());
    for row in ours.rest {
        let Some(index) = theirs.rest.iter().position(|other| shows(row, other, counts)) else {
            rest.push(row);
            continue;
        };
        both += 1;
        let key = format!("={both}");
        theirs.found.push((key.clone(), theirs.rest.remove(index)));
        ours.found.push((key, row));
    }
    ours.rest = rest;
    let ((theirs, added), (ours, new)) = (theirs.changed(), ours.changed());
    (theirs, added, ours, new)
}

/// Sorts keyed rows by their places among the rows of their side.
fn in_order_of(rows: &[Fields], keyed: &mut Keyed<'_>) {
    keyed.sort_by_key(|(_, row)| rows.iter().position(|other| std::ptr::eq(other, *row)));
}

/// Returns true if two rows have the same values in the columns that both of them show.
fn are_equal(one: &Fields, other: &Fields, counts: Counts<'_>) -> bool {
    one.iter().filter(|(name, _)| *name != POSITION && counts(name)).all(|(name, value)| {
        let theirs = other.get(name);
        theirs.is_none_or(|theirs| same_value(value, theirs))
    })
}

/// Returns true if a row of the source has every value that a new row of the target has. Columns that only the target
/// knows, such as its own ids, do not count.
fn shows(row: &Fields, theirs: &Fields, counts: Counts<'_>) -> bool {
    row.iter()
        .filter(|(name, value)| !value.is_null() && *name != POSITION && counts(name))
        .all(|(name, value)| theirs.get(name).is_none_or(|theirs| same_value(value, theirs)))
}

/// Returns true if two rows of the target are the same row: by their local id or, without one, by what they say.
pub(super) fn same_row(one: &Fields, other: &Fields, counts: Counts<'_>) -> bool {
    match (value(one, LOCAL_ID), value(other, LOCAL_ID)) {
        (Value::Null, _) | (_, Value::Null) => are_equal(one, other, counts),
        (one, other) => one == other,
    }
}

fn value<'a>(row: &'a Fields, column: &str) -> &'a Value {
    row.get(column).unwrap_or(&Value::Null)
}
