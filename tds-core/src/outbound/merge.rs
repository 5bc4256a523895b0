//! The merge of a push: which fields go to the source, which come from it, and which both sides changed.
//!
//! For each field there are three versions: the last common one (base), the one of the target and the one of the source.
//! If the target has the base's value, the source's value is taken. If the source has the base's value, the target's
//! value is pushed. If both have the same value, there is nothing to do. Otherwise the two sides are in conflict, and the
//! policy of the field decides. Rows of child tables are paired by what identifies them, and merged field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FieldConflict, LocalRecord, Side, pairs::pair};
use crate::{
    mirror::FieldDifference,
    record::{Fields, Record, same_value},
};

/// What the merge goes by.
pub struct Stance<'a> {
    /// The columns and child tables that were changed in the target; `None`: any of them. Without a base, only these are
    /// pushed.
    pub touched: Option<&'a BTreeSet<String>>,
    /// Returns true if the source takes a column or a child table. Others come from the source.
    pub writable: &'a dyn Fn(&str) -> bool,
    /// Decides a conflict: the field, and the value of the source. `None`: a person has to decide.
    pub decide: &'a dyn Fn(&str, &Value) -> Option<Side>,
}

/// The result of a merge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merge {
    /// The columns and child tables to write to the source.
    pub push: BTreeSet<String>,
    /// The columns to write to the target.
    pub take: Fields,
    /// The child tables whose rows are to be replaced in the target.
    pub take_rows: BTreeMap<String, Vec<Fields>>,
    /// The rows of child tables to write to the source.
    pub push_rows: BTreeMap<String, Vec<Fields>>,
    /// The fields that both sides changed.
    pub conflicts: Vec<FieldConflict>,
    /// What the source has and will have, for the columns and child tables to push.
    pub differences: Vec<FieldDifference>,
}

impl Merge {
    /// Returns true if a person has to decide.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        self.conflicts.iter().any(|conflict| conflict.winner.is_none())
    }
}

/// Merges the three versions of a record. Only columns and child tables that the source shows are compared: about others
/// nothing is known.
#[must_use]
pub fn merge(base: Option<&Record>, local: &LocalRecord, remote: &Record, stance: &Stance<'_>) -> Merge {
    let mut merge = Merge::default();
    for (column, source) in &remote.fields {
        let target = local.fields.get(column).unwrap_or(&Value::Null);
        let base = known(base, |base| base.fields.get(column), column, target, source, stance);
        let field = Versions { field: column, base, target, source };
        if !(stance.writable)(column) {
            if !same_value(target, source) {
                merge.take.insert(column.clone(), source.clone());
            }
            continue;
        }
        match field.winner(stance, &mut merge.conflicts) {
            Winner::Nobody => {}
            Winner::Source => drop(merge.take.insert(column.clone(), source.clone())),
            Winner::Target => {
                merge.push.insert(column.clone());
                merge.differences.push(FieldDifference {
                    field: column.clone(),
                    source: source.clone(),
                    target: target.clone(),
                });
            }
        }
    }
    for (table, source) in &remote.children {
        let target = local.children.get(table).map_or(&[][..], Vec::as_slice);
        let before = base.and_then(|base| base.children.get(table)).map(Vec::as_slice);
        merge_rows(table, before, target, source, stance, &mut merge);
    }
    merge
}

/// Returns the base's value of a column. If it is not known, the side that is not known to have changed is taken as the
/// base: the target changed what was touched, unless it has no value.
fn known<'a>(
    base: Option<&'a Record>,
    value: impl Fn(&'a Record) -> Option<&'a Value>,
    column: &str,
    target: &'a Value,
    source: &'a Value,
    stance: &Stance<'_>,
) -> &'a Value {
    let is_touched = || stance.touched.is_none_or(|touched| touched.contains(column));
    base.and_then(value).unwrap_or_else(|| if is_touched() && !target.is_null() { source } else { target })
}

/// The three versions of a field.
struct Versions<'a> {
    field: &'a str,
    base: &'a Value,
    target: &'a Value,
    source: &'a Value,
}

/// The side whose value the other side gets.
enum Winner {
    Nobody,
    Source,
    Target,
}

