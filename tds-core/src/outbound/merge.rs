//! The merge of a push: which fields go to the source, which come from it, and which both sides changed.
//!
//! For each field there are three versions: the last common one (base), the one of the target and the one of the source.
//! If the target has the base's value, the source's value is taken. If the source has the base's value, the target's
//! value is pushed. If both have the same value, there is nothing to do. Otherwise the two sides are in conflict, and the
//! policy of the field decides. Rows of child tables are paired by what identifies them, and merged field by field.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FieldConflict, LocalRecord, Side};
use crate::{
    mirror::FieldDifference,
    record::{Fields, Record, same_value},
};

/// What the merge goes by.
pub struct Stance<'a> {
    /// The columns and child tables that were changed in the target; `None`: any of them. Without a base, only these are
    /// pushed.
    pub touched: Option<&'a BTreeSet<String>>,
    /// Returns true if the source takes a column or a child table. Others come from the source. A column of child rows has
    /// the name of its table before it, such as `invoice_lines.rate`.
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
/// nothing is known. A column that the target's row lacks is not compared either.
///
/// The source changes volatile columns by itself, which is nobody's edit. So a volatile column is only compared if the
/// target changed it, and is never in conflict: the target's value is pushed if the source takes the column.
#[must_use]
pub fn merge(base: Option<&Record>, local: &LocalRecord, remote: &Record, stance: &Stance<'_>) -> Merge {
    let mut merge = Merge::default();
    for (column, source) in &remote.fields {
        let Some(target) = local.fields.get(column) else { continue };
        let base = known(base, |base| base.fields.get(column), column, target, source, stance);
        let versions = Versions { field: column, base, target, source };
        let winner = if (stance.writable)(column) {
            versions.winner(stance, &mut merge.conflicts)
        } else {
            versions.source_wins()
        };
        merge.column(&versions, winner);
    }
    for (column, source) in remote.volatile.iter().filter(|(column, _)| stance.is_touched(column)) {
        let Some(target) = local.fields.get(column) else { continue };
        let before = base.and_then(|base| base.volatile.get(column)).filter(|_| !stance.names(column));
        let versions = Versions { field: column, base: before.unwrap_or(source), target, source };
        let is_changed = !same_value(target, versions.base) && (stance.names(column) || !target.is_null());
        let winner = if (stance.writable)(column) && is_changed {
            versions.target_wins()
        } else {
            versions.source_wins()
        };
        merge.column(&versions, winner);
    }
    for (table, source) in &remote.children {
        let target = local.children.get(table).map_or(&[][..], Vec::as_slice);
        let before = base.and_then(|base| base.children.get(table)).map(Vec::as_slice);
        rows::merge_rows(table, (before, target, source), stance, &mut merge);
    }
    merge
}

/// Returns the base's value of a column. If it is not known, the side that is not known to have changed is taken as the
/// base: the target changed what was touched. If any column may have been touched, those without a value were not.
fn known<'a>(
    base: Option<&'a Record>,
    value: impl Fn(&'a Record) -> Option<&'a Value>,
    column: &str,
    target: &'a Value,
    source: &'a Value,
    stance: &Stance<'_>,
) -> &'a Value {
    let is_changed = || stance.names(column) || stance.is_touched(column) && !target.is_null();
    base.and_then(value).unwrap_or_else(|| if is_changed() { source } else { target })
}

impl Stance<'_> {
    /// Returns true if the target may have changed a column or a child table.
    fn is_touched(&self, name: &str) -> bool {
        self.touched.is_none_or(|touched| touched.contains(name))
    }

    /// Returns true if the target is known to have changed a column or a child table.
    fn names(&self, name: &str) -> bool {
        self.touched.is_some_and(|touched| touched.contains(name))
    }
}

impl Merge {
    /// Notes which side a column of the head row goes to.
    fn column(&mut self, versions: &Versions<'_>, winner: Winner) {
        let column = versions.field.to_owned();
        match winner {
            Winner::Nobody => {}
            Winner::Source => drop(self.take.insert(column, versions.source.clone())),
            Winner::Target => {
                self.push.insert(column);
                self.differences.push(versions.difference());
            }
        }
    }
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
    fn source_wins(&self) -> Winner {
        if same_value(self.target, self.source) { Winner::Nobody } else { Winner::Source }
    }

    fn target_wins(&self) -> Winner {
        if same_value(self.target, self.source) { Winner::Nobody } else { Winner::Target }
    }

    fn difference(&self) -> FieldDifference {
        FieldDifference {
            field: self.field.to_owned(),
            source: self.source.clone(),
            target: self.target.clone(),
        }
    }

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
