//! The organization's records.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    literal::{Object, id_of},
    module::Module,
};

/// All records of the organization, in the order in which they were entered.
#[derive(Default)]
pub struct Records {
    tables: HashMap<Module, Table>,
    next_id: u64,
}

/// One module. A deleted record leaves its slot empty, so that the others keep their place.
#[derive(Default)]
struct Table {
    slots: Vec<Option<Object>>,
    places: HashMap<String, usize>,
    deleted: HashMap<String, Object>,
}

impl Records {
    /// An id that no record has: 19 digits.
    pub(crate) fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("460000090{:010}", self.next_id)
    }

    /// Enters a record, or replaces the one with the same id.
    pub(crate) fn put(&mut self, module: Module, id: &str, record: Object) {
        let table = self.tables.entry(module).or_default();
        table.deleted.remove(id);
        if let Some(place) = table.places.get(id) {
            table.slots[*place] = Some(record);
            return;
        }
        table.places.insert(id.to_owned(), table.slots.len());
        table.slots.push(Some(record));
    }

    /// A record as Zoho keeps it, with the keys of the list and of the detail.
    #[must_use]
    pub fn get(&self, module: Module, id: &str) -> Option<&Object> {
        let table = self.tables.get(&module)?;
        table.slots.get(*table.places.get(id)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, module: Module, id: &str) -> Option<&mut Object> {
        let table = self.tables.get_mut(&module)?;
        table.slots.get_mut(*table.places.get(id)?)?.as_mut()
    }

    /// Removes a record. Its last state stays known to [`Self::deleted`].
    pub(crate) fn delete(&mut self, module: Module, id: &str) -> Option<Object> {
        let table = self.tables.get_mut(&module)?;
        let place = table.places.remove(id)?;
        let record = table.slots.get_mut(place)?.take()?;
        table.deleted.insert(id.to_owned(), record.clone());
        Some(record)
    }

    /// The last state of a deleted record.
    #[must_use]
    pub fn deleted(&self, module: Module, id: &str) -> Option<&Object> {
        self.tables.get(&module)?.deleted.get(id)
    }

    /// The live records of a module, oldest entry first.
    pub fn records(&self, module: Module) -> impl Iterator<Item = &Object> {
        self.tables.get(&module).into_iter().flat_map(|table| table.slots.iter().flatten())
    }

    /// The ids of the live records, oldest entry first.
    #[must_use]
    pub fn ids(&self, module: Module) -> Vec<String> {
        self.records(module).filter_map(|record| id_of(record, module.id_key)).collect()
    }

    /// How many live records a module has.
    #[must_use]
    pub fn count(&self, module: Module) -> usize {
        self.tables.get(&module).map_or(0, |table| table.places.len())
    }
}

/// Overwrites the keys that the patch names; nested objects and arrays are replaced as a whole.
pub(crate) fn patch(record: &mut Object, changes: Value) {
    record.extend(super::literal::object(changes));
}
