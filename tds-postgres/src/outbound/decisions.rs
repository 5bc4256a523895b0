//! The decision of a person on a conflict.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_core::{
    error::{Error, Result},
    outbound::{Conflict, ConflictId, ConflictStatus, FieldConflict, Resolution, Side, Take},
    record::{Fields, same_value},
};

use crate::mode_names;

/// The decided fields of a conflict.
pub(super) struct Decided {
    /// The fields with their winners.
    pub(super) fields: Vec<FieldConflict>,
    /// The columns to write to the head row.
    pub(super) write: Fields,
}

/// Decides every field of a conflict.
pub(super) fn decide(conflict: &Conflict, resolution: &Resolution) -> Result<Decided> {
    if conflict.status != ConflictStatus::Open {
        return Err(decided_already(conflict.id));
    }
    let is_of_conflict = |name: &&String| conflict.fields.iter().any(|it| it.field == **name);
    if let Some(field) = resolution.fields.keys().find(|name| !is_of_conflict(name)) {
        return Err(Error::invalid(format!("{field} is not in conflict")));
    }
    let mut decided = Decided { fields: Vec::new(), write: Fields::new() };
    for field in &conflict.fields {
        let winner = winner(field, resolution, &mut decided.write)?;
        decided.fields.push(FieldConflict { winner: Some(winner), ..field.clone() });
    }
    Ok(decided)
}

fn winner(field: &FieldConflict, resolution: &Resolution, write: &mut Fields) -> Result<Side> {
    let name = &field.field;
    let Some(value) = resolution.fields.get(name) else {
        return match resolution.take {
            Take::Source => Ok(Side::Source),
            Take::Target => Ok(Side::Target),
            Take::Merge => {
                Err(Error::invalid(format!("{name} has no decision: a merge needs one for each field")))
            }
        };
    };
    if same_value(value, &field.source) {
        return Ok(Side::Source);
    }
    let is_of_child = name.contains('[');
    if is_of_child && !same_value(value, &field.target) {
        let text = format!("{name} is in a child row, which can only take the value of one of the two sides");
        return Err(Error::invalid(text));
    }
    if !is_of_child {
        write.insert(name.clone(), value.clone());
    }
    Ok(Side::Target)
}

/// Returns the error of a conflict that is decided.
pub(super) fn decided_already(id: ConflictId) -> Error {
    Error::conflict(format!("conflict {id} is decided already"))
}

/// Returns earlier decisions and those on these fields as the column `decisions` holds them.
pub(super) fn stored(earlier: &BTreeMap<String, (Value, Side)>, fields: &[FieldConflict]) -> Value {
    let one = |source: &Value, side: Side| json!({"zoho": source, "winner": mode_names::of_side(side)});
    let earlier = earlier.iter().map(|(field, (source, side))| (field.clone(), one(source, *side)));
    let new = fields.iter().filter_map(|it| Some((it.field.clone(), one(&it.source, it.winner?))));
    Value::Object(earlier.chain(new).collect())
}

/// Reads the column `decisions`.
pub(super) fn read(stored: Value) -> Result<BTreeMap<String, (Value, Side)>, sqlx::Error> {
    let Value::Object(fields) = stored else { return Ok(BTreeMap::new()) };
    let one = |(field, mut decision): (String, Value)| {
        let source = decision.get_mut("zoho").map(Value::take).unwrap_or_default();
        let winner = decision.get("winner").and_then(Value::as_str).unwrap_or_default();
        Ok((field, (source, mode_names::side(winner)?)))
    };
    fields.into_iter().map(one).collect()
}
