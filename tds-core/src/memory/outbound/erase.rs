//! The erasure of local changes, conflicts and links.

use time::OffsetDateTime;

use super::state::{Entry, LinkRow, LocalKey, OutboundState};
use crate::{memory::Row, outbound::EntryStatus, privacy::Persons};

/// What took the place of a note.
const ERASED: &str = "erased";

impl OutboundState {
    /// Returns true if the local record has an id at the source.
    pub(in crate::memory) fn is_linked(&self, key: &LocalKey) -> bool {
        !self.unlinked.contains_key(key)
    }

    /// Iterates over the rows without an id at the source.
    pub(in crate::memory) fn unlinked_rows(&mut self) -> impl Iterator<Item = (&LocalKey, &mut Row)> {
        self.unlinked.iter_mut().map(|(key, unlinked)| (key, &mut unlinked.row))
    }

    /// Erases what is kept of a record, and what says who it is in what is kept of documents. Pushes that were loaded before
    /// are refused. Returns the number of changes, conflicts and links.
    pub(in crate::memory) fn erase(
        &mut self,
        own: Option<&LocalKey>,
        documents: &[LocalKey],
        persons: &Persons,
        now: OffsetDateTime,
    ) -> u64 {
        for (entity, mode) in &mut self.modes {
            if own.into_iter().chain(documents).any(|key| key.0 == *entity) {
                mode.epoch += 1;
            }
        }
        let mut count = 0;
        for entry in self.entries.values_mut() {
            if Some(&entry.key) == own {
                discard(entry, now);
            } else if documents.contains(&entry.key) {
                persons.redact_differences(&entry.key.0, &mut entry.differences);
                entry.note = entry.note.take().map(|_| ERASED.to_owned());
            } else {
                continue;
            }
            count += 1;
        }
        let before = self.conflicts.len();
        let is_of = |kept: &super::state::Kept, key: &LocalKey| {
            (&kept.shown.entity, kept.shown.local_id) == (&key.0, key.1)
        };
        self.conflicts.retain(|_, kept| !own.is_some_and(|own| is_of(kept, own)));
        count += (before - self.conflicts.len()) as u64;
        for kept in self.conflicts.values_mut().filter(|kept| documents.iter().any(|key| is_of(kept, key))) {
            persons.redact_conflicts(&kept.shown.entity, &mut kept.shown.fields, &mut kept.decisions);
            count += 1;
        }
        for (key, link) in &mut self.links {
            if Some(key) == own {
                (link.earlier, link.kept, link.sent) = Default::default();
            } else if documents.contains(key) {
                redact(link, key, persons);
            } else {
                continue;
            }
            count += 1;
        }
        count
    }
}

fn discard(entry: &mut Entry, now: OffsetDateTime) {
    if entry.is_open() {
        entry.status = EntryStatus::Discarded;
    }
    entry.settled_at = entry.settled_at.or(Some(now));
    (entry.relayed, entry.conflict, entry.note) = (true, None, Some(ERASED.to_owned()));
    entry.differences.clear();
}

fn redact(link: &mut LinkRow, (entity, _): &LocalKey, persons: &Persons) {
    for state in &mut link.earlier {
        if let Some(raw) = persons.redaction().and_then(|it| it.json(entity, &state.raw)) {
            state.raw = raw;
        }
    }
    for values in link.sent.iter_mut().map(|sent| &mut sent.values).chain([&mut link.kept]) {
        values.fields.retain(|column, _| !persons.columns(entity).contains(&column.as_str()));
    }
}
