//! `webhooks`: the webhooks and rules that are registered in Zoho.

mod clicks;
mod session;

use clap::{Args, Subcommand};
use tds_core::{clock::readable, error::Error, queue::Lane};
use tds_zoho::{
    entities::Api,
    rules::{Destination, Deviation, Kind, Other, Pace, Plan, Registered, Step, Unreadable},
};
use time::OffsetDateTime;

use self::{clicks::Click, session::Session};
use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    settings::{DATABASE, ENTITIES, Given, RULES, Setting, WEBHOOK, ZOHO, flags},
};
use crate::{
    app::rules::{Installed, Look, RefusedOf, removal, take_all},
    entities::Entities,
    hint::command,
    http::dto,
};

const SETTINGS: [&[Setting]; 5] = [WEBHOOK, RULES, ENTITIES, ZOHO, DATABASE];

/// Register webhooks and rules in Zoho, and check them
#[derive(Args)]
pub(crate) struct WebhooksArgs {
    #[command(subcommand)]
    action: WebhooksAction,
}

#[derive(Subcommand)]
enum WebhooksAction {
    /// Show what install would do; changes nothing
    Plan(LookArgs),
    /// Create what is missing, and mend what is wrong; can be repeated at any time
    #[command(
        after_help = "The webhooks are named TDS MODULE TRIGGER MARK. The mark follows from the URL and the secret: after a change\n\
        of either, the command creates a new webhook, switches the rule to it, and deletes the old one. If the command\n\
        is interrupted, run it again.\n\n\
        Example:\n  tds-server webhooks install --url https://tds.example.com"
    )]
    Install(LookArgs),
    /// Check what is registered; exit status 1 if something is wrong
    Status(LookArgs),
    /// Delete everything that TDS registered, and nothing else
    Remove(RemoveArgs),
}

#[derive(Args)]
#[command(args = flags(&SETTINGS))]
struct LookArgs {
    /// Base URL of the server, as Zoho reaches it [default: that of the last install]
    #[arg(long, value_name = "BASE")]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(args = flags(&SETTINGS))]
struct RemoveArgs {
    /// Base URL of the server; not needed
    #[arg(long, value_name = "BASE")]
    url: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl WebhooksArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let session = Session::open(&Lookup::load(flags)?, entities).await?;
        let done = match self.action {
            WebhooksAction::Plan(args) => args.plan(&session).await,
            WebhooksAction::Install(args) => args.install(&session).await,
            WebhooksAction::Status(args) => args.status(&session).await,
            WebhooksAction::Remove(args) => args.run(&session).await,
        };
        session.close().await;
        done
    }
}

impl LookArgs {
    async fn plan(self, session: &Session) -> CommandResult {
        let (look, _) = self.look(session, &mut session.pace()).await?;
        let is_readable = look.unreadable.is_empty();
        if self.json {
            let ok = is_readable && look.deviations().next().is_none();
            output::json(&dto::RegisteredWebhooks::from((look, Vec::new(), ok)))?;
        } else {
            print_steps(&look)?;
            print_others(&look)?;
        }
        if is_readable { Ok(()) } else { Err(Failure::Reported) }
    }

    async fn status(self, session: &Session) -> CommandResult {
        let (look, _) = self.look(session, &mut session.pace()).await?;
        session.keep(&look).await;
        let refused = session.refused().await;
        let ok = look.unreadable.is_empty() && look.deviations().next().is_none() && refused.is_empty();
        if self.json {
            output::json(&dto::RegisteredWebhooks::from((look, refused, ok)))?;
        } else {
            print_status(&look, &refused)?;
        }
        if ok { Ok(()) } else { Err(Failure::Reported) }
    }

    async fn install(self, session: &Session) -> CommandResult {
        let mut pace = session.pace();
        let (look, destination) = self.look(session, &mut pace).await?;
        let sleep = async |wait| tokio::time::sleep(wait).await;
        let installing =
            session.rules.install(&session.zoho, &destination, (look, pace), &mut tell, sleep).await;
        let Installed { look, has_changed } = installing.map_err(|error| interrupted(&error))?;
        if !look.plans.is_empty() {
            session.keep_installed(&look).await;
        }
        let left: usize = look.plans.iter().map(|plan| plan.steps.len()).sum();
        if self.json {
            let ok = left == 0 && look.unreadable.is_empty();
            output::json(&dto::RegisteredWebhooks::from((look, Vec::new(), ok)))?;
            return if ok { Ok(()) } else { Err(Failure::Reported) };
        }
        let webhooks: usize = look.plans.iter().map(|plan| plan.states.len()).sum();
        print_others(&look)?;
        // Another command at the same time may have done what Zoho refused to this one.
        if left > 0 {
            let states = look.plans.iter().flat_map(|plan| &plan.states);
            let clicks: Vec<Click> = states.filter_map(Click::of_unfinished).collect();
            return Err(Failure::failed(format!(
                "{left} steps are still to do; run the command again, or create by hand what Zoho refuses:\n{}",
                clicks::text(&clicks, session.has_key())
            )));
        }
        let what = if has_changed { "done" } else { "nothing had to be done" };
        output::data(&format!("{what}: {webhooks} webhooks and rules are registered for {}", look.base))?;
        if look.unreadable.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }

