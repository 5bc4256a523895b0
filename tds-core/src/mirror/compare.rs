//! The comparison of a read with the rows of the target.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::{Content, Fields, Record, same_value};

/// Whether the target has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The target has no row of the record.
    Missing,
    /// The target has the record as a tombstone.
    Deleted,
    /// The target has the record.
    Live,
}

impl Presence {
    /// Returns the presence of a record. `row` says whether its row is a tombstone; `None` if there is no row.
    #[must_use]
    pub fn of(row: Option<bool>) -> Self {
        match row {
            None => Self::Missing,
            Some(true) => Self::Deleted,
            Some(false) => Self::Live,
        }
    }
}

/// How a record of the target differs from a read.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Whether the target has the record.
    pub presence: Presence,
    /// The fields that differ, if the target has the record and the read shows a record.
    pub fields: Vec<FieldDifference>,
}

impl Difference {
    /// Returns the difference of what was read and what the target has, if there is one. `fields` compares the values of
    /// a record that both sides have.
    #[must_use]
    pub fn of(
        read: &Content,
        presence: Presence,
        fields: impl FnOnce(&Record) -> Vec<FieldDifference>,
    ) -> Option<Self> {
        let fields = match (read, presence) {
            (Content::Present(record), Presence::Live) => fields(record),
            _ => Vec::new(),
        };
        let differs = match read {
            Content::Present(_) => presence != Presence::Live || !fields.is_empty(),
            Content::Absent => presence == Presence::Live,
        };
        differs.then_some(Self { presence, fields })
    }
}

/// A field of a record that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDifference {
    /// The name of the column, such as `rate`. For a child row: the table, what identifies the row, and the column, such
    /// as `invoice_lines[460000000567114].quantity`. Without a column, the whole row is on one side only.
    pub field: String,
    /// The value at the source.
    pub source: Value,
    /// The value in the target.
    pub target: Value,
}

/// Compares the columns that a read shows with those of the target's row.
#[must_use]
pub fn compare_fields<'a>(
    read: impl IntoIterator<Item = (&'a String, &'a Value)>,
    row: &Fields,
) -> Vec<FieldDifference> {
    let differs = |(name, source): (&String, &Value)| {
        let target = row.get(name).unwrap_or(&Value::Null);
        (!same_value(source, target)).then(|| FieldDifference {
            field: name.clone(),
            source: source.clone(),
            target: target.clone(),
        })
    };
    read.into_iter().filter_map(differs).collect()
}

/// Compares everything that a record shows with the row and the child rows of the target. `rows` returns the rows that
/// the target has in a child table.
#[must_use]
pub fn compare_record<'a>(
    record: &Record,
    row: Option<&Fields>,
    rows: impl Fn(&str) -> &'a [Fields],
) -> Vec<FieldDifference> {
    let columns = record.fields.iter().chain(&record.volatile);
    let mut fields = row.map_or_else(Vec::new, |row| compare_fields(columns, row));
    for (table, shown) in &record.children {
        fields.extend(compare_rows(table, shown, rows(table)));
    }
    fields
}

/// The columns by which the rows of a set are paired: the first of them that distinguishes all rows of both sides.
pub(crate) const IDENTITIES: [&str; 6] =
    ["line_zoho_id", "location_zoho_id", "document_zoho_id", "product_zoho_id", "effective_date", "position"];

/// Compares the rows of a child table that a read shows with the rows that the target has. Rows that are equal on both
/// sides do not count, whatever their order. Only columns that a row of the read shows are compared.
#[must_use]
pub fn compare_rows(table: &str, read: &[Fields], rows: &[Fields]) -> Vec<FieldDifference> {
    let (mut theirs, mut ours): (Vec<&Fields>, Vec<&Fields>) = (read.iter().collect(), rows.iter().collect());
    theirs.retain(|their| {
        let equal = ours.iter().position(|our| compare_fields(*their, our).is_empty());
        equal.map(|index| ours.remove(index)).is_none()
    });
    let identity =
        IDENTITIES.into_iter().find(|column| identifies(column, &theirs) && identifies(column, &ours));
    let key = |(index, row): (usize, &&Fields)| {
        let value = identity.and_then(|column| row.get(column)).map(text);
        value.unwrap_or_else(|| format!("#{}", index + 1))
    };
    let mut pairs: BTreeMap<String, (Option<&Fields>, Option<&Fields>)> = BTreeMap::new();
    for (index, row) in theirs.iter().enumerate() {
        pairs.entry(key((index, row))).or_default().0 = Some(row);
    }
    for (index, row) in ours.iter().enumerate() {
        pairs.entry(key((index, row))).or_default().1 = Some(row);
    }
    let whole = |row: Option<&Fields>| row.map_or(Value::Null, |row| Value::Object(row.clone()));
    let differences = pairs.into_iter().flat_map(|(key, pair)| match pair {
        (Some(read), Some(row)) => {
            let mut fields = compare_fields(read, row);
            fields.iter_mut().for_each(|it| it.field = format!("{table}[{key}].{}", it.field));
            fields
        }
        (read, row) => {
            let field = format!("{table}[{key}]");
            vec![FieldDifference { field, source: whole(read), target: whole(row) }]
        }
    });
    differences.collect()
}

/// Returns true if every row has another value of a column.
pub(crate) fn identifies(column: &str, rows: &[&Fields]) -> bool {
    let mut values: Vec<String> =
        rows.iter().filter_map(|row| row.get(column).filter(|value| !value.is_null()).map(text)).collect();
    values.sort_unstable();
    values.dedup();
    values.len() == rows.len()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(rows: Value) -> Vec<Fields> {
        let Value::Array(rows) = rows else { panic!("an array") };
        rows.into_iter()
            .map(|row| match row {
                Value::Object(row) => row,
                other => panic!("{other} is no object"),
            })
            .collect()
    }

    #[test]
    fn rows_are_paired_by_what_identifies_them_and_only_differences_are_named() {
        let read = rows(json!([
            {"line_zoho_id": "7", "quantity": 2, "rate": 5},
            {"line_zoho_id": "8", "quantity": 1, "rate": 5},
            {"line_zoho_id": "9", "quantity": 1, "rate": 5}
        ]));
        let target = rows(json!([
            {"line_zoho_id": "9", "quantity": 1.0, "rate": 5, "note": "not shown"},
            {"line_zoho_id": "7", "quantity": 3, "rate": 5},
            {"line_zoho_id": "5", "quantity": 1, "rate": 5}
        ]));
        let found = compare_rows("lines", &read, &target);
        let fields: Vec<&str> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["lines[5]", "lines[7].quantity", "lines[8]"]);
        assert_eq!((&found[1].source, &found[1].target), (&json!(2), &json!(3)));
        assert_eq!((&found[0].source, &found[2].target), (&Value::Null, &Value::Null));
    }

    #[test]
    fn rows_without_an_identity_are_paired_by_their_order() {
        let (read, target) =
            (rows(json!([{"rate": 1}, {"rate": 2}])), rows(json!([{"rate": 2}, {"rate": 3}])));
        let found = compare_rows("brackets", &read, &target);
        assert_eq!(
            found,
            [FieldDifference { field: "brackets[#1].rate".into(), source: json!(1), target: json!(3) }]
        );
        assert!(compare_rows("brackets", &read, &read).is_empty());
    }
}
