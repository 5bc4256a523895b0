//! The mirror: rows as maps.

use std::collections::HashMap;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore, Row,
    state::{MirrorRecord, State},
};
use crate::{
    Applied, Child, Content, EntityType, Error, Fields, Mirror, MirrorSchema, Observed, Outcome, Read,
    Record, RecordId, RecordKey, RereadReason, Result, Shape, Suspect, SyncState, Verdict, content_hash,
    guard, list_hash, volatile_hash,
};

#[async_trait]
impl Mirror for MemoryStore {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        let state = self.state();
        let known = ids.iter().filter_map(|id| {
            let record = state.records.get(&RecordKey::new(entity.clone(), id.clone()))?;
            Some((id.clone(), record.state.clone()))
        });
        Ok(known.collect())
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let now = self.now();
        let mut state = self.state();
        reads.into_iter().map(|read| state.apply_read(schema, read, now)).collect()
    }
}

impl State {
    fn apply_read(&mut self, schema: &MirrorSchema, read: Read, now: OffsetDateTime) -> Result<Applied> {
        if read.key.entity != schema.entity {
            return Err(Error::invalid(format!("{} does not belong to {}", read.key, schema.entity)));
        }
        let accepted = self.records.get(&read.key).map(|record| &record.state);
        match guard(accepted, &read) {
            Verdict::Stale => Ok(Applied::Done(Outcome::Stale)),
            Verdict::Reread(reason) => Ok(self.reread(&read, reason)),
            Verdict::Unchanged => {
                self.seen_again(&read);
                Ok(Applied::Done(Outcome::Unchanged))
            }
            Verdict::Apply { .. } if self.refused.contains(&read.key) => {
                Err(Error::invalid(format!("{} breaks a constraint of the target", read.key)))
            }
            Verdict::Apply { stable, volatile } => match &read.content {
                Content::Absent => {
                    self.bury_record(schema, &read, now);
                    Ok(Applied::Done(Outcome::Deleted))
                }
                Content::Present(record) if stable && self.shrinks(schema, record) => {
                    Ok(self.reread(&read, RereadReason::Shrunk))
                }
                Content::Present(record) => {
                    self.write(schema, &read, record, (stable, volatile), now);
                    Ok(Applied::Done(Outcome::Applied))
                }
            },
        }
    }

    /// Remembers an implausible read, so that a second one confirms it.
    fn reread(&mut self, read: &Read, reason: RereadReason) -> Applied {
        let implausible = matches!(reason, RereadReason::SourceWentBack | RereadReason::Shrunk);
        if let (true, Some(known)) = (implausible, self.records.get_mut(&read.key)) {
            known.state.suspect = Some(Suspect { version: version_of(read), reason });
        }
        Applied::Reread(reason)
    }

    /// Nothing new; but it was seen so later than before.
    fn seen_again(&mut self, read: &Read) {
        let (Some(known), Observed::Call(seen)) = (self.records.get_mut(&read.key), read.observed) else {
            return;
        };
        if seen.ended > known.state.observed.interval().ended {
            known.state.observed = read.observed;
            known.state.suspect = None;
        }
        if read.shape == Shape::Detail && read.content != Content::Absent {
            known.state.detail_seen = known.state.detail_seen.max(Some(seen.began));
        }
        if let Some(listed) = &read.listed {
            known.state.list_hash = Some(listed.clone());
        }
    }

    fn bury_record(&mut self, schema: &MirrorSchema, read: &Read, now: OffsetDateTime) {
        let known = self.records.entry(read.key.clone()).or_insert_with(|| unknown(read, now));
        known.state.deleted = true;
        known.state.observed = read.observed;
        known.state.suspect = None;
        if let Some(row) = &mut known.row {
            row.deleted_at = Some(now);
            row.synced_at = now;
        }
        if schema.head.is_none() {
            // Without a head row there is nothing that could carry the tombstone.
            self.children.retain(|(table, owner), _| {
                *owner != read.key.id || !schema.children.iter().any(|child| child.table == table)
            });
        }
    }

