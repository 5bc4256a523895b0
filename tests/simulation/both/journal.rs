//! The journal of edits. Every value is the serial number of the edit that wrote it, so that it is known what became of
//! each edit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tds_core::record::EntityType;
use time::OffsetDateTime;

/// The record that was edited, as it was known then.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) entity: EntityType,
    pub(crate) local_id: Option<i64>,
    pub(crate) remote_id: Option<String>,
}

/// An edit of one field.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) who: Who,
    pub(crate) field: String,
    pub(crate) at: OffsetDateTime,
    /// A user of the source made the edit.
    pub(crate) at_source: bool,
    /// The edits that this one knowingly wrote over.
    pub(crate) over: Vec<u64>,
}

/// All edits.
#[derive(Default)]
pub(crate) struct Journal {
    last: u64,
    pub(crate) edits: BTreeMap<u64, Edit>,
    /// The records that programs removed, which is an edit of all that they showed, and when.
    pub(crate) removals: Vec<(Who, OffsetDateTime)>,
    /// The lines that were removed by an edit, or together with lines that nobody had seen.
    pub(crate) removed: BTreeSet<u64>,
    /// Those of them that users of the source removed.
    pub(crate) removed_at_source: BTreeSet<u64>,
    /// Those of them that a write has added again.
    pub(crate) written_again: BTreeSet<u64>,
}

impl Journal {
    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Notes an edit, and returns its serial number.
    pub(crate) fn edit(
        &mut self,
        who: &Who,
        field: &str,
        at: OffsetDateTime,
        at_source: bool,
        over: Option<&Value>,
    ) -> u64 {
        let serial = self.next();
        let over = over.and_then(serial_of).into_iter().collect();
        self.edits.insert(serial, Edit { who: who.clone(), field: field.to_owned(), at, at_source, over });
        serial
    }

    /// Notes that a write of the engine replaced a value at the source that was entered after the engine had read the
    /// record: no source offers a write that would refuse this.
    pub(crate) fn raced(&mut self, written: &Value, replaced: &Value, read: Option<OffsetDateTime>) {
        let (Some(written), Some(replaced)) = (serial_of(written), serial_of(replaced)) else { return };
        let Some(old) = self.edits.get(&replaced) else { return };
        let is_race = old.at_source && read.is_some_and(|read| old.at >= read);
        if is_race && let Some(edit) = self.edits.get_mut(&written) {
            edit.over.push(replaced);
        }
    }

    /// Notes that a write of the engine removed a line that was entered after the engine had read the record.
    pub(crate) fn raced_line(&mut self, line: u64, read: Option<OffsetDateTime>) {
        let edit = self.edits.get(&line);
        if edit.is_some_and(|edit| edit.at_source && read.is_some_and(|read| edit.at >= read)) {
            self.removed.insert(line);
        }
    }

    /// Notes that a write that is repeated adds a line which a user of the source has removed since: nothing shows that the
    /// line was there.
    pub(crate) fn written_again(&mut self, line: &Value) {
        if let Some(line) = serial_of(line)
            && self.removed_at_source.remove(&line)
        {
            self.removed.remove(&line);
            self.written_again.insert(line);
        }
    }

    /// Returns these edits, and every edit that one of them knowingly wrote over.
    pub(crate) fn behind(&self, serials: BTreeSet<u64>) -> BTreeSet<u64> {
        let (mut known, mut open) = (serials.clone(), Vec::from_iter(serials));
        while let Some(serial) = open.pop() {
            for over in self.edits.get(&serial).into_iter().flat_map(|edit| &edit.over) {
                if known.insert(*over) {
                    open.push(*over);
                }
            }
        }
        known
    }
}

/// Returns the serial number that a value is.
pub(crate) fn serial_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.get(1..)?.parse().ok(),
        _ => None,
    }
}

/// Returns all serial numbers in a value.
pub(crate) fn serials_in(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| serials_in(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| serials_in(field, found)),
        other => found.extend(serial_of(other)),
    }
}
