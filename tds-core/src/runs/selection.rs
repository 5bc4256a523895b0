//! A part of an entity type, which a run reads instead of everything or of all changes.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    record::{DateRange, RecordId},
};

/// A part of an entity type, which a run reads.
///
/// A run with a selection neither finds deletions nor moves the cursor of its entity type, because its list says
/// nothing about the records that it leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The records whose own date lies in this range. The list of the source has to have a filter by this date.
    Dates(DateRange),
    /// The records with these ids. Each of them is read by its id, and no list is read.
    Ids(Vec<RecordId>),
}

impl Selection {
    /// The maximum number of ids in a selection.
    pub const MOST_IDS: usize = 2_000;

    /// Creates a selection of ids, each once, in their order.
    ///
    /// # Errors
    /// `Invalid`: there is no id, there are more than [`Selection::MOST_IDS`], or one of them cannot be an id.
    pub fn ids(ids: impl IntoIterator<Item = RecordId>) -> Result<Self> {
        let mut selected: Vec<RecordId> = Vec::new();
        let mut seen = HashSet::new();
        for id in ids {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if !(1..=64).contains(&id.as_str().len()) || !id.as_str().bytes().all(is_plain) {
                let shown: String = id.as_str().chars().take(64).collect();
                return Err(Error::invalid(format!("{shown:?} cannot be the id of a record")));
            }
            if seen.insert(id.clone()) {
                selected.push(id);
            }
        }
        match selected.len() {
            0 => Err(Error::invalid("the selection names no id")),
            count if count > Self::MOST_IDS => Err(Error::invalid(format!(
                "the selection names {count} ids, and one run reads at most {}",
                Self::MOST_IDS
            ))),
            _ => Ok(Self::Ids(selected)),
        }
    }

    /// Returns the dates, if the selection is a range of dates.
    #[must_use]
    pub fn dates(&self) -> Option<DateRange> {
        match self {
            Self::Dates(dates) => Some(*dates),
            Self::Ids(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn ids(ids: &[&str]) -> Result<Selection> {
        Selection::ids(ids.iter().map(|id| RecordId::new(*id)))
    }

    #[test]
    fn a_selection_keeps_its_form_when_it_is_stored() {
        let dates = DateRange::new(Some(date!(2026 - 01 - 01)), None).expect("a range");
        for (selection, text) in [
            (Selection::Dates(dates), r#"{"dates":{"from":"2026-01-01","to":null}}"#),
            (ids(&["7", "9", "7"]).expect("ids"), r#"{"ids":["7","9"]}"#),
        ] {
            assert_eq!(serde_json::to_string(&selection).expect("writable"), text);
            assert_eq!(serde_json::from_str::<Selection>(text).expect("readable"), selection);
        }
    }

    #[test]
    fn a_selection_of_nothing_or_of_too_much_is_refused() {
        for refused in [&[][..], &[""], &["../7"], &["7,8"], &["é"]] {
            assert!(ids(refused).is_err(), "{refused:?}");
        }
        let many = (0..=Selection::MOST_IDS).map(|id| RecordId::new(id.to_string()));
        assert!(Selection::ids(many).is_err());
    }
}
