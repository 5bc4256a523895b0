//! The redaction of values that a store holds as they are, and not as JSON text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Persons;
use crate::{
    mirror::FieldDifference,
    outbound::{FieldConflict, Side},
    record::EntityType,
};

impl Persons {
    /// Redacts differences of a document.
    pub(crate) fn redact_differences(&self, entity: &EntityType, differences: &mut [FieldDifference]) {
        let one = |it: &FieldDifference| json!({"field": it.field, "source": it.source, "target": it.target});
        let redacted = self.redacted(entity, &differences.iter().map(one).collect());
        for (difference, mut new) in differences.iter_mut().zip(list(redacted)) {
            (difference.source, difference.target) = (new["source"].take(), new["target"].take());
        }
    }

    /// Redacts a conflict of a document and the decisions on it.
    pub(crate) fn redact_conflicts(
        &self,
        entity: &EntityType,
        fields: &mut [FieldConflict],
        decisions: &mut BTreeMap<String, (Value, Side)>,
    ) {
        let one = |it: &FieldConflict| json!({"field": it.field, "base": it.base, "source": it.source, "target": it.target});
        let redacted = self.redacted(entity, &fields.iter().map(one).collect());
        for (field, mut new) in fields.iter_mut().zip(list(redacted)) {
            (field.base, field.source, field.target) =
                (new["base"].take(), new["source"].take(), new["target"].take());
        }
        let one = |(field, (source, _)): (&String, &(Value, Side))| json!({"field": field, "source": source});
        let redacted = self.redacted(entity, &decisions.iter().map(one).collect());
        for ((source, _), mut new) in decisions.values_mut().zip(list(redacted)) {
            *source = new["source"].take();
        }
    }

    /// Returns `None` if nothing changes.
    fn redacted(&self, entity: &EntityType, differences: &Value) -> Option<Value> {
        let text = self.redaction()?.differences(entity, &differences.to_string())?;
        serde_json::from_str(&text).ok()
    }
}

fn list(redacted: Option<Value>) -> Vec<Value> {
    match redacted {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}
