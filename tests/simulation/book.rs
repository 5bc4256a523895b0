//! The records at the simulated source, and their changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    dice::Dice,
    kinds::{ACCOUNTS, DEEDS, KINDS},
};

/// A record. Every value is the serial number of the change that wrote it, so that an older value is recognized as
/// older.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: usize,
    /// The position of the record in the order of creation.
    pub(crate) created: u64,
    /// The time of the last change, in whole seconds.
    pub(crate) version: i64,
    /// A value that lists show.
    pub(crate) a: u64,
    /// A value that only details show.
    pub(crate) b: u64,
    /// The serial number of the last change of a column that moves with the version, or of the children.
    pub(crate) serial: u64,
    pub(crate) tide: u64,
    pub(crate) members: Vec<u64>,
    pub(crate) poison: bool,
}

/// All records of the simulated source.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// The records that were absent from an entity type at some time, each with the serial number of the last change
    /// that made the record absent.
    pub(crate) absences: BTreeMap<(u64, usize), u64>,
    /// The entity types and versions that each record had, with the serial numbers of the changes.
    history: BTreeMap<u64, Vec<(usize, i64, u64)>>,
    /// The accounts that each document named after each of its changes, by the serial number of the change.
    named: BTreeMap<(u64, u64), Vec<u64>>,
    /// The last change that moved each account: the document and the serial number.
    moved: BTreeMap<u64, (u64, u64)>,
    serial: u64,
    next_id: u64,
}

/// A change, for the webhook about it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) id: u64,
    pub(crate) kind: usize,
    pub(crate) serial: u64,
    pub(crate) deleted: bool,
    /// The body of the record; `None` if the record is deleted.
    pub(crate) body: Option<String>,
}