    /// True where a set of children became implausibly small and no earlier read showed the same.
    fn shrinks(&self, schema: &MirrorSchema, record: &Record) -> bool {
        let key = RecordKey::new(schema.entity.clone(), record.id.clone());
        let suspect = self.records.get(&key).and_then(|known| known.state.suspect.as_ref());
        let confirmed = suspect.is_some_and(|suspect| {
            suspect.reason == RereadReason::Shrunk && suspect.version == record.version
        });
        let shrinks = |child: &&Child| {
            let Some(new) = record.children.get(child.table) else { return false };
            let old = self.children.get(&(child.table.to_owned(), record.id.clone())).map_or(0, Vec::len);
            old > 0 && new.is_empty() || old >= 20 && new.len() * 2 < old
        };
        !confirmed && schema.children.iter().filter(|child| child.confirm_shrink).any(|child| shrinks(&child))
    }

    fn write(
        &mut self,
        schema: &MirrorSchema,
        read: &Read,
        record: &Record,
        (stable, volatile): (bool, bool),
        now: OffsetDateTime,
    ) {
        let known = self.records.entry(read.key.clone()).or_insert_with(|| unknown(read, now));
        let whole_before = known.state.detail_hash.is_some();
        known.state.accept(read, record, stable, volatile);
        if schema.head.is_some() {
            let row = known.row.get_or_insert_with(|| Row {
                fields: Fields::new(),
                raw: record.raw.clone(),
                synced_at: now,
                deleted_at: None,
            });
            if stable {
                row.fields.extend(record.fields.clone());
                row.deleted_at = None;
            }
            if volatile {
                row.fields.extend(record.volatile.clone());
            }
            if stable && (read.shape != Shape::List || !whole_before) {
                row.raw = record.raw.clone();
            }
            row.synced_at = now;
        }
        if !stable {
            return;
        }
        for child in schema.children {
            let Some(rows) = record.children.get(child.table) else { continue };
            let owned = rows.iter().cloned().map(|mut row| {
                row.insert(child.owner.to_owned(), record.id.as_str().into());
                row
            });
            self.children.insert((child.table.to_owned(), record.id.clone()), owned.collect());
        }
    }
}

impl SyncState {
    /// Takes over what an accepted read shows.
    fn accept(&mut self, read: &Read, record: &Record, stable: bool, volatile: bool) {
        let seen = read.observed.interval();
        if stable {
            self.version = record.version;
            self.deleted = false;
            match read.shape {
                Shape::List => self.list_hash = Some(list_hash(record)),
                Shape::Detail | Shape::Webhook => {
                    self.detail_hash = Some(content_hash(record));
                    self.detail_version = record.version;
                    self.detail_seen = Some(seen.began);
                }
            }
        } else if read.shape == Shape::List {
            self.list_hash = Some(list_hash(record));
        } else if read.shape == Shape::Detail {
            self.detail_seen = self.detail_seen.max(Some(seen.began));
        }
        if read.listed.is_some() {
            self.list_hash.clone_from(&read.listed);
        }
        if let (true, Some(hash)) = (volatile, volatile_hash(record)) {
            self.volatile_hash = Some(hash);
            self.volatile_seen = Some(seen.began);
        }
        if stable || seen.ended > self.observed.interval().ended {
            self.observed = read.observed;
        }
        self.suspect = None;
    }
}

fn unknown(read: &Read, now: OffsetDateTime) -> MirrorRecord {
    let state = SyncState {
        version: None,
        observed: read.observed,
        list_hash: None,
        detail_hash: None,
        detail_version: None,
        detail_seen: None,
        volatile_hash: None,
        volatile_seen: None,
        deleted: false,
        suspect: None,
    };
    MirrorRecord { state, first_seen_at: now, row: None }
}

fn version_of(read: &Read) -> Option<OffsetDateTime> {
    match &read.content {
        Content::Present(record) => record.version,
        Content::Absent => None,
    }
}
