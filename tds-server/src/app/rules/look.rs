//! One look at what is registered: what the products show, what that means, and what is to be done.

use std::collections::BTreeSet;

use tds_core::{error::Result, queue::Lane};
use tds_zoho::{
    ZohoClient,
    entities::Api,
    rules::{
        Destination, Deviation, Kind, Pace, Plan, Registered, State, Step, Target, Unreadable, Wanted, plans,
    },
};

use super::{Checked, Rules};

/// What is known before a look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// Whether anything was ever registered in Zoho Inventory; `None`: not known.
    pub(crate) in_inventory: Option<bool>,
    /// The paths whose deliveries are refused, so that their webhooks are to be created again.
    pub(crate) refused: BTreeSet<String>,
    /// The ids of the webhooks of these paths, if an earlier look of the same command found them.
    pub(crate) suspects: Option<BTreeSet<String>>,
}

/// A product that does not show what is registered.
pub(crate) struct Hidden {
    pub(crate) api: Api,
    /// Zoho's words, and what they mean.
    pub(crate) reason: String,
    /// Zoho refuses the organization, and not only this call.
    pub(crate) is_organization: bool,
}

/// What one look found.
pub(crate) struct Look {
    pub(crate) base: String,
    pub(crate) targets: Vec<Target>,
    /// The products that show what is registered.
    pub(crate) plans: Vec<Plan>,
    /// The products that do not, and that are needed, or may hold something of this program.
    pub(crate) unreadable: Vec<Hidden>,
    /// Products that the organization does not have.
    pub(crate) lacking: Vec<String>,
    /// What is known before the next look.
    pub(crate) before: Before,
}

impl Rules {
    /// Reads what is registered, and compares it with what should be. Nothing is changed.
    ///
    /// # Errors
    /// Those of limits, of the connection and of a missing token.
    pub(crate) async fn look(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        before: &Before,
        lane: Lane,
        pace: &mut Pace,
    ) -> Result<Look> {
        let targets = self.targets();
        let (mut unreadable, mut lacking, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (api, found) in self.found(zoho, &targets, lane, pace).await? {
            match found {
                Registered::Known(found) => seen.push((api, found)),
                Registered::Unreadable(refusal) => {
                    match hidden(api, refusal, &targets, before.in_inventory, !seen.is_empty()) {
                        Missing::Hidden(hidden) => unreadable.push(hidden),
                        Missing::Lacking(line) => lacking.push(line),
                        Missing::Nothing => {}
                    }
                }
            }
        }
        let seen: Vec<_> = seen.iter().map(|(api, found)| (*api, found)).collect();
        let (none, mut earlier) = (BTreeSet::new(), self.destinations(&destination.base));
        earlier.pop();
        let wanted = Wanted {
            targets: &targets,
            destination,
            earlier: &earlier,
            known: &self.config.known_urls,
            suspects: before.suspects.as_ref().unwrap_or(&none),
        };
        let (mut plans_, mut before) = (plans(wanted, &seen), before.clone());
        if before.suspects.is_none() {
            let suspects = suspects(&plans_, &before.refused);
            if !suspects.is_empty() {
                plans_ = plans(Wanted { suspects: &suspects, ..wanted }, &seen);
            }
            before.suspects = Some(suspects);
        }
        Ok(Look { base: destination.base.clone(), plans: plans_, unreadable, lacking, targets, before })
    }
}

impl Look {
    /// Returns the names of the rules that should be registered.
    pub(crate) fn rules(&self) -> Vec<String> {
        self.targets.iter().map(Target::rule_name).collect()
    }

    /// Returns whether anything of this program is registered in Zoho Inventory; `None` if that cannot be seen.
    pub(crate) fn is_in_inventory(&self) -> Option<bool> {
        let plan = self.plans.iter().find(|plan| plan.api == Api::Inventory)?;
        let is_there = |state: &State| state.webhook_id.is_some() || state.rule_id.is_some();
        Some(plan.states.iter().any(is_there) || plan.steps.iter().any(Step::is_removal))
    }

    /// Returns everything that is not as it should be.
    pub(crate) fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.plans.iter().flat_map(|plan| &plan.deviations)
    }

    /// Returns true if anything is wrong that TDS or an operator has to mend: webhooks of others are not among this.
    pub(crate) fn is_wrong(&self) -> bool {
        self.deviations().any(|one| one.kind != Kind::Foreign)
    }

    /// Returns what is kept of the look for the health report.
    pub(crate) fn checked(&self) -> Checked {
        Checked {
            at: 0,
            wrong: self.wrong(),
            unreadable: self.unreadable.first().map(|hidden| hidden.reason.clone()),
            webhooks: self.plans.iter().map(|plan| plan.states.len()).sum(),
        }
    }

    /// Returns what is wrong, one line each, without webhooks of others. The lines have no URLs, because the health report
    /// needs no token.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let wrong = self.deviations().filter(|one| one.kind != Kind::Foreign);
        let mut lines: Vec<String> = wrong.map(|one| format!("{} is {}", one.name, one.kind)).collect();
        lines.dedup();
        lines
    }
}

/// What a product that shows nothing means.
enum Missing {
    Hidden(Hidden),
    /// The organization does not have the product, in one line.
    Lacking(String),
    /// Nothing is needed of it.
    Nothing,
}

/// Returns what it means that a product does not show what is registered. `others` is true if another product does.
fn hidden(
    api: Api,
    refusal: Unreadable,
    targets: &[Target],
    in_inventory: Option<bool>,
    others: bool,
) -> Missing {
    let there = || targets.iter().filter(|target| target.api == api);
    let (reason, is_organization) = match refusal {
        Unreadable::Organization(reason) => (reason, true),
        Unreadable::Refused(reason) => (reason, false),
    };
    let is_moved = there().any(Target::is_moved);
    if api == Api::Inventory && is_organization && others && !is_moved && in_inventory != Some(true) {
        return Missing::Lacking(format!(
            "the organization does not have Zoho Inventory, so nothing is registered there: {reason}"
        ));
    }
    if api == Api::Inventory && there().next().is_none() && in_inventory == Some(false) {
        return Missing::Nothing;
    }
    let advice = match (api, is_moved) {
        (Api::Inventory, true) => {
            "; TDS_WEBHOOK_MODULES names Zoho Inventory: correct it, or let Zoho accept the calls"
        }
        (Api::Inventory, false) if others => {
            "; if the organization has no Zoho Inventory, set TDS_WEBHOOK_MODULES=composite-items=none"
        }
        _ => "",
    };
    Missing::Hidden(Hidden { api, reason: format!("{reason}{advice}"), is_organization })
}

/// Returns the ids of the webhooks at these paths, whose deliveries are refused. Where others send to the same address,
/// their deliveries are most likely the refused ones.
fn suspects(plans: &[Plan], refused: &BTreeSet<String>) -> BTreeSet<String> {
    let is_alone = |plan: &&Plan| !plan.others.iter().any(|other| other.is_here);
    let states = plans.iter().filter(is_alone).flat_map(|plan| &plan.states);
    states
        .filter(|state| refused.contains(&state.target.path))
        .filter_map(|state| state.webhook_id.clone())
        .collect()
}
