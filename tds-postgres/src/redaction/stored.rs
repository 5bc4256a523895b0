//! Where the engine's tables hold values of records as JSON, and how such JSON is redacted.

use serde_json::Value;
use tds_core::{
    privacy::{RedactedTable, Redaction},
    record::EntityType,
};

/// A column of an engine's table with JSON of a record.
pub(crate) struct Stored {
    pub(crate) table: &'static str,
    /// The key of a row as text, and the condition that finds the row by the parameter `$1`.
    pub(crate) key: (&'static str, &'static str),
    pub(crate) value: &'static str,
    /// The entity type of the record.
    pub(crate) entity: &'static str,
    /// The id of the record at the source.
    pub(crate) id: &'static str,
    /// The local id of the record, if the table has it.
    pub(crate) local_id: Option<&'static str>,
    /// The value is a list of differences and not a record.
    pub(crate) differences: bool,
}

/// A locked row keeps its place.
const BY_PLACE: (&str, &str) = ("ctid::text", "ctid = $1::tid");
const BY_ID: (&str, &str) = ("id::text", "id = $1::bigint");

const fn payload(table: &'static str) -> Stored {
    Stored {
        table,
        key: BY_PLACE,
        value: "payload",
        entity: "entity_type",
        id: "zoho_entity_id",
        local_id: None,
        differences: false,
    }
}

const fn link(value: &'static str) -> Stored {
    Stored { value, id: "zoho_id", local_id: Some("local_id"), ..payload("tds_links") }
}

const fn differences(table: &'static str, value: &'static str) -> Stored {
    Stored { table, key: BY_ID, differences: true, ..link(value) }
}

/// Everything but the mirror and the inbox.
pub(crate) const STORED: [Stored; 9] = [
    Stored { key: BY_ID, ..payload("tds_queue_live") },
    payload("tds_run_kept"),
    differences("tds_outbox", "differences"),
    differences("tds_conflicts", "fields"),
    differences("tds_conflicts", "decisions"),
    Stored {
        entity: "(SELECT r.entity_type FROM tds_sync_runs r WHERE r.id = run_id)",
        key: BY_PLACE,
        local_id: None,
        ..differences("tds_verify_findings", "fields")
    },
    link("earlier"),
    link("kept"),
    link("sent"),
];

impl Stored {
    /// The values are payloads of items, which the source can be asked for again.
    pub(crate) fn is_payload(&self) -> bool {
        self.value == "payload"
    }

    /// Returns the statement that replaces the value of the row with the key `$1`.
    pub(crate) fn update(&self) -> String {
        let Self { table, key: (_, by_key), value, .. } = self;
        let cast = if self.is_payload() { "" } else { "::jsonb" };
        format!("UPDATE {table} SET {value} = $2{cast} WHERE {by_key}")
    }

    /// Redacts a value. `tables`: those in which values are redacted. Returns `None` if nothing changes.
    pub(crate) fn redact(
        &self,
        redaction: &dyn Redaction,
        entity: &EntityType,
        tables: &[RedactedTable],
        text: &str,
    ) -> Option<String> {
        if self.differences {
            redaction.differences(entity, text)
        } else {
            nested(redaction, entity, tables, text)
        }
    }
}

/// Redacts a record, or a value that has records inside: the earlier states of a link (`[{"raw": "{…}"}]`), the values that
/// it keeps (`{"fields": {…}, "children": {…}}`) and those that were sent (`[{"values": {"fields": …, "children": …}}]`).
fn nested(
    redaction: &dyn Redaction,
    entity: &EntityType,
    tables: &[RedactedTable],
    text: &str,
) -> Option<String> {
    let outside = redaction.json(entity, text);
    let mut json: Value = serde_json::from_str(outside.as_deref().unwrap_or(text)).ok()?;
    let mut changed = outside.is_some();
    let states = match &mut json {
        Value::Array(states) => states.iter_mut().collect(),
        one => vec![one],
    };
    for state in states {
        if let Some(raw) = state.get("raw").and_then(Value::as_str)
            && let Some(redacted) = redaction.json(entity, raw)
        {
            state["raw"] = redacted.into();
            changed = true;
        }
        let own = tables.iter().filter(|table| table.entity == *entity);
        if state.get("values").is_some_and(Value::is_object) {
            changed |= without_columns(own, &mut state["values"]);
        } else {
            changed |= without_columns(own, state);
        }
    }
    changed.then(|| json.to_string())
}

/// Removes redacted columns from values in the columns of the target.
fn without_columns<'a>(tables: impl Iterator<Item = &'a RedactedTable>, values: &mut Value) -> bool {
    let mut changed = false;
    for table in tables {
        let rows: Vec<&mut Value> = if table.is_head {
            values.get_mut("fields").into_iter().collect()
        } else {
            let rows = values.get_mut("children").and_then(|children| children.get_mut(table.table));
            rows.and_then(Value::as_array_mut).into_iter().flatten().collect()
        };
        for row in rows.into_iter().filter_map(Value::as_object_mut) {
            for column in &table.columns {
                changed |= row.remove(column.name).is_some();
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tds_core::testkit::ColumnRedaction;

    use super::*;

    fn columns() -> ColumnRedaction {
        let [invoices, bills] = ["invoices", "bills"].map(EntityType::from_static);
        let heads = ColumnRedaction::default()
            .head(invoices.clone(), "invoices", "notes")
            .head(bills, "bills", "number");
        heads.child(invoices, "invoice_lines", "description")
    }

    #[test]
    fn the_columns_of_kept_and_sent_values_are_removed_from_rows_and_their_children() {
        let values = json!({"fields": {"notes": "x", "number": "1"},
            "children": {"invoice_lines": [{"description": "x", "name": "tea"}], "others": [{"description": "y"}]}});
        let left = json!({"fields": {"number": "1"},
            "children": {"invoice_lines": [{"name": "tea"}], "others": [{"description": "y"}]}});
        let columns = columns();
        let redact = |value: &Value| {
            let entity = EntityType::from_static("invoices");
            let redacted = link("kept").redact(&columns, &entity, &columns.tables(), &value.to_string())?;
            serde_json::from_str::<Value>(&redacted).ok()
        };
        assert_eq!(redact(&values), Some(left.clone()));
        let sent = |values: &Value| json!([{"creates": true, "values": values}]);
        assert_eq!(redact(&sent(&values)), Some(sent(&left)));
        assert_eq!(redact(&left), None, "a second time changes nothing");
    }
}
