//! The link of a local record with the record at the source.

use super::state::{LocalKey, Unlinked};
use crate::{
    error::{Error, Result},
    memory::{
        Row,
        state::{MirrorRecord, State},
    },
    outbound::EntryStatus,
    record::{RecordId, RecordKey},
};

impl State {
    /// Stores the id that a local record has at the source.
    pub(super) fn link(&mut self, key: &LocalKey, id: &RecordId) -> Result<()> {
        let remote = RecordKey::new(key.0.clone(), id.clone());
        let other = self.outbound.local_ids.get(&remote).copied().filter(|other| *other != key.1);
        let other = other.map(|other| (key.0.clone(), other));
        let is_created =
            |other: &LocalKey| self.outbound.links.get(other).is_some_and(|link| link.was_created);
        if other.as_ref().is_some_and(is_created) {
            return Err(Error::conflict(format!("{remote} is the record of another local row")));
        }
        let link = self.outbound.links.entry(key.clone()).or_default();
        link.in_doubt_since = None;
        match &link.remote_id {
            Some(known) if known == id => return Ok(()),
            Some(known) => {
                return Err(Error::conflict(format!(
                    "{} {} is {known} at the source, and not {id}",
                    key.0, key.1
                )));
            }
            None => link.was_created = true,
        }
        if let Some(other) = &other {
            self.merge_other(other, key);
        }
        self.outbound.links.entry(key.clone()).or_default().remote_id = Some(id.clone());
        self.outbound.local_ids.insert(remote.clone(), key.1);
        if let Some(Unlinked { mut row, children }) = self.outbound.unlinked.remove(key) {
            for (table, rows) in children {
                self.set_local_rows(key, &table, rows);
            }
            self.put_row(&remote, &mut row);
        } else if let Some(known) = self.records.get_mut(&remote) {
            // The local row is gone: the push that follows removes the record.
            known.row = None;
        }
        self.repoint(&other.unwrap_or_else(|| key.clone()), key);
        self.repoint(key, key);
        Ok(())
    }

    /// Puts the local row in the place of the row that the mirror wrote. What the source sent stays.
    fn put_row(&mut self, remote: &RecordKey, row: &mut Row) {
        let now = self.now.0;
        let known = self.records.entry(remote.clone()).or_insert_with(|| MirrorRecord {
            state: None,
            first_seen_at: now,
            row: None,
        });
        if let Some(mirrored) = known.row.take() {
            row.raw = mirrored.raw;
        }
        known.row = Some(row.clone());
    }

    /// Moves what programs changed in the other row of a record to the local row that stays, unless they changed that one
    /// later.
    fn merge_other(&mut self, other: &LocalKey, key: &LocalKey) {
        let other_row = self.local_row(other).cloned();
        let newest = self.outbound.open(key).map(|(_, entry)| entry.captured_at).max();
        for entry in self.outbound.entries.values_mut().filter(|entry| entry.key == *other) {
            entry.key = key.clone();
            // The item that carries the change is about the other row.
            entry.relayed = false;
            let is_newer =
                entry.status == EntryStatus::Pending && newest.is_none_or(|at| entry.captured_at > at);
            let Some(fields) = entry.fields.as_ref().filter(|_| is_newer) else { continue };
            let (Some(from), Some(to)) = (&other_row, self.outbound.unlinked.get_mut(key)) else { continue };
            for name in fields {
                if let Some(value) = from.fields.get(name) {
                    to.row.fields.insert(name.clone(), value.clone());
                }
            }
        }
        self.outbound.links.remove(other);
    }
}
