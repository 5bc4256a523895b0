//! `plan`: what the configuration costs in calls a day.

use clap::Args;
use tds_core::{
    queue::WorkerId,
    runs::{Cost, LaneCost},
};
use tds_zoho::ZohoConfig;

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    settings::{Given, SERVER, flags},
    store::{existing, own, quiet_config},
};
use crate::{
    app::plan::{Plan, plan},
    config::{Config, Need},
    engine::{BuildError, Engine, Storage},
    entities::Entities,
    http::dto,
};

/// What the schedules, webhooks, verification and pushes cost.
#[derive(Args)]
#[command(args = flags(&SERVER), after_help = "Examples:\n  tds-server plan\n  \
    tds-server plan --what-if TDS_STOCK_EVERY=2h --what-if TDS_ENTITIES=products,stock,invoices\n\n\
    The figures come from the database: the numbers of records, the last runs, and the webhooks and calls of the last\n\
    seven days. The command makes no call to Zoho and changes nothing.")]
pub(crate) struct PlanArgs {
    /// Compute with this setting, as if the variable were set; can be repeated
    #[arg(long = "what-if", value_name = "VARIABLE=VALUE")]
    what_if: Vec<String>,
    /// Print JSON, as the API answers it
    #[arg(long)]
    json: bool,
}

impl PlanArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let config = quiet_config(&lookup, Need::Sync)?;
        let changed = if self.what_if.is_empty() {
            None
        } else {
            let lookup = lookup.with(&self.what_if)?;
            let changed = Config::from_lookup(|name| lookup.get(name), Need::Sync)?;
            // Both plans are about one database, whatever is set.
            Some(Config { database: config.database.clone(), ..changed })
        };
        let (storage, _) = existing(&config.database).await?;
        let plans = plans(&config, changed.as_ref(), entities, &storage).await;
        storage.close().await;
        let (now, then) = plans?;
        let before = then.is_some().then(|| (now.cost.calls(), now.cost.idle()));
        let plan = then.unwrap_or(now);
        if self.json {
            return output::json(&dto::CostPlan::from(plan));
        }
        print(&plan, before)
    }
}

/// Returns the plan of the configuration, and the plan of the changed one.
async fn plans(
    config: &Config,
    changed: Option<&Config>,
    entities: &Entities,
    storage: &Storage,
) -> CommandResult<(Plan, Option<Plan>)> {
    own(storage, config).await?;
    let now = of(config, entities, storage).await?;
    match changed {
        Some(changed) => Ok((now, Some(of(changed, entities, storage).await?))),
        None => Ok((now, None)),
    }
}

async fn of(config: &Config, entities: &Entities, storage: &Storage) -> CommandResult<Plan> {
    let zoho: ZohoConfig = config.zoho.clone().ok_or(BuildError::NoZoho)?;
    let (services, costs) = Engine::compose(config, entities, zoho, storage, &WorkerId::unique())?;
    Ok(plan(&services, &costs).await?)
}

fn print(plan: &Plan, before: Option<(f64, f64)>) -> CommandResult {
    output::data(&output::table(LANES, &plan.cost.lanes))?;
    output::data("")?;
    output::data(&output::table(COSTS, &plan.cost.costs))?;
    output::data("")?;
    output::data(&summary(plan, before))
}

fn summary(plan: &Plan, before: Option<(f64, f64)>) -> String {
    let (calls, idle) = (number(plan.cost.calls()), number(plan.cost.idle()));
    let was = |number: String| format!(" ({number} without --what-if)");
    let (was_calls, was_idle) =
        before.map_or_else(Default::default, |(calls, idle)| (was(number(calls)), was(number(idle))));
    let share = match (plan.limit, plan.allowance, plan.share_percent()) {
        (Some(limit), Some(allowance), Some(share)) => {
            format!("{share} % of the {allowance} calls for TDS; the plan has {limit} calls a day")
        }
        _ => "unknown: set ZOHO_DAILY_LIMIT to the calls that the plan of the organization allows in a day"
            .to_owned(),
    };
    let over = plan.share_percent().is_some_and(|share| share > 100.0);
    let advice = if over {
        "\nThe day will not suffice: TDS will save calls (docs/operations/runbook.md)."
    } else {
        ""
    };
    format!(
        "calls a day:             {calls}{was_calls}\ncalls a day while idle:  {idle}{was_idle}\n\
         share of the plan:       {share}{advice}"
    )
}

const LANES: &[Column<LaneCost>] = &[
    ("LANE", |lane| lane.lane.as_str().to_owned()),
    ("CALLS A DAY", |lane| number(lane.calls)),
    ("WHILE IDLE", |lane| number(lane.idle)),
    ("", |lane| lane.reason.unwrap_or_default().to_owned()),
];

const COSTS: &[Column<Cost>] = &[
    ("LANE", |cost| cost.lane.as_str().to_owned()),
    ("ENTITY", |cost| cost.entity.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)),
    ("CAUSE", |cost| cost.cause.as_str().to_owned()),
    ("CALLS A DAY", |cost| number(cost.calls)),
    ("WHILE IDLE", |cost| number(cost.idle)),
    ("WHY", |cost| cost.reason.clone()),
];

fn number(calls: f64) -> String {
    format!("{:.0}", calls.ceil())
}

impl Lookup {
    /// Returns the same settings with changes, each as `VARIABLE=VALUE`.
    fn with(&self, changes: &[String]) -> CommandResult<Self> {
        let mut changed = self.clone();
        for change in changes {
            let (variable, value) = change.split_once('=').ok_or_else(|| {
                Failure::usage(format!("--what-if {change}: use VARIABLE=VALUE, such as TDS_STOCK_EVERY=2h"))
            })?;
            changed.set(variable, value)?;
        }
        Ok(changed)
    }
}
