//! The entity types that are synced.

use tds_core::record::EntityType;
use tds_zoho::entities::Catalogue;

use super::{ConfigError, lookup::Reader};
use crate::nearest::meant;

const VARIABLE: &str = "TDS_ENTITIES";
/// The value that names every entity type.
const ALL: &str = "all";

/// `TDS_ENTITIES`, default `all`: the entity types that are synced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityChoice {
    /// The names as they were written; `None` for all entity types.
    names: Option<Vec<String>>,
}

impl EntityChoice {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let Some(text) = reader.text(VARIABLE) else { return Self::default() };
        let names = reader.list(VARIABLE);
        if names.is_empty() {
            reader.error(
                VARIABLE,
                format!("\"{text}\""),
                "all, or names of entity types, separated by commas",
            );
        }
        Self { names: Some(names).filter(|names| !names.iter().any(|name| name == ALL)) }
    }

    /// Returns the catalogue of which only these entity types are synced.
    ///
    /// # Errors
    /// The catalogue does not have one of the names. The error is about the first of them.
    pub fn of(&self, catalogue: &Catalogue) -> Result<Catalogue, ConfigError> {
        let Some(names) = &self.names else { return Ok(catalogue.clone()) };
        let mut entities = Vec::with_capacity(names.len());
        for name in names {
            let entity = name.parse::<EntityType>().ok().filter(|entity| catalogue.find(entity).is_some());
            entities.push(entity.ok_or_else(|| unknown(name, catalogue))?);
        }
        Ok(catalogue.syncing(entities))
    }
}

fn unknown(name: &str, catalogue: &Catalogue) -> ConfigError {
    let known: Vec<&str> = catalogue.names().collect();
    let accepted = format!("all, or some of {}{}", known.join(", "), meant(name, known.iter().copied()));
    ConfigError { variable: VARIABLE.to_owned(), found: format!("{name:?}"), accepted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str) -> EntityChoice {
        let lookup = |_: &str| Some(text.to_owned());
        let mut reader = Reader::new(&lookup);
        let choice = EntityChoice::read(&mut reader);
        reader.finish(choice).expect("accepted")
    }

    fn synced(text: &str) -> Vec<&'static str> {
        let catalogue = choice(text).of(&Catalogue::default()).expect("known names");
        catalogue.synced().map(tds_zoho::entities::Descriptor::name).collect()
    }

    #[test]
    fn entity_types_are_chosen_by_their_names_in_either_spelling() {
        assert_eq!(synced("stock, credit-notes,products"), ["products", "credit_notes", "stock"]);
        let all: Vec<&str> = Catalogue::default().names().collect();
        assert_eq!(synced("all"), all);
        assert_eq!(synced("products,all"), all);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let error = choice("stock,product").of(&Catalogue::default()).expect_err("unknown").to_string();
        assert!(
            error.starts_with("TDS_ENTITIES: found \"product\"; accepted: all, or some of products,"),
            "{error}"
        );
        assert!(error.ends_with("; did you mean products?") && error.lines().count() == 1, "{error}");
    }
}