    /// Looks at what is registered. If Books does not show it, prints the clicks.
    async fn look(&self, session: &Session, pace: &mut Pace) -> CommandResult<(Look, Destination)> {
        let destination = session.destination(self.url.as_deref()).await?;
        let look = session.rules.look(&session.zoho, &destination, Lane::Operator, pace).await?;
        for line in &look.lacking {
            output::talk(&output::clean(line));
        }
        for (api, reason) in &look.unreadable {
            output::talk(&output::clean(&format!("{}: {reason}", product(*api))));
        }
        let unreadable =
            look.targets.iter().filter(|target| look.unreadable.iter().any(|(api, _)| *api == target.api));
        let clicks: Vec<Click> = unreadable.map(|target| Click::of(target, &destination)).collect();
        if !clicks.is_empty() {
            let text = clicks::text(&clicks, session.has_key());
            output::talk(
                "TDS cannot register webhooks without the scopes for settings. Make a code with the scopes that \
                 `tds-server auth --scopes` prints, run `tds-server auth --code CODE`, and run this command again. Or click:",
            );
            if self.json { output::talk(&text) } else { output::data(&text)? }
        }
        if look.plans.is_empty() && !self.json {
            return Err(Failure::Reported);
        }
        Ok((look, destination))
    }
}

impl RemoveArgs {
    async fn run(self, session: &Session) -> CommandResult {
        let mut pace = session.pace();
        let targets = session.rules.targets();
        let found = session.rules.found(&session.zoho, &targets, Lane::Operator, &mut pace).await?;
        let mut plans = Vec::new();
        let mut is_unreadable = false;
        for (api, found) in found {
            match found {
                Registered::Known(found) => {
                    let mut plan = removal(api, &found);
                    // Both products may show the same webhooks and rules.
                    let known = plans.iter().flat_map(|plan: &Plan| &plan.steps);
                    let known: Vec<_> = known.map(|step| step.kind.clone()).collect();
                    plan.steps.retain(|step| !known.contains(&step.kind));
                    plans.push(plan);
                }
                Registered::Unreadable(Unreadable::NoProduct(_)) => {}
                Registered::Unreadable(Unreadable::Refused(reason))
                    if api == Api::Inventory && !targets.iter().any(|target| target.api == api) =>
                {
                    output::talk(&output::clean(&format!(
                        "{} does not show whether anything of TDS is registered there: {reason}",
                        product(api)
                    )));
                }
                Registered::Unreadable(Unreadable::Refused(reason)) => {
                    is_unreadable = true;
                    output::talk(&output::clean(&format!("{}: {reason}", product(api))));
                }
            }
        }
        let steps: usize = plans.iter().map(|plan| plan.steps.len()).sum();
        for found in plans.iter().flat_map(|plan| &plan.deviations).filter(|one| one.kind == Kind::Doubled) {
            output::talk(&output::clean(&format!("{}: {}", found.name, found.text)));
        }
        if steps == 0 && !is_unreadable {
            return output::data("nothing of TDS is registered");
        }
        if steps > 0 {
            let question = format!("Delete {steps} webhooks and rules of TDS in Zoho?");
            output::confirm(&question, self.yes)?;
        }
        let refused = take_all(&session.zoho, &plans, None, &mut pace, &mut tell)
            .await
            .map_err(|error| interrupted(&error))?;
        if refused > 0 || is_unreadable {
            return Err(Failure::failed(
                "not everything could be deleted; the rest is in Zoho under Settings → Automation",
            ));
        }
        session.forget().await;
        output::data(&format!("{steps} webhooks and rules were deleted"))
    }
}

/// Shows a line about a step.
fn tell(line: &str) {
    output::talk(&output::clean(line));
}

fn interrupted(error: &Error) -> Failure {
    let reason = error.explain(command);
    Failure::failed(format!("{reason}; run the command again, it continues from what Zoho then shows"))
}

fn product(api: Api) -> &'static str {
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

fn print_steps(look: &Look) -> CommandResult {
    let steps: Vec<_> = look.plans.iter().flat_map(|plan| &plan.steps).cloned().collect();
    if steps.is_empty() {
        return if look.plans.is_empty() { Ok(()) } else { output::data("nothing would be changed") };
    }
    output::data(&output::table(STEPS, &steps))
}

fn print_others(look: &Look) -> CommandResult {
    let others: Vec<_> = look.plans.iter().flat_map(|plan| &plan.others).cloned().collect();
    if others.is_empty() {
        return Ok(());
    }
    output::data(&output::table(OTHERS, &others))
}

fn print_status(look: &Look, refused: &[(String, RefusedOf)]) -> CommandResult {
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
            "refused deliveries at {path} in the last 24 hours and since the last install: {}; the last at {last}",
            causes.collect::<Vec<_>>().join(", ")
        ))?;
    }
    Ok(())
}
