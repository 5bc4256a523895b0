//! What both sides have in common: the base of a merge.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Pushing;
use crate::{
    outbound::{LocalRecord, Mode, Sent, Settlement, Values, identity, is_respelled, recognize},
    record::{Fields, Observed, Payload, Record, Shape, SourcePayload, same_value},
};

/// What both sides have in common.
pub(super) struct Common {
    /// The last common state; `None` if there is none.
    pub(super) base: Option<Record>,
    /// The rows of that state, without what earlier writes of the push have changed.
    rows: BTreeMap<String, Vec<Fields>>,
    /// The record of the target. Rows that an earlier write has created have the ids that the source gave them.
    pub(super) record: LocalRecord,
}

impl Pushing<'_> {
    /// Returns the base of the merge: the last common state, put together from what the source sent. A base that cannot be
    /// decoded counts as no base.
    pub(super) fn base(&self) -> Option<Record> {
        let (json, shape) = self.push.base.clone()?;
        let mut base = self.decoded(json, shape)?;
        for earlier in self.push.earlier.iter().rev() {
            let state = self.decoded(Payload::new(earlier.raw.as_str()), earlier.shape)?;
            base.version = state.version;
            let is_of_it = |name: &String| earlier.names.as_ref().is_none_or(|names| names.contains(name));
            base.fields.retain(|name, _| !is_of_it(name));
            base.fields.extend(state.fields.into_iter().filter(|(name, _)| is_of_it(name)));
            base.volatile.retain(|name, _| !is_of_it(name));
            base.volatile.extend(state.volatile.into_iter().filter(|(name, _)| is_of_it(name)));
            base.children.retain(|name, _| !is_of_it(name));
            base.children.extend(state.children.into_iter().filter(|(name, _)| is_of_it(name)));
        }
        base.fields.extend(self.push.kept.fields.clone());
        base.children.extend(self.push.kept.children.clone());
        Some(base)
    }

    /// Returns the state in which the first create may have made the record. What the source does not show, or shows as its
    /// own, may not have been written: a create can take several calls.
    fn created(&self, sent: &Sent, remote: &Record) -> Record {
        let mut base = Record { version: None, ..remote.clone() };
        for columns in [&mut base.fields, &mut base.volatile] {
            columns.retain(|name, value| {
                let is_unfinished = is_empty(value) || self.handler.writer.is_unfinished(name, value);
                let sent =
                    sent.values.fields.get(name).filter(|_| !is_unfinished && self.is_writable(name, false));
                sent.map(|sent| value.clone_from(sent)).is_some()
            });
        }
        base.children.retain(|table, _| sent.values.children.contains_key(table));
        base.children.values_mut().for_each(Vec::clear);
        base
    }

    fn decoded(&self, json: Payload, shape: Shape) -> Option<Record> {
        let source = self.handler.source.as_ref()?;
        let at = self.push.changed_at;
        let payload = SourcePayload { shape, observed: Observed::Push(at), json };
        source.decode(&payload).ok()
    }

    /// Returns what both sides have in common, as far as the source shows it. What the source shows as an earlier write of
    /// this push sent it is no change of others.
    pub(super) fn common(&self, record: &LocalRecord, remote: &Record) -> Common {
        let sent = &self.push.sent;
        let created = || sent.iter().find(|sent| sent.creates).map(|sent| self.created(sent, remote));
        let Some(base) = self.base().or_else(created) else {
            return Common { base: None, rows: BTreeMap::new(), record: record.clone() };
        };
        let is_taken = |column: &str| self.is_writable(column, true);
        let rows = base.children.clone();
        let (mut base, record) = recognize(sent, &base, record, remote, &is_taken);
        // A target that is the primary leaves differences as drift.
        if self.push.mode.mode != Mode::TargetPrimary && sent.iter().any(|sent| sent.guessed) {
            doubt(&mut base, &record, remote);
        }
        Common { base: Some(base), rows, record }
    }
}

/// Leaves out of a guessed base what it says about differences: nobody knows which side has changed.
fn doubt(base: &mut Record, record: &LocalRecord, remote: &Record) {
    forget(&mut base.fields, &record.fields, &remote.fields);
    for (table, rows) in &mut base.children {
        let (Some(ours), Some(theirs)) = (record.children.get(table), remote.children.get(table)) else {
            continue;
        };
        let Some(identity) = identity(rows, ours, theirs) else { continue };
        for row in rows {
            let is_same = |other: &&Fields| other.get(identity) == row.get(identity);
            if let (Some(ours), Some(theirs)) = (ours.iter().find(is_same), theirs.iter().find(is_same)) {
                forget(row, ours, theirs);
            }
        }
    }
}

/// Takes the values out of a base that are the target's and not the source's.
fn forget(base: &mut Fields, target: &Fields, source: &Fields) {
    for (name, value) in base {
        let is_unchanged = target.get(name).is_none_or(|ours| same_value(ours, value));
        let is_shown = source.get(name).is_none_or(|theirs| is_respelled(value, theirs));
        if is_unchanged && !is_shown {
            *value = Value::Null;
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

impl Common {
    /// Returns the base's values of what the source won.
    pub(super) fn before(&self, settlement: &Settlement) -> Values {
        let Some(base) = &self.base else { return Values::default() };
        let value = |name: &String| base.fields.get(name).or_else(|| base.volatile.get(name));
        let fields = settlement.take.keys().filter_map(|name| Some((name.clone(), value(name)?.clone())));
        let rows = |table: &String| Some((table.clone(), self.rows.get(table)?.clone()));
        Values { fields: fields.collect(), children: settlement.take_rows.keys().filter_map(rows).collect() }
    }

    /// Returns the child tables whose rows get ids that the source has given them.
    pub(super) fn recognized(&self, record: &LocalRecord) -> BTreeMap<String, Vec<Fields>> {
        let is_other = |(table, rows): &(&String, &Vec<Fields>)| record.children.get(*table) != Some(*rows);
        let tables = self.record.children.iter().filter(is_other);
        tables.map(|(table, rows)| (table.clone(), rows.clone())).collect()
    }
}
