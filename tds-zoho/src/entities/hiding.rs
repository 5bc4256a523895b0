//! Hidden columns: values that TDS does not keep. They are removed from the JSON of a record, or replaced by a keyed
//! hash, before anything of the record is decoded or stored.

mod hash;
mod local;
mod rules;
mod spelled;
mod walk;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::{Map, Value};
use tds_core::{outbound::LocalRecord, privacy::RedactedTable, record::EntityType};

pub(crate) use self::hash::has_hash;
pub(super) use self::rules::EntityRules;
pub use self::{
    hash::HashKey,
    rules::{HideRule, How},
};
use super::Descriptor;
use crate::mend;

/// The hidden columns of a program. The default hides nothing. Clones share the rules.
#[derive(Clone, Default)]
pub struct Hiding {
    rules: Arc<BTreeMap<EntityType, EntityRules>>,
    key: Option<HashKey>,
    names: Arc<[String]>,
}

impl Hiding {
    pub(super) fn new(
        rules: BTreeMap<EntityType, EntityRules>,
        key: Option<HashKey>,
        names: Vec<String>,
    ) -> Self {
        Self { rules: Arc::new(rules), key, names: names.into() }
    }

    /// Returns true if nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the hidden columns as they were written, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns a record without its hidden values, as if the source had not shown them; `None` if nothing is hidden in
    /// records of its entity type.
    pub(crate) fn hidden(
        &self,
        descriptor: &Descriptor,
        record: &Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let mut rules = self.rules.get(&descriptor.entity_of(record));
        // A record that could not be read does not show to which of the siblings it belongs.
        if let (None, Some(_), Some(sibling)) = (rules, mend::unreadable(record), descriptor.sibling) {
            rules = self.rules.get(sibling.entity);
        }
        let rules = rules?;
        let mut hidden = record.clone();
        walk::record(rules, self.key.as_ref(), &mut hidden);
        Some(hidden)
    }

    /// Hides the values of JSON that is a record of the entity type or a part of one. Returns false if nothing changed.
    pub(crate) fn part(&self, entity: &EntityType, json: &mut Value) -> bool {
        let Some(rules) = self.rules.get(entity) else { return false };
        let before = json.clone();
        if let Value::Object(record) = json {
            walk::record(rules, self.key.as_ref(), record);
        } else {
            let mut around = Map::from_iter([(String::new(), json.take())]);
            walk::record(rules, self.key.as_ref(), &mut around);
            *json = around.remove("").unwrap_or_default();
        }
        *json != before
    }

    /// Hides the values of these entity types anywhere in a pushed body. Without entity types, the values of every
    /// entity type are hidden.
    pub(crate) fn body(&self, entities: &[EntityType], body: &mut Map<String, Value>) {
        for (_, rules) in
            self.rules.iter().filter(|(entity, _)| entities.is_empty() || entities.contains(entity))
        {
            walk::anywhere(rules, self.key.as_ref(), body);
        }
    }

    /// Returns true if something is hidden in records of one of these entity types, or of any without entity types.
    pub(crate) fn concerns(&self, entities: &[EntityType]) -> bool {
        !self.is_empty()
            && (entities.is_empty() || entities.iter().any(|entity| self.rules.contains_key(entity)))
    }

    /// Hides values in the differences of a record: `[{"field": "rate", …}, …]`, or `{"rate": {…}, …}`. Returns false if
    /// nothing changed.
    pub(crate) fn differences(&self, entity: &EntityType, json: &mut Value) -> bool {
        let Some(rules) = self.rules.get(entity) else { return false };
        let mut changed = false;
        let differences: Vec<(String, &mut Value)> = match json {
            Value::Array(list) => list.iter_mut().map(|it| (field_of(it), it)).collect(),
            Value::Object(by_field) => by_field.iter_mut().map(|(field, it)| (field.clone(), it)).collect(),
            _ => Vec::new(),
        };
        for (field, difference) in differences {
            let is_hidden = rules.hides(&field);
            for (name, value) in
                difference.as_object_mut().into_iter().flatten().filter(|(name, _)| *name != "field")
            {
                if is_hidden && !matches!(name.as_str(), "winner" | "take") {
                    changed |= !value.is_null();
                    *value = Value::Null;
                } else {
                    changed |= self.part(entity, value);
                }
            }
        }
        changed
    }

    /// Returns true if a column of the head table, or a child table, is not written to Zoho: its values are hidden, or a
    /// part of its value is, and the source would lose that part.
    pub(crate) fn keeps_from_source(&self, entity: &EntityType, column: &str) -> bool {
        self.rules.get(entity).is_some_and(|rules| rules.keeps_from_source(column))
    }

    /// Returns a record of the ERP without what is hidden.
    pub(crate) fn local(&self, entity: &EntityType, record: LocalRecord) -> LocalRecord {
        match self.rules.get(entity) {
            Some(rules) => local::without(rules, record),
            None => record,
        }
    }

    /// Returns the tables with hidden columns.
    pub(crate) fn tables(
        &self,
        descriptors: impl Iterator<Item = &'static Descriptor>,
    ) -> Vec<RedactedTable> {
        descriptors
            .filter_map(|descriptor| Some((descriptor, self.rules.get(descriptor.entity())?)))
            .flat_map(|(descriptor, rules)| rules.tables(descriptor))
            .collect()
    }

    /// Returns the keyed hash of a text.
    pub(crate) fn hash(&self, text: &str) -> Option<String> {
        self.key.as_ref().map(|key| key.hash(text))
    }
}

/// Returns the field that a difference is about.
fn field_of(difference: &Value) -> String {
    difference.get("field").and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl fmt::Debug for Hiding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Hiding").field(&self.names).finish()
    }
}
