//! Entity types.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

/// The entity type of a record, such as `products` or `credit_notes`.
///
/// The core has no list of entity types: a type exists if a handler is registered for it. A name consists of
/// lower-case letters, digits and underscores, has at most 40 characters, and begins with a letter. A hyphen is read
/// as an underscore, so that `credit-notes` and `credit_notes` are the same type.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EntityType(Cow<'static, str>);

/// The error for a text that is not the name of an entity type.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an entity type: use lower-case letters, digits and underscores")]
pub struct InvalidEntityType(String);

impl EntityType {
    /// Creates an entity type from a name that is known at compile time. The name must already be in normal form.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Returns the name in normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntityType {
    type Err = InvalidEntityType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().replace('-', "_");
        let valid = name.len() <= 40
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if valid { Ok(Self(Cow::Owned(name))) } else { Err(InvalidEntityType(text.to_owned())) }
    }
}

impl<'de> Deserialize<'de> for EntityType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for EntityType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::EntityType;

    #[test]
    fn a_hyphen_is_read_as_an_underscore() {
        let parsed: EntityType = "credit-notes".parse().expect("valid");
        assert_eq!(parsed, EntityType::from_static("credit_notes"));
    }

    #[test]
    fn names_that_could_not_be_a_table_are_refused() {
        for bad in ["", "Products", "1st", "a b", "a;drop", &"a".repeat(41)] {
            assert!(bad.parse::<EntityType>().is_err(), "{bad:?} was accepted");
        }
    }
}
