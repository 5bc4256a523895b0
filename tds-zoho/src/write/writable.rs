//! Which columns and child tables may be written.

use serde_json::Value;
use tds_core::outbound::Writable;

use super::contract::{Contract, Field, Form, Lines, Status, When};

/// Columns of every head table that TDS itself keeps.
const KEPT: [&str; 8] = [
    "id",
    "zoho_id",
    "raw",
    "zoho_created_at",
    "zoho_modified_at",
    "synced_at",
    "deleted_at",
    "balance_seen_at",
];

impl Contract {
    /// Returns whether a column of the head table, a child table, or a column of a child table (`table.column`) may be
    /// written. `exists`: the record exists in Zoho.
    #[must_use]
    pub fn writable(&self, column: &str, exists: bool) -> Writable {
        if exists && self.schema.is_some() {
            return Writable::No(format!("a {} is created once: enter another one", self.noun));
        }
        if let Some((table, column)) = column.split_once('.') {
            return match self.lists.iter().find(|list| list.table == table) {
                Some(list) => list.writable(column),
                None => no("it is not a table that Zoho knows"),
            };
        }
        if let Some(field) = field_of(self.fields, column) {
            if exists && field.when == When::AtCreation {
                return Writable::No(format!("it cannot change once the {} exists in Zoho", self.noun));
            }
            return Writable::Yes;
        }
        if let Some(read_only) = self.read_only.iter().find(|one| one.column == column) {
            return no(read_only.reason);
        }
        if KEPT.contains(&column) {
            return no("TDS itself keeps it");
        }
        if self.is_in_body(column) || self.is_apart(column) {
            return Writable::Yes;
        }
        no("it is not a column that Zoho knows")
    }

    /// Returns true if a new record may show this value of a column until a call after the create has written another one:
    /// Zoho gives a new record its first status, and a document the address of its contact.
    pub(super) fn is_unfinished(&self, column: &str, shown: &Value) -> bool {
        let has_first_status =
            |status: Status| status.column == column && shown.as_str() == Some(status.initial);
        self.status.is_some_and(has_first_status) || self.parts.iter().any(|part| part.column == column)
    }

    /// Returns true if the body of an update is about the column or the child table.
    pub(super) fn is_in_body(&self, column: &str) -> bool {
        field_of(self.fields, column).is_some()
            || self.folded.contains(&column)
            || self.lists.iter().any(|list| list.table == column)
    }

    /// Returns true if the column has calls of its own.
    fn is_apart(&self, column: &str) -> bool {
        self.status.is_some_and(|status| status.column == column)
            || self.parts.iter().any(|part| part.column == column)
    }
}

impl Lines {
    fn writable(&self, column: &str) -> Writable {
        if field_of(self.fields, column).is_some() {
            return Writable::Yes;
        }
        if self.ignored.contains(&column) {
            return no("Zoho states it, and takes no other value");
        }
        no("it is not a column that Zoho knows")
    }
}

/// Returns the field that the column fills, by itself or by naming a record in the ERP.
fn field_of<'a>(fields: &'a [Field], column: &str) -> Option<&'a Field> {
    let is_local = |field: &Field| matches!(field.form, Form::Reference { local, .. } if local == column);
    fields.iter().find(|field| field.column == column || is_local(field))
}

fn no(reason: &str) -> Writable {
    Writable::No(reason.to_owned())
}
