//! `mode get | set | switch`.

use std::{collections::BTreeMap, time::Duration};

use clap::{Args, Subcommand};
use tds_core::{
    outbound::{ConflictPolicy, Mode, ModeChange},
    record::EntityType,
    verify::VerificationReport,
};

use super::{
    bulk_sync::foreground_config,
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    parse,
    settings::{ACCESS, DATABASE, ENTITIES, Given, MIRROR, VERIFY, WORKER, ZOHO, flags},
    signals,
    store::Store,
    verify::compare,
};
use crate::{
    app::{
        directions::{Directions, ModeView, Switch, mode_name, policy_name},
        verify::Request,
    },
    engine::Engine,
    entities::Entities,
    http::dto,
    nearest::meant,
};

/// Show and change which side of an entity type is written, and who wins a conflict
#[derive(Args)]
pub(crate) struct ModeArgs {
    #[command(subcommand)]
    action: ModeAction,
}

#[derive(Subcommand)]
enum ModeAction {
    /// Show the modes and conflict policies
    #[command(args = flags(&[ENTITIES, DATABASE]))]
    Get {
        /// Entity type [default: all]
        entity: Option<EntityType>,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Set a mode at once, without verification
    #[command(args = flags(&[ENTITIES, DATABASE]), after_help = "Examples:\n  \
        tds-server mode set products shadow\n  \
        tds-server mode set customers bidirectional --conflict-policy newest_wins --field credit_limit=erp_wins\n\n\
        mode switch is the whole procedure: it compares both sides first, and refuses while they differ.\n\
        docs/operations/conflicts.md explains the policies.")]
    Set(SetArgs),
    /// Pause, drain, compare both sides, check the money, change the mode, resume
    #[command(args = flags(&[ENTITIES, VERIFY, ZOHO, WORKER, MIRROR, ACCESS, DATABASE]), after_help = "Example:\n  \
        tds-server mode switch invoices bidirectional\n\n\
        Exit status 1: the mode was not changed, because something differs, waits for a person or does not end. The\n\
        command says what, and what to do. Where there are local changes, a server has to push them: the switch waits\n\
        until Zoho has them. If the command ends between pause and resume, use tds-server resume ENTITY.")]
    Switch(SwitchArgs),
}

#[derive(Args)]
struct SetArgs {
    /// Entity type, such as products
    entity: EntityType,
    /// Mode: zoho_primary, shadow, bidirectional or erp_primary
    #[arg(value_parser = parse::one_of(Mode::ALL, mode_name))]
    mode: Mode,
    /// What decides when both sides changed a field: zoho_wins, erp_wins, newest_wins or manual [default: as it is]
    #[arg(long, value_name = "POLICY", value_parser = parse::one_of(ConflictPolicy::ALL, policy_name))]
    conflict_policy: Option<ConflictPolicy>,
    /// The policy of one column or child table, such as credit_limit=erp_wins, or credit_limit=default for that of the
    /// entity type; the other fields keep theirs
    #[arg(long = "field", value_name = "FIELD=POLICY", value_parser = field_policy)]
    fields: Vec<(String, Option<ConflictPolicy>)>,
    /// Print the modes of all entity types as JSON, in the format of the API
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SwitchArgs {
    /// Entity type, such as products
    entity: EntityType,
    /// Mode: zoho_primary, shadow, bidirectional or erp_primary
    #[arg(value_parser = parse::one_of(Mode::ALL, mode_name))]
    mode: Mode,
    /// How long to wait for local changes that are under way
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse::duration)]
    wait: Duration,
    /// Print the modes of all entity types as JSON, in the format of the API
    #[arg(long)]
    json: bool,
}

/// Parses `FIELD=POLICY`. The policy `default` is `None`.
fn field_policy(text: &str) -> Result<(String, Option<ConflictPolicy>), String> {
    let (field, policy) = text.split_once('=').ok_or("use FIELD=POLICY, such as credit_limit=erp_wins")?;
    if policy == "default" {
        return Ok((field.to_owned(), None));
    }
    let found = ConflictPolicy::ALL.into_iter().find(|one| policy_name(*one) == policy);
    let found = found.ok_or_else(|| {
        let names = ConflictPolicy::ALL.map(policy_name);
        format!("{policy:?} is not one of {}, default{}", names.join(", "), meant(policy, names))
    })?;
    Ok((field.to_owned(), Some(found)))
}

