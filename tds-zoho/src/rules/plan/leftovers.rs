//! What this program registered and no target has: of an entity type that is no longer synced, or in the place of which
//! another module or another product is watched now.
//!
//! What has a successor is deleted only after all of its successors are seen. Otherwise a name that Zoho refuses, or a
//! product that does not answer, would leave an entity type without any rule.

use super::{Deviation, Found, Kind, Plan, Rule, Step, StepKind, Webhook};
use crate::{
    answer::Api,
    rules::{
        facts,
        target::{OurName, Target, our_name, path_of},
    },
};

const UNNEEDED: &str = "no entity type that is synced needs it";
const REPLACED: &str = "another rule takes its place";
const AWAITED: &str = "it stays until the rule that is to take its place is registered";

/// What is to be deleted: the call, the name, why, and whether the call has to wait.
pub(super) type Leftover = (StepKind, String, &'static str, bool);

/// Finds the leftovers of a product. `plans` are those of the targets of all products that are seen.
pub(super) fn find(
    api: Api,
    targets: &[Target],
    found: &Found,
    seen: &[(Api, &Found)],
    plans: &[Plan],
) -> Vec<Leftover> {
    let is_registered = |target: &&Target| {
        let plan = plans.iter().find(|plan| plan.api == target.api);
        plan.is_some_and(|plan| plan.steps.iter().all(|step| step.group != target.rule_name()))
    };
    let reason = |ours: OurName<'_>, id: &str, paths: &[String]| {
        let of_trigger = || targets.iter().filter(|target| target.trigger.as_str() == ours.trigger);
        let mut same: Vec<&Target> = of_trigger().filter(|target| target.module == ours.module).collect();
        if !same.is_empty() {
            // A product may show what was registered in the other one.
            let is_shown = |target: &&Target| {
                let of = seen.iter().find(|(api, _)| *api == target.api);
                of.is_none_or(|(_, found)| {
                    found.rules.iter().any(|rule| rule.id == id)
                        || found.webhooks.iter().any(|webhook| webhook.id == id)
                })
            };
            if same.iter().any(|target| target.api == api || is_shown(target)) {
                return None;
            }
        } else if paths.is_empty() {
            // Any of them may be the successor.
            same = of_trigger().collect();
        } else {
            same = of_trigger().filter(|target| paths.contains(&target.path)).collect();
        }
        let waits = !same.iter().all(is_registered);
        Some(match (same.is_empty(), waits) {
            (true, _) => (UNNEEDED, false),
            (false, true) => (AWAITED, true),
            (false, false) if paths.is_empty() => (UNNEEDED, false),
            (false, false) => (REPLACED, false),
        })
    };
    of_names(found, reason)
}

/// Returns everything that this program registered.
pub(super) fn all(found: &Found) -> Vec<Leftover> {
    of_names(found, |_, _, _| Some((UNNEEDED, false)))
}

/// Goes through the rules and then the webhooks: Zoho deletes no webhook that a rule sends.
fn of_names(
    found: &Found,
    reason: impl Fn(OurName<'_>, &str, &[String]) -> Option<(&'static str, bool)>,
) -> Vec<Leftover> {
    let of = |name: &str, id: &str, kind: StepKind, is_rule: bool| {
        let ours = our_name(name).filter(|ours| ours.mark.is_none() == is_rule)?;
        let (reason, waits) = reason(ours, id, &paths(ours, found))?;
        Some((kind, name.to_owned(), reason, waits))
    };
    let rules = found.rules.iter();
    let rules =
        rules.filter_map(|rule: &Rule| of(&rule.name, &rule.id, StepKind::RemoveRule(rule.id.clone()), true));
    let webhooks = found.webhooks.iter();
    let webhooks = webhooks.filter_map(|webhook: &Webhook| {
        of(&webhook.name, &webhook.id, StepKind::RemoveWebhook(webhook.id.clone()), false)
    });
    rules.chain(webhooks).collect()
}

/// Returns the paths at which the webhooks of a module arrive, as far as that is known.
fn paths(ours: OurName<'_>, found: &Found) -> Vec<String> {
    let is_same = |name: &str| {
        our_name(name).is_some_and(|one| (one.module, one.trigger) == (ours.module, ours.trigger))
    };
    let of_url = |webhook: &Webhook| path_of(webhook.url.as_deref()?);
    let webhooks = found.webhooks.iter().filter(|webhook| is_same(&webhook.name)).filter_map(of_url);
    webhooks.chain(facts::path_of_module(ours.module)).collect()
}

impl Plan {
    /// Adds the deletion of leftovers.
    pub(super) fn remove(&mut self, leftovers: Vec<Leftover>) {
        for (kind, name, reason, waits) in leftovers {
            let group = name.split(' ').take(3).collect::<Vec<_>>().join(" ");
            let text = reason.to_owned();
            self.deviations.push(Deviation { kind: Kind::Leftover, name: name.clone(), text });
            self.steps.push(Step { kind, name, reason, group, waits });
        }
    }
}