impl Book {
    fn tick(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn create(&mut self, kind: usize, now: i64, dice: &Dice, poison: bool) -> Change {
        self.next_id += 1;
        self.enter(self.next_id, kind, now, dice, poison)
    }

    fn enter(&mut self, id: u64, kind: usize, now: i64, dice: &Dice, poison: bool) -> Change {
        let serial = self.tick();
        let members = self.members(kind, serial, dice);
        let entry = Entry {
            kind,
            created: serial,
            version: now,
            a: serial,
            b: serial,
            serial,
            tide: serial,
            members,
            poison,
        };
        self.entries.insert(id, entry);
        self.post(id, serial, &[]);
        if let Some(sibling) = KINDS[kind].sibling {
            self.absences.insert((id, sibling), serial);
        }
        self.changed(id, now)
    }

    fn changed(&mut self, id: u64, now: i64) -> Change {
        let entry = &self.entries[&id];
        self.history.entry(id).or_default().push((entry.kind, now, entry.serial));
        let body = Some(body(id, entry, false).to_string());
        Change { id, kind: entry.kind, serial: entry.serial, deleted: false, body }
    }

    /// Changes a record of this entity type at random. `None` means that the source sends no webhook of the change.
    pub(crate) fn change(&mut self, kind: usize, now: i64, dice: &Dice, poison: bool) -> Option<Change> {
        let ids: Vec<u64> =
            self.entries.iter().filter(|(_, entry)| entry.kind == kind).map(|(id, _)| *id).collect();
        if ids.is_empty() || dice.permille(60) {
            return Some(self.create(kind, now, dice, poison));
        }
        let id = ids[dice.index(ids.len())];
        let serial = self.tick();
        let before = self.entries[&id].members.clone();
        match dice.below(20) {
            0 | 1 if ids.len() > 1 => return Some(self.delete(id, serial)),
            2 if kind != DEEDS => {
                // A deleted record comes back under its id.
                let gone =
                    self.absences.keys().find(|(id, of)| *of == kind && !self.entries.contains_key(id));
                let gone = gone.map(|(id, _)| *id)?;
                return Some(self.enter(gone, kind, now, dice, false));
            }
            3 | 4 if KINDS[kind].volatile => {
                self.entries.get_mut(&id)?.tide = serial;
                return None;
            }
            5 | 6 => {
                if let Some(sibling) = KINDS[kind].sibling {
                    self.absences.insert((id, kind), serial);
                    self.entries.get_mut(&id)?.kind = sibling;
                }
            }
            7..=9 if !KINDS[kind].schema.children.is_empty() => {
                let members = self.members(kind, serial, dice);
                self.entries.get_mut(&id)?.members = members;
            }
            10..=14 => self.entries.get_mut(&id)?.b = serial,
            _ => self.entries.get_mut(&id)?.a = serial,
        }
        let entry = self.entries.get_mut(&id)?;
        entry.serial = serial;
        entry.version = now;
        self.post(id, serial, &before);
        Some(self.changed(id, now))
    }

    /// Changes a column of a record.
    pub(crate) fn touch(&mut self, id: u64, now: i64) -> Option<Change> {
        let serial = self.tick();
        let entry = self.entries.get_mut(&id)?;
        (entry.a, entry.serial, entry.version) = (serial, serial, now);
        Some(self.changed(id, now))
    }

    fn delete(&mut self, id: u64, serial: u64) -> Change {
        let gone = self.entries.remove(&id);
        let (kind, before) = gone.map_or((0, Vec::new()), |entry| (entry.kind, entry.members));
        if kind == DEEDS {
            self.move_accounts(id, serial, &before);
        }
        self.absences.insert((id, kind), serial);
        Change { id, kind, serial, deleted: true, body: None }
    }

    /// Returns new members of a record: accounts for a document, and numbers for a set.
    fn members(&self, kind: usize, serial: u64, dice: &Dice) -> Vec<u64> {
        match kind {
            3 => members(serial, dice),
            DEEDS => {
                let accounts = self.entries.iter().filter(|(_, entry)| entry.kind == ACCOUNTS);
                accounts.map(|(id, _)| *id).filter(|_| dice.permille(400)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Moves the accounts that a document names now or named before its change.
    fn post(&mut self, id: u64, serial: u64, before: &[u64]) {
        let Some(now) = self.entries.get(&id).filter(|entry| entry.kind == DEEDS) else { return };
        let now = now.members.clone();
        self.named.insert((id, serial), now.clone());
        self.move_accounts(id, serial, before);
        self.move_accounts(id, serial, &now);
    }

    fn move_accounts(&mut self, document: u64, serial: u64, accounts: &[u64]) {
        for account in accounts {
            if let Some(entry) = self.entries.get_mut(account) {
                entry.tide = serial;
                self.moved.insert(*account, (document, serial));
            }
        }
    }

    /// Returns the last change that moved an account: the document and the serial number.
    pub(crate) fn moved(&self, account: u64) -> Option<(u64, u64)> {
        self.moved.get(&account).copied()
    }

    /// Returns true if a document named an account after this change.
    pub(crate) fn names(&self, document: u64, serial: u64, account: u64) -> bool {
        self.named.get(&(document, serial)).is_some_and(|named| named.contains(&account))
    }

    /// Returns the newest version that a record had as this type up to a second. `None` means that the record became
    /// absent from the type after that version.
    pub(crate) fn version_by(&self, id: u64, kind: usize, second: i64) -> Option<i64> {
        let mut versions =
            self.history.get(&id)?.iter().filter(|(of, version, _)| *of == kind && *version <= second);
        let (_, version, serial) = versions.next_back()?;
        let absent = self.absences.get(&(id, kind)).is_some_and(|absent| absent > serial);
        (!absent).then_some(*version)
    }
}

fn members(serial: u64, dice: &Dice) -> Vec<u64> {
    // Some sets are so large that their shrinking is confirmed before it is written.
    let count = if dice.permille(300) { 20 + dice.below(5) } else { dice.below(6) };
    (0..count).map(|n| serial * 100 + n).collect()
}

/// Returns the record as JSON; with `list`, as its list shows it.
pub(crate) fn body(id: u64, entry: &Entry, list: bool) -> Value {
    let kind = &KINDS[entry.kind];
    let mut body = Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("kind".to_owned(), json!(entry.kind)),
        ("a".to_owned(), json!(entry.a)),
        ("poison".to_owned(), json!(entry.poison)),
    ]);
    if kind.versioned {
        body.insert("version".to_owned(), json!(entry.version));
    }
    if kind.volatile {
        body.insert("tide".to_owned(), json!(entry.tide));
    }
    if !list || !kind.needs_detail {
        body.insert("b".to_owned(), json!(entry.b));
        body.insert("serial".to_owned(), json!(entry.serial));
        if !kind.schema.children.is_empty() {
            body.insert("members".to_owned(), json!(entry.members));
        }
    }
    Value::Object(body)
}