impl ModeArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let (get, set) = match self.action {
            ModeAction::Switch(args) => return args.run(flags, entities).await,
            ModeAction::Get { entity, json } => (Some((entity, json)), None),
            ModeAction::Set(args) => (None, Some(args)),
        };
        let store = Store::open(&Lookup::load(flags)?, entities).await?;
        let directions = store.directions();
        let result = match (get, set) {
            (_, Some(args)) => args.run(&directions).await,
            (get, None) => {
                let (entity, json) = get.unwrap_or_default();
                show(&directions, entity.as_ref(), json).await
            }
        };
        store.close().await;
        result
    }
}

async fn show(directions: &Directions, entity: Option<&EntityType>, json: bool) -> CommandResult {
    let modes = match entity {
        Some(entity) => vec![directions.mode(entity).await?],
        None => directions.modes().await?,
    };
    if json {
        output::json(&dto::ModeList::from(modes))
    } else {
        output::data(&output::table(COLUMNS, &modes))
    }
}

impl SetArgs {
    async fn run(self, directions: &Directions) -> CommandResult {
        let current = directions.mode(&self.entity).await?.mode;
        let fields = (!self.fields.is_empty()).then(|| {
            let mut fields: BTreeMap<String, ConflictPolicy> = current.fields.clone();
            for (field, policy) in self.fields {
                match policy {
                    Some(policy) => drop(fields.insert(field, policy)),
                    None => drop(fields.remove(&field)),
                }
            }
            fields
        });
        // The fields were merged with those that are set, so nobody else may have changed these in the meantime.
        let epoch = fields.is_some().then_some(current.epoch);
        let change = ModeChange {
            entity: self.entity,
            mode: Some(self.mode),
            policy: self.conflict_policy,
            fields,
            epoch,
        };
        let (view, pending) = directions.set(&change).await?;
        if pending > 0 {
            output::talk(&format!(
                "{pending} local changes of {entity} are not at Zoho: see outbox list --entity {entity}",
                entity = view.mode.entity
            ));
        }
        tell(&view);
        if self.json { show(directions, None, true).await } else { Ok(()) }
    }
}

impl SwitchArgs {
    async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let config = foreground_config(&Lookup::load(flags)?, "mode switch")?;
        let shutdown = signals::shutdown()?;
        let engine = Engine::build(&config, entities).await?;
        let services = &engine.services;
        let directions = Directions { ports: services.ports.clone(), catalogue: services.catalogue.clone() };
        let switch = Switch { entity: &self.entity, mode: self.mode, patience: self.wait };
        let verify = || async {
            let request =
                Request { entities: Some(vec![self.entity.clone()]), repair: false, requested_by: "cli" };
            let compared: CommandResult<VerificationReport> = compare(&engine, request, &shutdown).await;
            compared.map_err(Failure::into_error)
        };
        let told = |step: &str| output::talk(&format!("{}: {step}", self.entity));
        let switched = directions.switch(&switch, verify, &told).await;
        let shown = match switched {
            Err(refusal) => Err(refusal.into()),
            Ok(view) => {
                tell(&view);
                if self.json { show(&directions, None, true).await } else { Ok(()) }
            }
        };
        engine.close().await;
        shown
    }
}

fn tell(view: &ModeView) {
    let mode = &view.mode;
    output::talk(&format!(
        "{} is {} (epoch {}); conflicts: {}",
        mode.entity,
        mode_name(mode.mode),
        mode.epoch,
        policies(view)
    ));
}

/// Returns the policy of an entity type, and those of its fields.
fn policies(view: &ModeView) -> String {
    let fields = view.mode.fields.iter().map(|(field, policy)| format!("{field} {}", policy_name(*policy)));
    let all = std::iter::once(policy_name(view.mode.policy).to_owned()).chain(fields);
    all.collect::<Vec<_>>().join(", ")
}

const COLUMNS: &[Column<ModeView>] = &[
    ("ENTITY", |view| view.mode.entity.to_string()),
    ("MODE", |view| mode_name(view.mode.mode).to_owned()),
    ("CONFLICTS", policies),
    ("EPOCH", |view| view.mode.epoch.to_string()),
    ("CHANGED", |view| output::time(view.mode.changed_at)),
    ("WRITABLE", |view| if view.is_writable { "yes" } else { "no" }.to_owned()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_a_policy_or_that_of_its_type() {
        assert_eq!(field_policy("rate=erp_wins"), Ok(("rate".to_owned(), Some(ConflictPolicy::TargetWins))));
        assert_eq!(field_policy("rate=default"), Ok(("rate".to_owned(), None)));
        let slip = field_policy("rate=erp_win").expect_err("a slip");
        assert!(slip.contains("did you mean erp_wins?"), "{slip}");
        assert!(field_policy("rate").is_err());
    }
}
