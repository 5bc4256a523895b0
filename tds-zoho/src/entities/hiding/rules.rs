//! The rules of one entity type, and how they are written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use tds_core::privacy::{RedactedColumn, RedactedTable};

use super::spelled::plain;
use crate::entities::Descriptor;

/// What becomes of a hidden value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The value is not kept at all.
    Drop,
    /// A keyed hash of the value is kept.
    Hash,
}

/// One hidden column as it is written: `customers.phone` or `customers.email=hash`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HideRule {
    /// The entity type or the table.
    pub place: String,
    /// The column, or the API name of a custom field.
    pub column: String,
    /// What becomes of its values.
    pub how: How,
}

impl FromStr for HideRule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, how) = match text.split_once('=') {
            None => (text, How::Drop),
            Some((name, "hash")) => (name, How::Hash),
            Some(_) => return Err(()),
        };
        let (place, column) = name.trim().split_once('.').ok_or(())?;
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let place = place.replace('-', "_");
        let is_rule = plain(&place) && plain(column);
        is_rule.then(|| Self { place, column: column.to_owned(), how }).ok_or(())
    }
}

impl fmt::Display for HideRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.how == How::Hash { "=hash" } else { "" };
        write!(formatter, "{}.{}{how}", self.place, self.column)
    }
}

fn longest_first(names: impl Iterator<Item = &'static str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(plain).collect();
    names.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    names.dedup();
    names
}

/// What is hidden in the records of one entity type.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntityRules {
    /// Keys of the record itself.
    pub(crate) top: Vec<(&'static str, How)>,
    /// Keys that hold the value at any depth of the record, such as those of contact persons.
    pub(crate) deep: Vec<(&'static str, How)>,
    /// Keys of the objects in a list of the record.
    pub(crate) lists: Vec<(&'static str, &'static str, How)>,
    /// Custom fields, by their API names.
    pub(crate) custom: Vec<(String, How)>,
    /// The lists of the record that fill child tables.
    pub(crate) line_keys: Vec<&'static str>,
    /// What a template may write before the name of a value of the record: its own names, plain, the longest first.
    pub(crate) before: Vec<String>,
    /// What it may write before the name of a value of a person: the names of the record's parties as well. `customer_name` is
    /// no name of a product.
    pub(crate) before_person: Vec<String>,
    /// The keys whose values are also hidden where other keys repeat them.
    pub(crate) repeated: BTreeSet<&'static str>,
    /// Columns of the head table.
    pub(crate) columns: BTreeMap<&'static str, How>,
    /// Columns of child tables.
    pub(crate) tables: BTreeMap<&'static str, BTreeMap<&'static str, How>>,
    /// Columns of the head table that have hidden values inside.
    pub(crate) around: BTreeSet<&'static str>,
}

impl EntityRules {
    /// Creates the rules of an entity type, which hide nothing yet.
    pub(crate) fn of(descriptor: &'static Descriptor) -> Self {
        let parties = ["contact", "contacts", "customer", "customers", "vendor", "vendors"];
        let own = || descriptor.envelopes.iter().map(|(name, _)| *name).chain([descriptor.name()]);
        Self {
            line_keys: descriptor.rows.iter().map(|rows| rows.key).collect(),
            before: longest_first(own()),
            before_person: longest_first(own().chain(parties)),
            ..Self::default()
        }
    }

    /// Returns true for a hidden column and for a child table with one, as differences name them: `rate`, `lines[#1]`.
    pub(super) fn hides(&self, field: &str) -> bool {
        let name = field.split(['[', '.']).next().unwrap_or(field);
        let custom = |column: &str| self.custom.iter().any(|(name, _)| name == column);
        self.columns.contains_key(name)
            || self.tables.contains_key(name)
            || field.rsplit('.').next().is_some_and(custom)
    }

    /// Returns true for a column of the head table or a child table that is hidden or has a hidden part, and for a hidden
    /// column of a child table (`table.column`).
    pub(super) fn keeps_from_source(&self, column: &str) -> bool {
        if let Some((table, column)) = column.split_once('.') {
            return self.tables.get(table).is_some_and(|columns| columns.contains_key(column));
        }
        self.columns.contains_key(column)
            || self.around.contains(column)
            || self.tables.contains_key(column)
            || column == "custom_fields" && !self.custom.is_empty()
    }

    /// Returns the same rules, by which no hash is kept.
    pub(super) fn dropping(&self) -> Self {
        let mut rules = self.clone();
        rules.deep.iter_mut().for_each(|(_, how)| *how = How::Drop);
        rules.custom.iter_mut().for_each(|(_, how)| *how = How::Drop);
        rules
    }

    /// Returns the head table and the child tables that have hidden values.
    pub(super) fn tables(&self, descriptor: &'static Descriptor) -> Vec<RedactedTable> {
        let columns = |columns: &BTreeMap<&'static str, How>| {
            let column =
                |(name, how): (&&'static str, &How)| RedactedColumn { name, hashed: *how == How::Hash };
            columns.iter().map(column).collect()
        };
        let entity = descriptor.entity();
        let head = descriptor.schema.head.map(|table| RedactedTable {
            entity: entity.clone(),
            table,
            is_head: true,
            columns: columns(&self.columns),
        });
        let children = self.tables.iter().map(|(table, hidden)| RedactedTable {
            entity: entity.clone(),
            table,
            is_head: false,
            columns: columns(hidden),
        });
        head.into_iter().chain(children).collect()
    }
}
