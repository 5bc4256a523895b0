//! The calls that change a record.

use std::collections::BTreeSet;

use serde_json::Value;
use tds_core::{
    outbound::{LocalRecord, Writable, WriteError},
    record::RecordId,
};

use super::{
    body,
    call::{Purpose, WriteCall},
    chosen::Stage,
    contract::{Contract, Number},
    create::part_of,
    findings::Findings,
    status,
};
use crate::answer::Method;

impl Contract {
    /// Returns the calls that bring changed columns and child tables to Zoho. A changed child table is sent as a whole
    /// list. There is no call if nothing that changed needs one.
    ///
    /// # Errors
    /// As for [`Contract::create`]; and `Refused`: a changed column cannot be written, or the record has no id in Zoho.
    pub fn update(
        &self,
        record: &LocalRecord,
        changed: &BTreeSet<String>,
        unique_field: &str,
    ) -> Result<Vec<WriteCall>, WriteError> {
        let mut found = Findings::default();
        let id = record.remote_id.as_ref().map(RecordId::as_str).unwrap_or_default();
        if id.is_empty() {
            found.problem("it does not exist in Zoho yet: it has to be created first");
        }
        for column in changed {
            if let Writable::No(reason) = self.writable(column, true) {
                found.problem(format!("{column} cannot be written: {reason}"));
            }
        }
        let in_body = changed.iter().any(|column| self.is_in_body(column));
        let body = in_body.then(|| body::of(self, record, Stage::Update(changed), unique_field, &mut found));
        let parts = self.parts.iter().filter(|part| changed.contains(part.column));
        let parts = parts.filter_map(|part| part_of(part, record)).collect::<Vec<_>>();
        let action = self.changed_status(record, changed, id, &mut found);
        found.end(self.noun)?;

        let mut calls = Vec::new();
        if let Some(body) = body {
            let mut call =
                WriteCall::on(self, Some(id), Method::Put, None, Purpose::Update).with_body(&body)?;
            if self.number.is_some_and(|number| changed.contains(number.column)) {
                call.query.push(Number::own());
            }
            calls.push(call);
        }
        for (part, fields) in parts {
            calls.push(self.on_part(Some(id), part).with_body(&fields)?);
        }
        // Zoho edits no void record: its status changes first.
        let is_void = matches!(record.remote_status.as_deref(), Some("void" | "cancelled"));
        let place = if is_void { 0 } else { calls.len() };
        if let Some(action) = action {
            calls.insert(place, action);
        }
        Ok(calls)
    }

    fn changed_status(
        &self,
        record: &LocalRecord,
        changed: &BTreeSet<String>,
        id: &str,
        found: &mut Findings,
    ) -> Option<WriteCall> {
        let column = self.status.filter(|status| changed.contains(status.column))?.column;
        let Some(wanted) = record.value(column).and_then(Value::as_str) else {
            found.problem(format!("{column} is empty: enter a status"));
            return None;
        };
        status::change(self, id, record.remote_status.as_deref(), wanted, found)
    }
}
