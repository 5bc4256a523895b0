//! Chooses the organization.

use tds_zoho::Organization;

use crate::cli::{
    exit::{CommandResult, Failure},
    lookup::{Lookup, Place},
};

pub(super) const VARIABLE: &str = "ZOHO_ORGANIZATION_ID";

/// The organization that is wanted.
pub(super) struct Wanted {
    id: String,
    /// Where its id is set.
    place: &'static str,
}

/// The choice among the organizations of a user.
pub(super) enum Choice {
    /// This one.
    Taken(Organization),
    /// A person has to choose.
    Several(Vec<Organization>),
    /// There is none to choose, for this reason.
    Unknown(String),
}

impl Wanted {
    /// Returns the organization that the command line names, or the configuration.
    pub(super) fn find(given: Option<&str>, lookup: &Lookup) -> CommandResult<Option<Self>> {
        let Some(id) = given.map(str::trim) else {
            return Ok(lookup.find(VARIABLE).map(|(place, id)| {
                let place = match place {
                    Place::File => "ZOHO_ORGANIZATION_ID in .env",
                    Place::Environment | Place::Flag => "ZOHO_ORGANIZATION_ID in the environment",
                };
                Self { id: id.trim().to_owned(), place }
            }));
        };
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            let text = format!("--organization: found {id:?}; accepted: the id of the organization (digits)");
            return Err(Failure::usage(text));
        }
        Ok(Some(Self { id: id.to_owned(), place: "--organization" }))
    }
}

/// Chooses the wanted organization, or the only one.
pub(super) fn choose(mut organizations: Vec<Organization>, wanted: Option<&Wanted>) -> Choice {
    if let Some(Wanted { id, place }) = wanted {
        let seen: Vec<String> =
            organizations.iter().map(|one| format!("{} ({})", one.id, one.name)).collect();
        return match organizations.into_iter().find(|one| one.id == *id) {
            Some(organization) => Choice::Taken(organization),
            None => Choice::Unknown(format!(
                "the user does not belong to the organization {id} (from {place}), but to these: {}",
                if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
            )),
        };
    }
    match organizations.len() {
        0 => Choice::Unknown("the user belongs to no organization of Zoho Books".to_owned()),
        1 => Choice::Taken(organizations.remove(0)),
        _ => Choice::Several(organizations),
    }
}

/// Returns the organization that a person named: by its id, or by its number in the list, which begins with 1.
pub(super) fn picked<'a>(organizations: &'a [Organization], answer: &str) -> Option<&'a Organization> {
    let by_id = organizations.iter().find(|one| one.id == answer);
    by_id.or_else(|| organizations.get(answer.parse::<usize>().ok()?.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organizations(ids: &[&str]) -> Vec<Organization> {
        let one = |id: &&str| Organization {
            id: (*id).to_owned(),
            name: format!("Shop {id}"),
            currency: "IQD".to_owned(),
            time_zone: "Asia/Baghdad".to_owned(),
        };
        ids.iter().map(one).collect()
    }

    fn wanted(id: &str) -> CommandResult<Option<Wanted>> {
        Wanted::find(Some(id), &Lookup::default())
    }

    #[test]
    fn the_only_organization_is_taken_and_a_wanted_one_must_exist() {
        let id = |choice| match choice {
            Choice::Taken(organization) => organization.id,
            Choice::Several(several) => format!("{} to choose", several.len()),
            Choice::Unknown(reason) => reason,
        };
        assert_eq!(id(choose(organizations(&["7"]), None)), "7");
        assert_eq!(id(choose(organizations(&["7", "8"]), None)), "2 to choose");
        let of = |id: &str| wanted(id).expect("digits");
        assert_eq!(id(choose(organizations(&["7", "8"]), of(" 8").as_ref())), "8");
        let unknown = id(choose(organizations(&["7", "8"]), of("9").as_ref()));
        assert!(unknown.contains("9 (from --organization)"), "{unknown}");
        assert!(unknown.ends_with("7 (Shop 7), 8 (Shop 8)"), "{unknown}");
        assert!(id(choose(Vec::new(), None)).contains("no organization"));
    }

    #[test]
    fn an_id_that_is_not_a_number_is_refused() {
        for id in ["", " ", "shop", "-1", "7 8", "٣"] {
            assert!(matches!(wanted(id), Err(Failure::Usage(_))), "{id:?}");
        }
    }

    #[test]
    fn a_person_names_an_organization_by_its_id_or_its_number() {
        let several = organizations(&["70", "2", "90"]);
        let id = |answer| picked(&several, answer).map(|one| one.id.as_str());
        assert_eq!([id("70"), id("1"), id("3"), id("2")], [Some("70"), Some("70"), Some("90"), Some("2")]);
        for wrong in ["", "0", "4", "-1", "Shop 70", "99999999999999999999999"] {
            assert_eq!(id(wrong), None, "{wrong:?}");
        }
    }
}
