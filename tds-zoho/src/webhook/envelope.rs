//! Finds the record in a body. Zoho documents no schema of its webhooks, so every plausible place is examined.

use std::{collections::BTreeSet, iter};

use serde_json::{Map, Value};

use crate::{
    entities::{Descriptor, Modules, Role},
    reading,
};

/// Keys of lists that hold parts of a record. The ids in these lists are references, and not records that were pushed.
const PARTS: [&str; 4] = ["line_items", "pricebook_items", "mapped_items", "contact_persons"];

/// The maximum depth of nested envelopes.
const DEPTH: usize = 3;

/// The maximum number of records in one body. Zoho pushes one record; a script that pushes more than this should
/// request a sync.
const MOST: usize = 1_000;

/// What a body holds.
pub(super) enum Found<'a> {
    /// Records of the requested kind, each once. There is at least one.
    Records(Vec<Located<'a>>),
    /// Records that name items, if items are requested: the id of the first such record, all such records, and the
    /// items, each once and in order.
    Items { id: Option<String>, holders: Vec<&'a Map<String, Value>>, items: Vec<String> },
    /// A record of another module, and its id if it can be read.
    Foreign(Foreign<'a>),
    /// No record. The text says why.
    Nothing(String),
}

/// A record and its id.
pub(super) struct Located<'a> {
    pub(super) id: String,
    pub(super) record: &'a Map<String, Value>,
    /// The id is under the key of the record's own kind, and nothing shows that the object is a document of another
    /// kind, which may carry this key as a reference.
    pub(super) is_certain: bool,
}

/// A record of another module than the requested one.
pub(super) struct Foreign<'a> {
    pub(super) module: String,
    pub(super) id: Option<String>,
    pub(super) record: &'a Map<String, Value>,
}

/// Searches for records of `descriptor`'s kind. If these records have no version, searches for the items that
/// any part of the body names.
pub(super) fn open<'a>(
    modules: &Modules,
    descriptor: &Descriptor,
    object: &'a Map<String, Value>,
) -> Found<'a> {
    let kind = Kind { modules, descriptor };
    if descriptor.versioned { kind.find(object) } else { kind.find_items(object) }
}

/// Returns the organization that a body states.
pub(super) fn organization(object: &Map<String, Value>) -> Option<String> {
    let stated = |object: &Map<String, Value>| {
        let value = object.get("organization_id")?;
        match reading::as_id(value, "organization_id") {
            Ok(Value::String(id)) => Some(id),
            _ => None,
        }
    };
    stated(object).or_else(|| objects(object).find_map(|(_, record)| stated(record)))
}

#[derive(Default)]
struct Seen<'a> {
    records: Vec<Located<'a>>,
    ids: BTreeSet<String>,
    /// An envelope of the requested kind without a readable id.
    unreadable: Option<String>,
    foreign: Option<Foreign<'a>>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, located: Located<'a>) {
        if self.records.len() <= MOST && self.ids.insert(located.id.clone()) {
            self.records.push(located);
        }
    }
}

/// The id of a record, and whether it is under the key of the record's own kind.
struct Id {
    id: String,
    is_own: bool,
}

/// The kind of record that is requested, among all modules.
#[derive(Clone, Copy)]
struct Kind<'k> {
    modules: &'k Modules,
    descriptor: &'k Descriptor,
}

