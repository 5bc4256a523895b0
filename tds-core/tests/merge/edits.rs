//! Arbitrary edits of a record on both sides, and what both sides have after a push.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use tds_core::{
    outbound::{LocalRecord, Merge, Side, Stance, merge},
    record::{EntityType, Fields, Record, RecordBuilder},
};

const ORDERS: EntityType = EntityType::from_static("orders");
/// The columns of the head row that the source takes, and one that it derives.
pub(crate) const COLUMNS: [&str; 3] = ["number", "notes", "terms"];
/// The columns of the rows that the source takes, and one that it derives.
const ROW: [&str; 2] = ["quantity", "rate"];

/// An edit of one side.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Set(usize, i64),
    SetRow(usize, usize, i64),
    Add(i64, i64),
    Remove(usize),
    Swap(usize, usize),
}

pub(crate) fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..3_usize, 0..4_i64).prop_map(|(column, value)| Edit::Set(column, value)),
        (0..4_usize, 0..2_usize, 0..4_i64).prop_map(|(row, column, value)| Edit::SetRow(row, column, value)),
        (0..4_i64, 0..4_i64).prop_map(|(quantity, rate)| Edit::Add(quantity, rate)),
        (0..4_usize).prop_map(Edit::Remove),
        (0..4_usize, 0..4_usize).prop_map(|(one, other)| Edit::Swap(one, other)),
    ];
    proptest::collection::vec(edit, 0..=most)
}

pub(crate) fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// The state of one side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) fields: Fields,
    pub(crate) rows: Vec<Fields>,
    has_ids: bool,
}

impl Order {
    pub(crate) fn new(has_ids: bool, lines: usize) -> Self {
        let fields = object(json!({"number": 0, "notes": 0, "terms": null}));
        let mut order = Self { fields, rows: Vec::new(), has_ids };
        order.rows = (0..lines).map(|row| object(json!({"quantity": row / 2, "rate": row}))).collect();
        order.derived("base")
    }

    /// Returns the state as the source shows it: with ids, with derived values, and with places.
    pub(crate) fn derived(mut self, by: &str) -> Self {
        let mut total = 0;
        for (index, row) in self.rows.iter_mut().enumerate() {
            let value = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default();
            let amount = value("quantity") * value("rate");
            total += amount;
            row.insert("total".into(), amount.into());
            row.insert("position".into(), (index + 1).into());
            if self.has_ids && row.get("line_zoho_id").is_none_or(Value::is_null) {
                row.insert("line_zoho_id".into(), format!("{by} {index}").into());
            }
        }
        self.fields.insert("total".into(), total.into());
        self
    }

    /// Returns the state after edits. New rows have no id.
    pub(crate) fn edited(mut self, edits: &[Edit]) -> Self {
        for edit in edits {
            match *edit {
                Edit::Set(column, value) => drop(self.fields.insert(COLUMNS[column].into(), value.into())),
                Edit::SetRow(row, column, value) => {
                    if let Some(row) = self.rows.get_mut(row) {
                        row.insert(ROW[column].into(), value.into());
                    }
                }
                Edit::Add(quantity, rate) => {
                    self.rows.push(object(json!({"quantity": quantity, "rate": rate, "line_zoho_id": null})));
                }
                Edit::Remove(row) if row < self.rows.len() => drop(self.rows.remove(row)),
                Edit::Swap(one, other) if one < self.rows.len() && other < self.rows.len() => {
                    self.rows.swap(one, other);
                }
                Edit::Remove(_) | Edit::Swap(..) => {}
            }
        }
        self
    }

    pub(crate) fn remote(&self) -> Record {
        let lines = self.rows.iter().cloned().map(Value::Object);
        RecordBuilder::new(&ORDERS, "1")
            .fields(Value::Object(self.fields.clone()))
            .children("lines", lines)
            .build()
    }

    pub(crate) fn local(&self) -> LocalRecord {
        LocalRecord::new("a key", self.fields.clone()).with_rows("lines", self.rows.clone())
    }

    /// Returns what both sides have to agree on: the columns that the source takes, and the rows in any order.
    pub(crate) fn agreed(&self) -> (Vec<Value>, Vec<String>) {
        let of = |fields: &Fields, names: &[&str]| -> Vec<Value> {
            names.iter().map(|name| fields.get(*name).cloned().unwrap_or_default()).collect()
        };
        let mut rows: Vec<String> = self.rows.iter().map(|row| json!(of(row, &ROW)).to_string()).collect();
        rows.sort();
        (of(&self.fields, &COLUMNS), rows)
    }

    /// Returns true if no two rows say the same.
    pub(crate) fn has_different_rows(&self) -> bool {
        let rows = self.agreed().1;
        rows.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// Returns the source's state after a push.
    pub(crate) fn pushed(&self, merge: &Merge, local: &Self) -> Self {
        let mut next = self.clone();
        for name in merge.push.iter().filter(|name| *name != "lines") {
            next.fields.insert(name.clone(), local.fields[name].clone());
        }
        if let Some(rows) = merge.push_rows.get("lines") {
            next.rows.clone_from(rows);
        }
        next.derived("pushed")
    }

    /// Returns the target's state after a push.
    pub(crate) fn taken(&self, merge: &Merge) -> Self {
        let mut next = self.clone();
        next.fields.extend(merge.take.clone());
        if let Some(rows) = merge.take_rows.get("lines") {
            next.rows.clone_from(rows);
        }
        next
    }
}

pub(crate) fn is_writable(name: &str) -> bool {
    COLUMNS.contains(&name) || ["lines", "lines.quantity", "lines.rate"].contains(&name)
}

/// Merges three states. This side wins conflicts.
pub(crate) fn merged(base: &Order, local: &Order, remote: &Order, winner: Option<Side>) -> Merge {
    let stance = Stance { touched: None, writable: &is_writable, decide: &|_, _| winner };
    merge(Some(&base.remote()), &local.local(), &remote.remote(), &stance)
}

/// Returns the names of the columns and child tables that two states do not agree on.
pub(crate) fn changed(one: &Order, other: &Order) -> BTreeSet<String> {
    let (columns, rows) = (one.agreed(), other.agreed());
    let mut names: BTreeSet<String> = COLUMNS
        .iter()
        .zip(columns.0.iter().zip(&rows.0))
        .filter(|(_, (one, other))| one != other)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    if columns.1 != rows.1 {
        names.insert("lines".to_owned());
    }
    names
}
