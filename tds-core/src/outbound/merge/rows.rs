//! The merge of the rows of a child table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Merge, Stance, Versions, Winner};
use crate::{
    outbound::pairs::{POSITION, pair},
    record::{Fields, same_value},
};

/// The rows of the base, the target and the source.
type Rows<'a> = (Option<&'a [Fields]>, &'a [Fields], &'a [Fields]);

/// A child table that is merged.
struct Table<'a> {
    name: &'a str,
    /// The columns of the rows that are compared: those that the source shows and takes. The place of a row does not count.
    compared: BTreeSet<&'a str>,
    /// The column by which the rows are paired.
    identity: Option<&'static str>,
    /// The source takes rows of the table.
    is_writable: bool,
    /// The target may have changed rows.
    is_touched: bool,
}

/// What each side gets.
#[derive(Default)]
struct Merged {
    to_source: Vec<Fields>,
    to_target: Vec<Fields>,
    pushes: bool,
    takes: bool,
}

/// Merges the rows of a child table. A row that one side added or removed is added or removed on the other, unless the
/// other side changed it. The order of the rows is that of the source, and rows that only the target has come last.
pub(super) fn merge_rows<'a>(
    name: &'a str,
    (base, target, source): Rows<'a>,
    stance: &Stance<'_>,
    merge: &mut Merge,
) {
    let is_writable = (stance.writable)(name);
    let shown = source.iter().chain(base.into_iter().flatten()).flat_map(Fields::keys).map(String::as_str);
    let is_compared = |column: &&str| {
        *column != POSITION && (!is_writable || (stance.writable)(&format!("{name}.{column}")))
    };
    let compared: BTreeSet<&str> = shown.collect::<BTreeSet<_>>().into_iter().filter(is_compared).collect();
    let is_touched = stance.is_touched(name);
    let pairs = pair(base.unwrap_or_default(), target, source, &|column| compared.contains(column));
    let table = Table { name, compared, identity: pairs.identity, is_writable, is_touched };
    let mut merged = Merged::default();
    for key in &pairs.order {
        let row = |rows: &BTreeMap<String, &'a Fields>| rows.get(key).copied();
        let (ours, theirs) = (row(&pairs.target), row(&pairs.source));
        // Without a base, the target's rows count as a whole if they were touched, and otherwise the source's.
        let before = match base {
            Some(_) => row(&pairs.base),
            None if is_touched => theirs,
            None => ours,
        };
        match (before, ours, theirs) {
            (before, Some(ours), Some(theirs)) => {
                table.fields(
                    key,
                    (before.filter(|_| base.is_some()), ours, theirs),
                    stance,
                    (&mut merged, merge),
                );
            }
            versions => table.whole_row(key, versions, stance, (&mut merged, merge)),
        }
    }
    if merged.pushes {
        merge.push.insert(name.to_owned());
        merge.push_rows.insert(name.to_owned(), numbered(merged.to_source));
    }
    if merged.takes {
        merge.take_rows.insert(name.to_owned(), numbered(merged.to_target));
    }
}

impl Table<'_> {
    /// Merges a row that one of the sides does not have.
    fn whole_row(
        &self,
        key: &str,
        (before, ours, theirs): (Option<&Fields>, Option<&Fields>, Option<&Fields>),
        stance: &Stance<'_>,
        (merged, merge): (&mut Merged, &mut Merge),
    ) {
        let place = format!("{}[{key}]", self.name);
        let whole = |row: Option<&Fields>| row.map_or(Value::Null, |row| Value::Object(self.only(row)));
        let (base, target, source) = (whole(before), whole(ours), whole(theirs));
        let versions = Versions { field: &place, base: &base, target: &target, source: &source };
        let winner = if ours.is_none() && theirs.is_none() {
            Winner::Nobody
        } else if !self.is_writable || self.same(before, ours) {
            Winner::Source
        } else if self.same(before, theirs) {
            Winner::Target
        } else {
            versions.winner(stance, &mut merge.conflicts)
        };
        match winner {
            Winner::Nobody => {
                merged.to_source.extend(theirs.cloned());
                merged.to_target.extend(ours.cloned());
            }
            Winner::Source => {
                merged.takes = true;
                merged.to_source.extend(theirs.cloned());
                merged.to_target.extend(theirs.cloned());
            }
            Winner::Target => {
                merged.pushes = true;
                merged.to_source.extend(ours.cloned());
                merged.to_target.extend(ours.cloned());
                merge.differences.push(versions.difference());
            }
        }
    }

    /// Merges the fields of a row that both sides have.
    fn fields(
        &self,
        key: &str,
        (before, ours, theirs): (Option<&Fields>, &Fields, &Fields),
        stance: &Stance<'_>,
        (merged, merge): (&mut Merged, &mut Merge),
    ) {
        let (mut remote_row, mut local_row) = (ours.clone(), ours.clone());
        for (column, source) in theirs {
            remote_row.insert(column.clone(), source.clone());
            if column == POSITION {
                continue;
            }
            let Some(target) = ours.get(column) else {
                // Nothing is known of the target's value, so a row that is written anew has the source's.
                local_row.insert(column.clone(), source.clone());
                continue;
            };
            // A row that is not in the base is new on both sides, or there is no base: a column without a value was
            // not entered.
            let unknown = if self.is_touched && !target.is_null() { source } else { target };
            let base = before.and_then(|row| row.get(column)).unwrap_or(unknown);
            let place = format!("{}[{key}].{column}", self.name);
            let versions = Versions { field: &place, base, target, source };
            let is_writable = self.is_writable
                && self.compared.contains(column.as_str())
                && self.identity != Some(column.as_str());
            let winner = if is_writable {
                versions.winner(stance, &mut merge.conflicts)
            } else {
                versions.source_wins()
            };
            match winner {
                // The source keeps its value, and the target its own.
                Winner::Nobody => {}
                Winner::Source => {
                    merged.takes = true;
                    local_row.insert(column.clone(), source.clone());
                }
                Winner::Target => {
                    merged.pushes = true;
                    merge.differences.push(versions.difference());
                    remote_row.insert(column.clone(), target.clone());
                }
            }
        }
        merged.to_source.push(remote_row);
        merged.to_target.push(local_row);
    }

    /// Returns the columns of a row that are compared.
    fn only(&self, row: &Fields) -> Fields {
        let columns = row.iter().filter(|(name, _)| self.compared.contains(name.as_str()));
        columns.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Returns true if two versions of a row say the same. A column that one of them lacks is not known.
    fn same(&self, one: Option<&Fields>, other: Option<&Fields>) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                self.compared.iter().all(|name| match (one.get(*name), other.get(*name)) {
                    (Some(one), Some(other)) => same_value(one, other),
                    _ => true,
                })
            }
            _ => false,
        }
    }
}

/// Gives rows that have places the places of their order.
fn numbered(mut rows: Vec<Fields>) -> Vec<Fields> {
    if rows.iter().any(|row| row.contains_key(POSITION)) {
        for (row, place) in rows.iter_mut().zip(1_u64..) {
            row.insert(POSITION.to_owned(), place.into());
        }
    }
    rows
}