impl Versions<'_> {
    fn winner(&self, stance: &Stance<'_>, conflicts: &mut Vec<FieldConflict>) -> Winner {
        if same_value(self.target, self.source) {
            return Winner::Nobody;
        }
        if same_value(self.target, self.base) {
            return Winner::Source;
        }
        if same_value(self.source, self.base) {
            return Winner::Target;
        }
        let winner = (stance.decide)(self.field, self.source);
        conflicts.push(FieldConflict {
            field: self.field.to_owned(),
            base: self.base.clone(),
            target: self.target.clone(),
            source: self.source.clone(),
            winner,
        });
        // What waits for a person changes on neither side.
        match winner {
            None => Winner::Nobody,
            Some(Side::Source) => Winner::Source,
            Some(Side::Target) => Winner::Target,
        }
    }
}

/// Merges the rows of a child table. A row that one side added or removed is added or removed on the other, unless the
/// other side changed it.
fn merge_rows<'a>(
    table: &str,
    base: Option<&'a [Fields]>,
    target: &'a [Fields],
    source: &'a [Fields],
    stance: &Stance<'_>,
    merge: &mut Merge,
) {
    let shown: BTreeSet<&str> =
        source.iter().chain(base.into_iter().flatten()).flat_map(Fields::keys).map(String::as_str).collect();
    let is_touched = stance.touched.is_none_or(|touched| touched.contains(table));
    // Without a base, the target's rows count as a whole.
    let base = base.unwrap_or(if is_touched { source } else { target });
    let pairs = pair(base, target, source);
    let (mut to_source, mut to_target) = (Vec::new(), Vec::new());
    let (mut pushes, mut takes) = (false, false);
    for key in &pairs.order {
        let row = |rows: &BTreeMap<String, &'a Fields>| rows.get(key).copied();
        let (before, ours, theirs) = (row(&pairs.base), row(&pairs.target), row(&pairs.source));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            let place = format!("{table}[{key}]");
            let whole =
                |row: Option<&Fields>| row.map_or(Value::Null, |row| Value::Object(only(row, &shown)));
            let (base, target, source) = (whole(before), whole(ours), whole(theirs));
            let versions = Versions { field: &place, base: &base, target: &target, source: &source };
            let winner = if same_row(before, ours, &shown) {
                Winner::Source
            } else if same_row(before, theirs, &shown) {
                Winner::Target
            } else {
                versions.winner(stance, &mut merge.conflicts)
            };
            match winner {
                Winner::Nobody => {
                    to_source.extend(theirs.cloned());
                    to_target.extend(ours.cloned());
                }
                Winner::Source => {
                    takes |= ours.is_some() != theirs.is_some();
                    to_source.extend(theirs.cloned());
                    to_target.extend(theirs.cloned());
                }
                Winner::Target => {
                    pushes |= ours.is_some() != theirs.is_some();
                    to_source.extend(ours.cloned());
                    to_target.extend(ours.cloned());
                    merge.differences.push(FieldDifference { field: place, source, target });
                }
            }
            continue;
        };
        let (mut remote_row, mut local_row) = (ours.clone(), ours.clone());
        for (column, source) in theirs {
            let target = ours.get(column).unwrap_or(&Value::Null);
            let base =
                before.and_then(|row| row.get(column)).unwrap_or(if is_touched { source } else { target });
            let place = format!("{table}[{key}].{column}");
            let is_writable = (stance.writable)(&format!("{table}.{column}"));
            let winner = if is_writable {
                Versions { field: &place, base, target, source }.winner(stance, &mut merge.conflicts)
            } else {
                Winner::Nobody
            };
            match winner {
                // The source keeps its value, and the target its own.
                Winner::Nobody => drop(remote_row.insert(column.clone(), source.clone())),
                Winner::Source => {
                    takes = true;
                    remote_row.insert(column.clone(), source.clone());
                    local_row.insert(column.clone(), source.clone());
                }
                Winner::Target => {
                    pushes = true;
                    let (source, target) = (source.clone(), target.clone());
                    merge.differences.push(FieldDifference { field: place, source, target });
                }
            }
        }
        to_source.push(remote_row);
        to_target.push(local_row);
    }
    if pushes && (stance.writable)(table) {
        merge.push.insert(table.to_owned());
        merge.push_rows.insert(table.to_owned(), to_source);
    }
    if takes {
        merge.take_rows.insert(table.to_owned(), to_target);
    }
}

/// Returns the columns of a row that the source shows.
fn only(row: &Fields, shown: &BTreeSet<&str>) -> Fields {
    row.iter()
        .filter(|(name, _)| shown.contains(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn same_row(one: Option<&Fields>, other: Option<&Fields>, shown: &BTreeSet<&str>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => shown.iter().all(|name| {
            let value = |row: &Fields| row.get(*name).cloned().unwrap_or(Value::Null);
            same_value(&value(one), &value(other))
        }),
        _ => false,
    }
}
