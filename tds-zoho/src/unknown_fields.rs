//! The unknown fields that this process saw. They are gathered in memory until somebody takes them.

use std::{collections::HashMap, sync::Mutex};

use tds_core::{lock::lock, record::EntityType, source::UnknownField};

/// The maximum number of fields that wait to be taken. Names of fields come from outside, so their number is bounded.
const MOST: usize = 1_000;
/// The longest path that is kept, in bytes. A longer name is no field of an API.
const LONGEST: usize = 200;

/// Counts the records that show an unknown field.
#[derive(Debug, Default)]
pub(crate) struct UnknownFields(Mutex<HashMap<(EntityType, String), u64>>);

impl UnknownFields {
    /// Adds the unknown fields of one record, each with its path.
    pub(crate) fn add(&self, entity: &EntityType, paths: Vec<String>) {
        self.count(paths.into_iter().map(|path| (entity.clone(), path, 1)));
    }

    /// Returns the fields that were added since the last call.
    pub(crate) fn take(&self) -> Vec<UnknownField> {
        let taken = std::mem::take(&mut *lock(&self.0));
        let field = |((entity, path), records)| UnknownField { entity, path, records };
        taken.into_iter().map(field).collect()
    }

    /// Puts back what was taken and could not be stored.
    pub(crate) fn put_back(&self, fields: Vec<UnknownField>) {
        self.count(fields.into_iter().map(|field| (field.entity, field.path, field.records)));
    }

    fn count(&self, fields: impl Iterator<Item = (EntityType, String, u64)>) {
        let mut counts = lock(&self.0);
        for (entity, path, records) in fields {
            let key = (entity, path);
            if let Some(count) = counts.get_mut(&key) {
                *count = count.saturating_add(records);
            } else if counts.len() < MOST && key.1.len() <= LONGEST {
                counts.insert(key, records);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: EntityType = EntityType::from_static("items");

    #[test]
    fn a_field_is_listed_once_with_the_number_of_its_records() {
        let fields = UnknownFields::default();
        fields.add(&ITEMS, vec!["colour".to_owned()]);
        fields.add(&ITEMS, vec!["colour".to_owned()]);
        let taken = fields.take();
        let colour = UnknownField { entity: ITEMS, path: "colour".to_owned(), records: 2 };
        assert_eq!(taken, std::slice::from_ref(&colour));
        assert_eq!(fields.take(), []);
        fields.add(&ITEMS, vec!["colour".to_owned()]);
        fields.put_back(taken);
        assert_eq!(fields.take(), [UnknownField { records: 3, ..colour }]);
    }

    #[test]
    fn the_memory_is_bounded() {
        let fields = UnknownFields::default();
        fields.add(&ITEMS, (0..MOST + 10).map(|n| n.to_string()).collect());
        fields.add(&ITEMS, vec!["x".repeat(LONGEST + 1)]);
        assert_eq!(fields.take().len(), MOST);
    }
}
