//! The places at which the store keeps values of records.

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    memory::{findings::Decided, outbound::LocalKey, state::State},
    mirror::MirrorSchema,
    privacy::{ErasedCounts, PARTIES, names},
    queue::{ItemStatus, Work, WorkKey},
    record::{Fields, Payload, RecordId, RecordKey},
};

/// What took the place of the log of a run that named an erased record.
const REMOVED: &str = "the text was removed, because it named a record that was erased";

impl State {
    /// Erases a record at every place, and what says who it is at the places of documents that name it.
    pub(super) fn erase(&mut self, schema: &MirrorSchema, key: &RecordKey) -> ErasedCounts {
        let local_id = self.outbound.local_id(key);
        let own = local_id.map(|id| (key.entity.clone(), id));
        let mut counts = ErasedCounts { rows: self.erase_rows(schema, key), ..ErasedCounts::default() };
        let (documents, local) = self.erase_documents(key, local_id);
        counts.documents =
            (documents.len() + local.iter().filter(|it| !self.outbound.is_linked(it)).count()) as u64;
        let ids: HashSet<RecordId> =
            documents.iter().chain([key]).map(|document| document.id.clone()).collect();
        let mut concerned: HashSet<WorkKey> =
            documents.into_iter().chain([key.clone()]).map(Into::into).collect();
        let outbound = |(entity, id): &LocalKey| WorkKey::outbound(entity.clone(), id.to_string());
        concerned.extend(local.iter().chain(&own).map(outbound));
        counts.events = self.erase_events(key.id.as_str(), &ids, &mut concerned);
        counts.items = self.erase_items(key.id.as_str(), &mut concerned);
        counts.findings = self.erase_findings(key, &concerned);
        counts.changes = self.outbound.erase(own.as_ref(), &local, &self.persons, self.now.0);
        counts
    }

    fn erase_rows(&mut self, schema: &MirrorSchema, key: &RecordKey) -> u64 {
        let now = self.now.0;
        self.children.retain(|(table, owner), _| {
            *owner != key.id || !schema.children.iter().any(|child| child.table == table)
        });
        let Some(record) = self.records.get_mut(key) else { return 0 };
        if let Some(state) = &mut record.state {
            (state.list_hash, state.detail_hash, state.volatile_hash) = (None, None, None);
            (state.suspect, state.spelled, state.deleted) = (None, Vec::new(), true);
        }
        let Some(row) = &mut record.row else { return 0 };
        row.fields.clear();
        row.raw = Payload::new("{}");
        row.deleted_at = row.deleted_at.or(Some(now));
        1
    }

    /// Removes from documents what says who the person is. Returns those that the source has, and the local keys of all.
    fn erase_documents(&mut self, key: &RecordKey, local_id: Option<i64>) -> (Vec<RecordKey>, Vec<LocalKey>) {
        let Some(is_named) = naming(key, local_id) else { return Default::default() };
        let (mut documents, mut local) = (Vec::new(), Vec::new());
        for (document, record) in &mut self.records {
            if let Some(row) = record.row.as_mut().filter(|row| is_named(&row.fields)) {
                self.persons.blank(&document.entity, &mut row.fields, &mut row.raw);
                local.extend(self.outbound.local_id(document).map(|id| (document.entity.clone(), id)));
                documents.push(document.clone());
            }
        }
        for (document, row) in self.outbound.unlinked_rows().filter(|(_, row)| is_named(&row.fields)) {
            self.persons.blank(&document.0, &mut row.fields, &mut row.raw);
            local.push(document.clone());
        }
        (documents, local)
    }

    /// Forgets what the documents that name a person contained, so that their next reads are applied: they were written
    /// without the person, and the source has no newer versions.
    pub(super) fn forget_contents(&mut self, key: &RecordKey) {
        let Some(is_named) = naming(key, self.outbound.local_id(key)) else { return };
        for record in self.records.values_mut() {
            if let Some(state) = &mut record.state
                && record.row.as_ref().is_some_and(|row| is_named(&row.fields))
            {
                (state.list_hash, state.detail_hash) = (None, None);
            }
        }
    }

