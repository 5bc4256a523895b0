//! `webhooks`: the webhooks and rules that are registered in Zoho.

mod clicks;
mod session;
mod shown;

use std::time::Duration;

use clap::{Args, Subcommand};
use tds_core::{error::Error, queue::Lane};
use tds_zoho::{
    entities::Api,
    rules::{Destination, Pace, Plan, Registered, Step, Target, Unreadable},
};

use self::{
    clicks::Click,
    session::Session,
    shown::{print_doubles, print_others, print_status, print_steps, product, unfinished},
};
use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{DATABASE, ENTITIES, Given, RULES, Setting, WEBHOOK, ZOHO, flags},
};
use crate::{
    app::rules::{Done, Look, Progress, removal, take_all},
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
        let (look, ..) = self.look(session, true).await?;
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
        let (look, ..) = self.look(session, false).await?;
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
        let (look, pace, destination) = self.look(session, true).await?;
        let mut progress = Progress::default();
        let (rules, zoho) = (&session.rules, &session.zoho);
        let installing =
            rules.install(zoho, &destination, (look, pace), &mut tell, sleep, &mut progress).await;
        session.switched(&progress.switched).await;
        let look = installing.map_err(|error| interrupted(&error, progress.is_in_doubt))?;
        if !look.plans.is_empty() {
            session.keep_installed(&look).await;
        }
        let left: Vec<Step> = look.plans.iter().flat_map(|plan| &plan.steps).cloned().collect();
        if self.json {
            let ok = left.is_empty() && look.unreadable.is_empty();
            output::json(&dto::RegisteredWebhooks::from((look, Vec::new(), ok)))?;
            return if ok { Ok(()) } else { Err(Failure::Reported) };
        }
        let webhooks: usize = look.plans.iter().map(|plan| plan.states.len()).sum();
        print_others(&look)?;
        print_doubles(&look.plans);
        if !left.is_empty() {
            return Err(Failure::failed(unfinished(&look, &left, session.has_key())));
        }
        let what = match (progress.has_changed, look.unreadable.is_empty()) {
            (_, false) => "not everything could be looked at",
            (true, true) => "done",
            (false, true) => "nothing had to be done",
        };
        output::data(&format!("{what}: {webhooks} webhooks and rules are registered for {}", look.base))?;
        if look.unreadable.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }

    /// Looks at what is registered. If Books does not show it, prints the clicks.
    async fn look(&self, session: &Session, is_repairing: bool) -> CommandResult<(Look, Pace, Destination)> {
        let destination = session.destination(self.url.as_deref()).await?;
        let before = session.before(is_repairing).await;
        let (rules, zoho) = (&session.rules, &session.zoho);
        let (look, pace) = rules.look_patiently(zoho, &destination, &before, &mut tell, sleep).await?;
        for line in &look.lacking {
            tell(line);
        }
        for hidden in &look.unreadable {
            tell(&format!("{}: {}", product(hidden.api), hidden.reason));
        }
        // Nothing can be clicked for an organization that Zoho refuses.
        let is_refused = |target: &&Target| {
            look.unreadable.iter().any(|one| one.api == target.api && !one.is_organization)
        };
        let unreadable = look.targets.iter().filter(is_refused);
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
        Ok((look, pace, destination))
    }
}

impl RemoveArgs {
    async fn run(self, session: &Session) -> CommandResult {
        let mut pace = session.pace();
        let targets = session.rules.targets();
        let found = session.rules.found(&session.zoho, &targets, Lane::Operator, &mut pace).await?;
        let in_inventory = session.before(false).await.in_inventory;
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
                // The organization does not have Inventory, and nothing was ever registered there.
                Registered::Unreadable(Unreadable::Organization(_))
                    if api == Api::Inventory && !plans.is_empty() && in_inventory != Some(true) => {}
                Registered::Unreadable(Unreadable::Refused(_) | Unreadable::Organization(_))
                    if api == Api::Inventory && in_inventory == Some(false) => {}
                Registered::Unreadable(Unreadable::Refused(reason) | Unreadable::Organization(reason)) => {
                    is_unreadable = true;
                    tell(&format!(
                        "{} does not show whether anything of TDS is registered there: {reason}",
                        product(api)
                    ));
                }
            }
        }
        let steps: usize = plans.iter().map(|plan| plan.steps.len()).sum();
        print_doubles(&plans);
        if steps == 0 && !is_unreadable {
            return output::data("nothing of TDS is registered");
        }
        if steps > 0 {
            let question = format!("Delete {steps} webhooks and rules of TDS in Zoho?");
            output::confirm(&question, self.yes)?;
        }
        let mut done = Done::default();
        take_all(&session.zoho, &plans, None, &mut pace, &mut tell, (&|_| true, &mut done))
            .await
            .map_err(|error| interrupted(&error, false))?;
        if done.refused > 0 || is_unreadable {
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

async fn sleep(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// `is_in_doubt`: a creation was not answered, and may still take effect.
fn interrupted(error: &Error, is_in_doubt: bool) -> Failure {
    let reason = error.explain(command);
    let again = if is_in_doubt { "run the command again in two minutes" } else { "run the command again" };
    Failure::failed(format!("{reason}; {again}, it continues from what Zoho then shows"))
}
