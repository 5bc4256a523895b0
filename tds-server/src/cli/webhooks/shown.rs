//! What the subcommands of `webhooks` print.

use tds_core::clock::readable;
use tds_zoho::{
    entities::Api,
    rules::{Deviation, Kind, Other, Plan, Step},
};
use time::OffsetDateTime;

use super::{
    clicks::{self, Click},
    tell,
};
use crate::{
    app::rules::{Look, RefusedOf},
    cli::{
        exit::CommandResult,
        output::{self, Column},
    },
};

/// Says what an install could not do, and what a person has to do.
pub(super) fn unfinished(look: &Look, left: &[Step], has_key: bool) -> String {
    let mut text = format!("{} steps are still to do; Zoho's reasons are above:\n", left.len());
    for step in left {
        text.push_str(&format!("   {} {:?}: {}\n", step.action(), step.name, step.reason));
    }
    text.push_str("Run the command again");
    let states = look.plans.iter().flat_map(|plan| &plan.states);
    // Another command at the same time may have done what Zoho refused to this one.
    let clicks: Vec<Click> = states.filter_map(Click::of_unfinished).collect();
    if left.iter().any(|step| step.is_removal() && !step.waits) {
        text.push_str(". Zoho deletes no webhook that a rule sends: change or delete that rule first");
    }
    if clicks.is_empty() {
        text.push('.');
    } else {
        text.push_str(
            ", set the right name of a module in TDS_WEBHOOK_MODULES, or create by hand what Zoho refuses:\n",
        );
        text.push_str(&clicks::text(&clicks, has_key));
    }
    text
}

/// Says which rules and webhooks of others double deliveries, or keep a webhook from being deleted.
pub(super) fn print_doubles(plans: &[Plan]) {
    for found in plans.iter().flat_map(|plan| &plan.deviations).filter(|one| one.kind == Kind::Doubled) {
        tell(&format!("{}: {}", found.name, found.text));
    }
}

pub(super) fn product(api: Api) -> &'static str {
    match api {
        Api::Books => "Zoho Books",
        Api::Inventory => "Zoho Inventory",
    }
}

const STEPS: &[Column<Step>] = &[
    ("STEP", |step| step.action().to_owned()),
    ("NAME", |step| step.name.clone()),
    ("WHY", |step| step.reason.to_owned()),
];

const OTHERS: &[Column<Other>] = &[
    ("WEBHOOK OF OTHERS (left alone)", |other| other.name.clone()),
    ("URL", |other| output::or_dash(other.url.as_deref())),
];

const FINDINGS: &[Column<Deviation>] = &[
    ("FINDING", |one| one.kind.as_str().to_owned()),
    ("NAME", |one| one.name.clone()),
    ("DETAIL", |one| one.text.clone()),
];

pub(super) fn print_steps(look: &Look) -> CommandResult {
    let steps: Vec<_> = look.plans.iter().flat_map(|plan| &plan.steps).cloned().collect();
    if steps.is_empty() {
        return if look.plans.is_empty() { Ok(()) } else { output::data("nothing would be changed") };
    }
    output::data(&output::table(STEPS, &steps))
}

pub(super) fn print_others(look: &Look) -> CommandResult {
    let others: Vec<_> = look.plans.iter().flat_map(|plan| &plan.others).cloned().collect();
    if others.is_empty() {
        return Ok(());
    }
    output::data(&output::table(OTHERS, &others))
}

pub(super) fn print_status(look: &Look, refused: &[(String, RefusedOf)]) -> CommandResult {
    let deviations: Vec<_> = look.deviations().cloned().collect();
    let webhooks: usize = look.plans.iter().map(|plan| plan.states.len()).sum();
    if deviations.is_empty() && !look.plans.is_empty() {
        output::data(&format!("{webhooks} webhooks and rules are registered for {}", look.base))?;
    } else if !deviations.is_empty() {
        output::data(&output::table(FINDINGS, &deviations))?;
    }
    for (path, of) in refused {
        let last = OffsetDateTime::from_unix_timestamp(of.last_at()).map(readable).unwrap_or_default();
        let causes = [
            (of.unsigned, "without a signature: a webhook without our secret sends there"),
            (of.mismatched, "with the signature of another secret"),
            (of.keyless, "with the right signature, but without the right header X-Webhook-Key"),
        ];
        let causes =
            causes.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}"));
        output::data(&format!(
            "refused deliveries at {path} in the last 24 hours and since its webhooks were last created: {}; the last at \
             {last}; tds-server webhooks install creates them again",
            causes.collect::<Vec<_>>().join(", ")
        ))?;
    }
    Ok(())
}
