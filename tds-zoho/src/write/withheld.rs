//! What hidden values keep from being written. Zoho replaces persons and lines as a whole, so a call that carried them
//! without their hidden parts would destroy those parts.

use super::contract::{Contract, Lines};

/// Returns true for a column of the head table, a child table, or a column of a child table (`table.column`), that is hidden
/// or has a hidden part.
pub(super) type Hides<'a> = &'a dyn Fn(&str) -> bool;

impl Contract {
    /// Returns true if a change of a column or a child table of a record that exists cannot be written: its call would
    /// have to carry something hidden.
    pub(super) fn withholds(&self, name: &str, hides: Hides<'_>) -> bool {
        let name = name.split_once('.').map_or(name, |(table, _)| table);
        hides(name)
            || self.lists.iter().any(|list| list.table == name && list.is_cut(hides))
            || self.folded.contains(&name) && self.folded.iter().any(|column| hides(column))
            // Zoho documents the list as required in every update.
            || self.is_in_body(name) && self.lists.iter().any(|list| list.always && list.is_cut(hides))
    }

    /// Returns the hidden columns without which Zoho creates no record. `has_rows`: the record has rows in a child table.
    pub(super) fn missing_in_new(&self, hides: Hides<'_>, has_rows: impl Fn(&str) -> bool) -> Vec<String> {
        let own = self.fields.iter().filter(|field| field.required).map(|field| field.column.to_owned());
        let of_lists =
            self.lists.iter().filter(|list| list.required || has_rows(list.table)).flat_map(|list| {
                let required = list.fields.iter().filter(|field| field.required);
                let of_rows = required.map(|field| format!("{}.{}", list.table, field.column));
                of_rows.chain(list.formed_by.iter().map(|column| (*column).to_owned()))
            });
        own.chain(of_lists).filter(|column| hides(column)).collect()
    }
}

impl Lines {
    fn is_cut(&self, hides: Hides<'_>) -> bool {
        hides(self.table) || self.formed_by.iter().any(|column| hides(column))
    }
}
