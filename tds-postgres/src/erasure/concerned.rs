//! The records whose stored values and error texts may say who the person is.

use std::collections::HashSet;

/// The person, the documents that name the person, and the records of events and payloads that name the person. A record
/// has an id at the source, a local id, or both.
#[derive(Default)]
pub(super) struct Concerned {
    pub(super) entities: Vec<String>,
    pub(super) ids: Vec<Option<String>>,
    pub(super) local_ids: Vec<Option<i64>>,
}

impl Concerned {
    pub(super) fn add(&mut self, entity: &str, id: Option<String>, local_id: Option<i64>) {
        self.entities.push(entity.to_owned());
        self.ids.push(id);
        self.local_ids.push(local_id);
    }

    /// Returns the known ids at the source.
    pub(super) fn known_ids(&self) -> HashSet<&str> {
        self.ids.iter().flatten().map(String::as_str).collect()
    }
}

/// Returns true if a text contains one of the ids as a whole number. Texts of errors have no escapes, whose digits
/// [`tds_core::privacy::names`] tells from those of an id.
pub(super) fn names_one(ids: &HashSet<&str>, text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_digit()).any(|digits| ids.contains(digits))
}

/// A row for each record: the beginning of a statement whose first three parameters are the fields.
pub(super) const CONCERNED: &str = "WITH c AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS c (entity_type, zoho_id, local_id))";
