//! The check that rests on the mode `shadow`: whether Zoho would have taken what the ERP wrote.

use tds_core::{measures::ShadowFigures, record::EntityType};

use super::{
    Check,
    Verdict::{Fail, Pass, Unknown},
    figures::{counted, number, whole},
};

/// Judges the changes that were captured in the mode `shadow`. There is no such check before an entity type had this mode.
pub(super) fn check(shadow: &ShadowFigures) -> Option<Check> {
    if shadow.entities.is_empty() && shadow.changes == 0 {
        return None;
    }
    let computed = counted(shadow.changes, "local change was", "local changes were");
    let (status, hint) = match (shadow.changes, shadow.refused) {
        (0, _) => {
            let names: Vec<&str> = shadow.entities.iter().map(EntityType::as_str).collect();
            let text = "No program has changed a record of these entity types in the last 7 days. Let the ERP write as it \
                        will in two-way sync.";
            (Unknown, format!("In the mode shadow: {}. {text}", names.join(", ")))
        }
        (_, 0) => {
            (Pass, format!("{computed} captured in the mode shadow, and Zoho would have taken each of them."))
        }
        (_, refused) => {
            let reasons: Vec<String> = shadow
                .reasons
                .iter()
                .map(|one| format!("{} ({} times): {}", one.entity, whole(one.count), one.reason))
                .collect();
            let text = "tds-server outbox list --status shadow shows them, and tds-server outbox show ID what would have \
                        been written.";
            let most = if reasons.is_empty() {
                String::new()
            } else {
                format!(" Most often {}.", reasons.join("; "))
            };
            (
                Fail,
                format!(
                    "{computed} captured in the mode shadow; {} would have been refused.{most} {text}",
                    whole(refused)
                ),
            )
        }
    };
    Some(Check {
        name: "shadow_pushes".to_owned(),
        status,
        value: (shadow.changes > 0).then(|| number(shadow.refused)),
        unit: "",
        target: "0 refused pushes in 7 days",
        hint,
    })
}

#[cfg(test)]
mod tests {
    use tds_core::measures::RefusedChanges;

    use super::*;

    const INVOICES: EntityType = EntityType::from_static("invoices");

    #[test]
    fn without_shadow_there_is_nothing_to_judge() {
        assert_eq!(check(&ShadowFigures::default()), None);
    }

    #[test]
    fn a_shadow_without_changes_is_unknown() {
        let shadow = ShadowFigures { entities: vec![INVOICES], ..ShadowFigures::default() };
        let check = check(&shadow).expect("a check");
        assert_eq!((check.status, check.value), (Unknown, None));
        assert!(check.hint.contains("invoices"), "{}", check.hint);
    }

    #[test]
    fn one_refusal_fails_and_is_named() {
        let mut shadow = ShadowFigures { changes: 1_200, ..ShadowFigures::default() };
        let good = check(&shadow).expect("a check");
        assert_eq!((good.status, good.value), (Pass, Some(0.0)));
        shadow.refused = 1;
        shadow.reasons = vec![RefusedChanges {
            entity: INVOICES,
            reason: "balance cannot be written".to_owned(),
            count: 1,
        }];
        let bad = check(&shadow).expect("a check");
        assert_eq!((bad.status, bad.value), (Fail, Some(1.0)));
        assert!(bad.hint.contains("1,200") && bad.hint.contains("balance cannot be written"), "{}", bad.hint);
    }
}
