//! Chooses the organization.

use tds_zoho::Organization;

/// The choice among the organizations of a user.
pub(super) enum Choice {
    /// This one.
    Taken(Organization),
    /// A person has to choose.
    Several(Vec<Organization>),
    /// There is none to choose, for this reason.
    Unknown(String),
}

/// Chooses the wanted organization, or the only one.
pub(super) fn choose(mut organizations: Vec<Organization>, wanted: Option<&str>) -> Choice {
    if let Some(wanted) = wanted.map(str::trim) {
        let seen: Vec<String> =
            organizations.iter().map(|one| format!("{} ({})", one.id, one.name)).collect();
        return match organizations.into_iter().find(|one| one.id == wanted) {
            Some(organization) => Choice::Taken(organization),
            None => Choice::Unknown(format!(
                "the user does not belong to the organization {wanted}, but to these: {}",
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

    #[test]
    fn the_only_organization_is_taken_and_a_wanted_one_must_exist() {
        let id = |choice| match choice {
            Choice::Taken(organization) => organization.id,
            Choice::Several(several) => format!("{} to choose", several.len()),
            Choice::Unknown(reason) => reason,
        };
        assert_eq!(id(choose(organizations(&["7"]), None)), "7");
        assert_eq!(id(choose(organizations(&["7", "8"]), None)), "2 to choose");
        assert_eq!(id(choose(organizations(&["7", "8"]), Some(" 8"))), "8");
        assert!(id(choose(organizations(&["7", "8"]), Some("9"))).ends_with("7 (Shop 7), 8 (Shop 8)"));
        assert!(id(choose(Vec::new(), None)).contains("no organization"));
    }
}