    fn erase_events(&mut self, id: &str, ids: &HashSet<RecordId>, concerned: &mut HashSet<WorkKey>) -> u64 {
        let mut count = 0;
        for event in self.events.values_mut() {
            let of: Vec<RecordId> = event
                .row
                .entity_id
                .iter()
                .map(|id| RecordId::new(id.as_str()))
                .chain(event.records.clone())
                .collect();
            let is_named = names(&event.raw_payload, id);
            if !is_named && !of.iter().any(|id| ids.contains(id)) {
                continue;
            }
            let entity = &event.row.entity_type;
            concerned.extend(of.into_iter().map(|id| WorkKey::from(RecordKey::new(entity.clone(), id))));
            let had_error = event.row.error_message.take().is_some();
            let had_body = !event.raw_payload.is_empty();
            if had_body {
                event.raw_payload.clear();
                event.row.blanked_at = Some(self.now.0);
            }
            count += u64::from(had_body || had_error);
        }
        count
    }

    fn erase_items(&mut self, id: &str, concerned: &mut HashSet<WorkKey>) -> u64 {
        let is_named = |work: &Work| {
            work.payload.as_ref().is_some_and(|payload| names(payload.json.as_str().as_bytes(), id))
        };
        let kept = self.runs.values().flat_map(|run| &run.kept).map(|(key, _, work)| (key, work));
        let all = self.items.values().map(|item| (&item.key, &item.work)).chain(kept);
        let named: Vec<WorkKey> =
            all.filter(|(_, work)| is_named(work)).map(|(key, _)| key.clone()).collect();
        concerned.extend(named);
        let mut count = 0;
        for item in self.items.values_mut().filter(|item| concerned.contains(&item.key)) {
            item.work.payload = None;
            item.error = None;
            item.attempts.iter_mut().for_each(|attempt| attempt.error = None);
            count += u64::from(item.status != ItemStatus::Completed);
        }
        for run in self.runs.values_mut() {
            for (.., work) in run.kept.iter_mut().filter(|(key, ..)| concerned.contains(key)) {
                work.payload = None;
                count += 1;
            }
            let log = run.row.error_log.as_mut();
            if let Some(log) =
                log.filter(|log| concerned.iter().any(|key| names(log.as_bytes(), key.id.as_str())))
            {
                REMOVED.clone_into(log);
            }
        }
        count
    }

    fn erase_findings(&mut self, key: &RecordKey, concerned: &HashSet<WorkKey>) -> u64 {
        let mut count = 0;
        for ((run, id), suspect) in &mut self.verifications.suspects {
            let Some(run) = self.runs.get(run) else { continue };
            let record = RecordKey::new(run.row.entity_type.clone(), id.clone());
            if !concerned.contains(&WorkKey::from(record.clone())) {
                continue;
            }
            let found = match &mut suspect.decided {
                Some(Decided::Unreadable(error)) => {
                    error.clear();
                    None
                }
                Some(Decided::Drift(finding)) => Some(&mut finding.fields),
                _ => None,
            };
            for fields in found.into_iter().chain([&mut suspect.fields]) {
                if record == *key {
                    fields.clear();
                } else {
                    self.persons.redact_differences(&record.entity, fields);
                }
            }
            count += 1;
        }
        count
    }
}

/// Returns what tells whether a document with these columns names the person; `None` if documents name no such records.
fn naming(key: &RecordKey, local_id: Option<i64>) -> Option<impl Fn(&Fields) -> bool> {
    let (party, _) = PARTIES.into_iter().find(|(_, entity)| *entity == key.entity.as_str())?;
    let local_party = party.replace("_zoho_id", "_id");
    Some(move |fields: &Fields| {
        fields.get(party).and_then(Value::as_str) == Some(key.id.as_str())
            || local_id.is_some() && fields.get(&local_party).and_then(Value::as_i64) == local_id
    })
}