impl Kind<'_> {
    fn find<'a>(self, object: &'a Map<String, Value>) -> Found<'a> {
        let mut seen = Seen::default();
        self.look(object, DEPTH, &mut seen);
        match seen {
            Seen { records, .. } if records.len() > MOST => {
                Found::Nothing(format!("the body holds more than {MOST} records"))
            }
            Seen { records, .. } if !records.is_empty() => Found::Records(records),
            // An object that has the name of the requested kind and no id is a part of the other record.
            Seen { unreadable: Some(_), foreign: Some(foreign), .. }
                if foreign.id.is_some() && self.modules.is_module(&foreign.module) =>
            {
                Found::Foreign(foreign)
            }
            Seen { unreadable: Some(reason), .. } => Found::Nothing(reason),
            Seen { foreign: Some(foreign), .. } => Found::Foreign(foreign),
            _ => Found::Nothing(format!("there is no record with {} in the body", self.descriptor.id_key)),
        }
    }

    /// Searches for the items that the body names: items, or the lines of any record that moves stock.
    fn find_items<'a>(self, object: &'a Map<String, Value>) -> Found<'a> {
        let mut found = Vec::new();
        self.look_for_items(None, object, DEPTH, &mut found);
        let Some((id, _)) = found.first() else {
            return match self.find(object) {
                Found::Records(_) => Found::Nothing("the body names no items".to_owned()),
                other => other,
            };
        };
        let id = id.clone();
        let (mut items, mut named) = (Vec::new(), BTreeSet::new());
        for (_, record) in &found {
            let lines = record.get("line_items").and_then(Value::as_array).into_iter().flatten();
            for line in lines.filter_map(Value::as_object).chain([*record]) {
                // A line without an item, such as a fee, names no item.
                if let Ok(item) = reading::record_id(line, "item_id")
                    && named.insert(item.clone())
                {
                    items.push(item);
                }
            }
        }
        Found::Items { id, holders: found.into_iter().map(|(_, record)| record).collect(), items }
    }

    fn look<'a>(self, object: &'a Map<String, Value>, depth: usize, seen: &mut Seen<'a>) {
        let bare = self.foreign_keys(object).next().filter(|_| !self.has_own_id(object));
        // A document of another kind may hold objects with the names of the requested kind, such as the contact of an
        // invoice.
        if let Some((module, key)) = bare
            && (object.contains_key(&number_key(key)) || !self.has_own_envelope(object))
        {
            let id = reading::record_id(object, key).ok();
            seen.foreign.get_or_insert(Foreign { module: module.to_owned(), id, record: object });
            return;
        }
        let before = seen.records.len();
        for (name, _) in self.descriptor.envelopes {
            for record in object.get(*name).into_iter().flat_map(objects_of) {
                match self.any_id(record) {
                    Some(id) => seen.add(self.located(id, record)),
                    None if depth > 1 && self.has_own_envelope(record) => self.look(record, depth - 1, seen),
                    None => {
                        let id_key = self.descriptor.id_key;
                        let reason = || format!("the {name} in the body has no readable {id_key}");
                        seen.unreadable.get_or_insert_with(reason);
                    }
                }
            }
        }
        if seen.records.len() > before {
            return;
        }
        if let Some(id) = self.bare_id(object) {
            return seen.add(self.located(id, object));
        }
        for (name, record) in objects(object).filter(|(name, _)| depth > 1 && !self.modules.is_module(name)) {
            if !PARTS.contains(&name.as_str()) {
                self.look(record, depth - 1, seen);
            }
        }
        if seen.records.len() == before && seen.foreign.is_none() {
            seen.foreign = self.foreign(object);
        }
    }

    /// Searches for records that name items: an item, or any record with lines. The id is the record's own id.
    fn look_for_items<'a>(
        self,
        name: Option<&str>,
        object: &'a Map<String, Value>,
        depth: usize,
        found: &mut Vec<(Option<String>, &'a Map<String, Value>)>,
    ) {
        if object.contains_key("item_id") || object.get("line_items").is_some_and(Value::is_array) {
            let key = match name.and_then(|name| self.modules.id_key(name)) {
                Some(key) => key,
                None if object.contains_key("item_id") => "item_id",
                None => self.module_of(object).map_or("item_id", |(_, key)| key),
            };
            found.push((reading::record_id(object, key).ok(), object));
            return;
        }
        // Objects inside a record of another module are references of that record.
        let in_module = name.is_some_and(|name| self.modules.is_module(name));
        if depth <= 1 || in_module || self.is_document(object) {
            return;
        }
        for (name, record) in objects(object).filter(|(name, _)| !PARTS.contains(&name.as_str())) {
            self.look_for_items(Some(name), record, depth - 1, found);
        }
    }

    /// Returns the id under the key of the requested kind, or under a key by which documents name records of this
    /// kind.
    fn any_id(self, record: &Map<String, Value>) -> Option<Id> {
        let own = self.descriptor.id_key;
        let mut keys = iter::once(own).chain(self.descriptor.party_keys());
        keys.find_map(|key| Some(Id { id: reading::record_id(record, key).ok()?, is_own: key == own }))
    }

    fn located<'a>(self, Id { id, is_own }: Id, record: &'a Map<String, Value>) -> Located<'a> {
        Located { id, record, is_certain: is_own && !self.looks_foreign(record) }
    }

    /// Returns true if the key of the requested kind is present, and not as a reference.
    fn has_own_id(self, object: &Map<String, Value>) -> bool {
        let is_master = self.descriptor.role != Role::Document;
        let is_reference =
            is_master && self.foreign_keys(object).any(|(_, key)| !self.modules.is_reference(key));
        reading::record_id(object, self.descriptor.id_key).is_ok() && !is_reference
    }

    fn has_own_envelope(self, object: &Map<String, Value>) -> bool {
        let named = self.descriptor.envelopes.iter().filter_map(|(name, _)| object.get(*name));
        named.flat_map(objects_of).any(|record| self.any_id(record).is_some())
    }

    /// Returns the id of a record without an envelope. The id of a party is the record's id only if nothing shows
    /// that the record is a document of this party.
    fn bare_id(self, object: &Map<String, Value>) -> Option<Id> {
        let of_document = |(_, key): (&str, &str)| !self.modules.is_party(key) && object.contains_key(key);
        self.any_id(object).filter(|id| id.is_own || !self.modules.iter().any(of_document))
    }

    /// Returns true if the object has the id and the number of a document of another kind, and no number of its own
    /// kind. Such an object may carry the key of the requested kind as a reference.
    fn looks_foreign(self, object: &Map<String, Value>) -> bool {
        !object.contains_key(&number_key(self.descriptor.id_key))
            && self.foreign_keys(object).any(|(_, key)| object.contains_key(&number_key(key)))
    }

    /// Returns the modules of other kinds whose ids the object carries, except parties.
    fn foreign_keys(self, object: &Map<String, Value>) -> impl Iterator<Item = (&'static str, &'static str)> {
        let Self { modules, descriptor } = self;
        let is_other = move |key: &str| key != descriptor.id_key && !modules.is_party(key);
        modules.iter().filter(move |(_, key)| is_other(key) && reading::record_id(object, key).is_ok())
    }

    /// Returns true if the object carries the id of a module that is not a party.
    fn is_document(self, object: &Map<String, Value>) -> bool {
        self.module_of(object).is_some_and(|(_, key)| !self.modules.is_party(key))
    }

    /// Returns the record of another module, if the object is one.
    fn foreign<'a>(self, object: &'a Map<String, Value>) -> Option<Foreign<'a>> {
        let is_own = |name: &str| self.descriptor.envelopes.iter().any(|(own, _)| *own == name);
        let is_other = |name: &str| name != "organization" && !is_own(name) && !PARTS.contains(&name);
        let enveloped = objects(object).filter(|(name, _)| is_other(name)).find_map(|(name, record)| {
            let known_key = self.modules.id_key(name);
            let key = known_key.map_or_else(|| format!("{name}_id"), str::to_owned);
            let is_known =
                known_key.is_some() || record.contains_key(&key) || self.module_of(record).is_some();
            let id = reading::record_id(record, &key).ok();
            is_known.then(|| Foreign { module: name.clone(), id, record })
        });
        enveloped.or_else(|| {
            let (module, key) = self.module_of(object)?;
            let id = reading::record_id(object, key).ok();
            Some(Foreign { module: module.to_owned(), id, record: object })
        })
    }

    fn module_of(self, record: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
        let is_stated = |(_, key): &(&str, &str)| reading::record_id(record, key).is_ok();
        // A document's own id says more than the id of its party.
        let mut documents = self.modules.iter().filter(|(_, key)| !self.modules.is_party(key));
        documents.find(is_stated).or_else(|| self.modules.iter().find(is_stated))
    }
}

/// Returns the key under which documents of a kind carry their number.
fn number_key(id_key: &str) -> String {
    format!("{}_number", id_key.strip_suffix("_id").unwrap_or(id_key))
}

/// Iterates over the objects in an object, each with its own key or the key of the list that contains it.
fn objects(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    object.iter().flat_map(|(name, value)| objects_of(value).map(move |record| (name, record)))
}

/// Iterates over the object that a value is, or the objects of the list that it is.
fn objects_of(value: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let (one, many) = match value {
        Value::Object(record) => (Some(record), None),
        Value::Array(records) => (None, Some(records)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_object))
}
