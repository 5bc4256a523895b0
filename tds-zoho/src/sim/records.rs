//! The organization's records.

use std::collections::HashMap;

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

/// The records of one module. A deleted record leaves its slot empty, so that the others keep their place.
#[derive(Default)]
struct Table {
    slots: Vec<Option<Object>>,
    places: HashMap<String, usize>,
    deleted: HashMap<String, Object>,
}

impl Records {
    /// Returns an id of 19 digits that no record has.
    pub(crate) fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("460000090{:010}", self.next_id)
    }

    /// Enters a record, or replaces the record with the same id.
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

    /// Returns a record as Zoho stores it, with the keys of the list and of the detail.
    #[must_use]
    pub fn get(&self, module: Module, id: &str) -> Option<&Object> {
        let table = self.tables.get(&module)?;
        table.slots.get(*table.places.get(id)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, module: Module, id: &str) -> Option<&mut Object> {
        let table = self.tables.get_mut(&module)?;
        table.slots.get_mut(*table.places.get(id)?)?.as_mut()
    }

    /// Removes a record. [`Self::deleted`] still returns its last state.
    pub(crate) fn delete(&mut self, module: Module, id: &str) -> Option<Object> {
        let table = self.tables.get_mut(&module)?;
        let place = table.places.remove(id)?;
        let record = table.slots.get_mut(place)?.take()?;
        table.deleted.insert(id.to_owned(), record.clone());
        Some(record)
    }

    /// Returns the last state of a deleted record.
    #[must_use]
    pub fn deleted(&self, module: Module, id: &str) -> Option<&Object> {
        self.tables.get(&module)?.deleted.get(id)
    }

    /// Iterates over the live records of a module, oldest entry first.
    pub fn records(&self, module: Module) -> impl Iterator<Item = &Object> {
        self.tables.get(&module).into_iter().flat_map(|table| table.slots.iter().flatten())
    }

    /// Returns the ids of the live records, oldest entry first.
    #[must_use]
    pub fn ids(&self, module: Module) -> Vec<String> {
        self.records(module).filter_map(|record| id_of(record, module.id_key)).collect()
    }

    /// Returns the number of live records of a module.
    #[must_use]
    pub fn count(&self, module: Module) -> usize {
        self.tables.get(&module).map_or(0, |table| table.places.len())
    }
}
