//! Mode `shadow`: what would be pushed is computed from what is known, without a call.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Pushing, not_written, remove::removal};
use crate::{
    error::Result,
    handler::Handled,
    mirror::{FieldDifference, compare_rows},
    outbound::{LocalRecord, Operation, Settled, Settlement, WOULD_BE_REFUSED, WriteError, column_of},
    queue::Outcome,
    record::{Record, same_value},
};

impl Pushing<'_> {
    pub(super) async fn shadow(&self) -> Result<Handled> {
        let mut settlement = Settlement::new(Settled::Shadow);
        let checked = match (&self.push.record, self.push.operation) {
            (None, _) | (_, Operation::Delete) => {
                let exists = self.push.link.remote_id.is_some();
                settlement.differences.extend(exists.then(removal));
                Ok(())
            }
            (Some(record), Operation::Upsert) => {
                let base = self.base().filter(|_| self.push.link.remote_id.is_some());
                settlement.differences = match &base {
                    Some(base) => self.changes(base, record),
                    None => self.all_fields(record),
                };
                let changed: BTreeSet<String> =
                    settlement.differences.iter().map(|it| column_of(&it.field).to_owned()).collect();
                let exists = self.push.link.remote_id.is_some();
                self.handler.writer.check(record, exists.then_some(&changed))
            }
        };
        settlement.note = match checked {
            Ok(()) if self.push.operation == Operation::Delete => None,
            Ok(()) if self.push.link.remote_id.is_none() => not_written(&self.withheld),
            Ok(()) => self.hidden(&BTreeSet::new()),
            Err(error @ WriteError::WaitsFor(_)) => Some(format!("the push would have waited: {error}")),
            Err(error) => Some(format!("{WOULD_BE_REFUSED}{error}")),
        };
        self.settle(&settlement).await?;
        Ok(Handled::Done(Outcome::Unchanged))
    }

    /// Returns the columns and rows of a record that would be created.
    pub(super) fn all_fields(&self, record: &LocalRecord) -> Vec<FieldDifference> {
        let is_written = |column: &str| self.is_writable(column, false);
        let columns = record.fields.iter().filter(|(name, value)| !value.is_null() && is_written(name));
        let columns = columns.map(|(name, value)| added(name.clone(), value.clone()));
        let tables = record.children.iter().filter(|(table, _)| is_written(table));
        let rows = tables.flat_map(|(table, rows)| {
            rows.iter().enumerate().map(move |(index, row)| {
                added(format!("{table}[#{}]", index + 1), Value::Object(row.clone()))
            })
        });
        columns.chain(rows).collect()
    }

    /// Returns how the record differs from the last common state.
    fn changes(&self, base: &Record, record: &LocalRecord) -> Vec<FieldDifference> {
        let is_touched =
            |column: &str| self.push.fields.as_ref().is_none_or(|fields| fields.contains(column));
        let columns = base.fields.iter().filter(|(name, _)| is_touched(name) && self.is_writable(name, true));
        let differing = columns.filter_map(|(name, source)| {
            let target = record.fields.get(name).unwrap_or(&Value::Null);
            let differs = !same_value(source, target);
            differs.then(|| FieldDifference {
                field: name.clone(),
                source: source.clone(),
                target: target.clone(),
            })
        });
        let tables =
            base.children.iter().filter(|(table, _)| is_touched(table) && self.is_writable(table, true));
        let rows = tables.flat_map(|(table, rows)| {
            compare_rows(table, rows, record.children.get(table).map_or(&[][..], Vec::as_slice))
        });
        differing.chain(rows).collect()
    }
}

fn added(field: String, target: Value) -> FieldDifference {
    FieldDifference { field, source: Value::Null, target }
}
