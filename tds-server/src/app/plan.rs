//! What the configuration costs in calls a day: gathers the figures, from which the core computes the costs.

use std::time::Duration;

use tds_core::{
    engine::ScheduleSpec,
    error::Result,
    limits::budget::BudgetStatus,
    queue::Lane,
    record::EntityType,
    runs::{Cause, Cost, DailyCost, Load, daily_cost},
};
use tds_zoho::entities::Catalogue;

use super::services::{Services, is_lacking};

/// The number of past days whose calls are looked at.
const DAYS: u32 = 7;
/// The time whose webhooks are counted.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Webhooks of less than this time say little about a day.
const LEAST: Duration = Duration::from_secs(3_600);
/// The time after which Zoho is asked how many calls are left, if no answer stated it.
const QUOTA_EVERY: Duration = Duration::from_secs(3_600);

/// The part of the configuration that determines the costs.
#[derive(Clone, Debug, Default)]
pub struct CostSettings {
    /// The schedules of the runs that start by themselves.
    pub schedules: Vec<ScheduleSpec>,
    /// How long the result of a probe of a list is valid; `None` if lists are not probed.
    pub probe_every: Option<Duration>,
    /// The number of records that a comparison reads whole as a random sample.
    pub sample: u64,
    /// Whether values that Zoho derives are read again because of the documents that move them.
    pub derived: bool,
}

/// The costs of a day, and what may be spent.
pub(crate) struct Plan {
    pub(crate) cost: DailyCost,
    /// Calls of the organization's plan, as configured or as Zoho reports.
    pub(crate) limit: Option<u32>,
    /// The part of these calls that TDS may use.
    pub(crate) allowance: Option<u32>,
}

impl Plan {
    /// Returns the share of the allowance that the costs take, in percent. `None` if the limit is not known.
    pub(crate) fn share_percent(&self) -> Option<f64> {
        let allowance = self.allowance.filter(|allowance| *allowance > 0)?;
        Some((self.cost.calls() / f64::from(allowance) * 1_000.0).round() / 10.0)
    }
}

/// Computes what the configuration costs. No call is made.
///
/// # Errors
/// Fails if the store does not answer.
pub(crate) async fn plan(services: &Services, settings: &CostSettings) -> Result<Plan> {
    let Services { zoho, engine, ports, clock, catalogue } = services;
    let (status, past) = tokio::try_join!(zoho.status(), zoho.past_usage(DAYS))?;
    let is_present = |spec: &&ScheduleSpec| !is_lacking(catalogue, zoho, &spec.entity);
    let schedules: Vec<ScheduleSpec> = settings.schedules.iter().filter(is_present).cloned().collect();
    let mut lists = engine.list_loads(&schedules).await?;
    let deliveries = ports.events.deliveries(WEEK).await?;
    let days = deliveries.span.max(LEAST).as_secs_f64() / 86_400.0;
    for list in &mut lists {
        if settings.derived {
            list.followers = followers(catalogue, &list.entity);
        }
        let received = deliveries.by_entity.get(&list.entity).copied();
        list.events = received.and_then(|events| Some(f64::from(u32::try_from(events).ok()?) / days));
    }
    let load = Load {
        now: clock.now(),
        lists,
        probe_every: settings.probe_every,
        sample: settings.sample,
        past,
        further: quota(&status).into_iter().collect(),
    };
    let cost = daily_cost(&load);
    Ok(Plan { cost, limit: status.day.limit, allowance: status.day.allowance })
}

/// Returns the entity types, each once, that are synced and whose values follow documents of this type.
fn followers(catalogue: &Catalogue, entity: &EntityType) -> Vec<EntityType> {
    let moved = catalogue.find(entity).map_or(&[][..], |descriptor| descriptor.moves);
    let mut followers: Vec<EntityType> = Vec::new();
    for moved in moved.iter().filter(|moved| catalogue.is_synced(&moved.entity)) {
        if !followers.contains(&moved.entity) {
            followers.push(moved.entity.clone());
        }
    }
    followers
}

/// Returns the cost of asking Zoho how many calls are left. Answers to other calls state it as well, in most plans.
fn quota(status: &BudgetStatus) -> Option<Cost> {
    if status.day.reported_age.is_some_and(|age| age < QUOTA_EVERY) {
        return None;
    }
    let calls = 86_400.0 / QUOTA_EVERY.as_secs_f64();
    Some(Cost {
        lane: Lane::Incremental,
        entity: None,
        cause: Cause::Quota,
        calls,
        idle: calls,
        reason: "one call an hour, on the assumption that no answer states how many calls are left"
            .to_owned(),
        assumed: true,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tds_core::{
        clock::SystemClock,
        limits::budget::PastUsage,
        runs::{ListLoad, Period, Run, RunHistory, RunId, RunStatus, RunType},
    };
    use tds_zoho::{DataCenter, ZohoClient, ZohoConfig};
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        config::{Config, Need},
        engine::specs,
    };

    /// The numbers of records of a real shop, and of the items that it keeps in stock. Those of bills, credit notes and
    /// of what is bought, and those of the short lists, are estimates.
    const SHOP: [(&str, i64); 18] = [
        ("products", 2_221),
        ("customers", 2_415),
        ("vendors", 88),
        ("invoices", 23_972),
        ("bills", 1_200),
        ("credit_notes", 700),
        ("stock", 2_221),
        ("prices", 9),
        ("sales_orders", 19_636),
        ("customer_payments", 23_000),
        ("purchase_orders", 1_200),
        ("vendor_payments", 1_000),
        ("vendor_credits", 100),
        ("item_groups", 100),
        ("composite_items", 50),
        ("currencies", 2),
        ("taxes", 5),
        ("locations", 3),
    ];
    const IN_STOCK: i64 = 480;

    fn shop() -> DailyCost {
        let zoho = ZohoConfig::new("1000.ID", "secret", "refresh", "10234695", DataCenter::Us);
        let client = ZohoClient::new(zoho, Arc::new(SystemClock)).expect("a valid configuration");
        let config = Config::from_lookup(|_| None, Need::Database).expect("the defaults");
        let catalogue = Catalogue::default();
        let schedules = specs(&config.schedules, &catalogue);
        let list = |source: Arc<dyn tds_core::source::Source>| {
            let entity = source.schema().entity.clone();
            let records = SHOP.iter().find(|(name, _)| *name == entity.as_str()).expect("a volume").1;
            let own = schedules.iter().filter(|spec| spec.entity == entity);
            let profile = source.profile().clone();
            let last = profile.lists_ids.then(|| full_run(&entity, records, records - IN_STOCK));
            ListLoad {
                schedules: own.map(|spec| Period { run_type: spec.run_type, every: spec.every }).collect(),
                capability: profile.documented,
                profile,
                history: RunHistory {
                    last_full_count: Some(records),
                    completed: last.into_iter().collect(),
                    ..RunHistory::default()
                },
                live: None,
                events: None,
                followers: Vec::new(),
                entity,
            }
        };
        let lists = catalogue.sources(&client).into_iter().map(list).collect();
        let (past, probe_every) = (PastUsage::default(), config.schedules.probe);
        daily_cost(&Load { now: OffsetDateTime::UNIX_EPOCH, lists, probe_every, sample: config.verify_sample, past, further: Vec::new() })
    }

    fn full_run(entity: &EntityType, total: i64, unchanged: i64) -> Run {
        Run {
            id: RunId(1),
            run_type: RunType::Full,
            entity_type: entity.clone(),
            source_type: "zoho".to_owned(),
            status: RunStatus::Completed,
            total_items: total,
            processed_items: total,
            failed_items: 0,
            unchanged_items: unchanged,
            pages: 1,
            plan: None,
            calls: 0,
            listing_done: true,
            expected_items: None,
            since: None,
            selection: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            started_at: None,
            completed_at: None,
            error_log: None,
            requested_by: None,
            target_database: None,
            held_deletions: 0,
            verify: None,
        }
    }

    fn thousands(number: i64) -> String {
        if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
    }

    /// Returns the table of the handbook: each entity type with its records, and its calls a day.
    fn table(cost: &DailyCost) -> String {
        let calls = |name: &str, causes: &[Cause]| -> f64 {
            let own =
                cost.costs.iter().filter(|cost| cost.entity.as_ref().is_some_and(|own| own.as_str() == name));
            own.filter(|cost| causes.contains(&cost.cause)).fold(0.0, |sum, cost| sum + cost.calls)
        };
        let mut text = String::new();
        let known: Vec<&str> = Catalogue::default().names().collect();
        for (name, records) in SHOP.iter().filter(|(name, _)| known.contains(name)) {
            let full = calls(name, &[Cause::FullSync]);
            let looks = calls(name, &[Cause::IncrementalSync, Cause::Probes]);
            let again = calls(name, &[Cause::Aged]);
            let changes = calls(name, &[Cause::Changes]);
            let verify = calls(name, &[Cause::Verification]);
            text.push_str(&format!(
                "| `{name}` | {} | {full:.0} | {looks:.0} | {again:.0} | {changes:.0} | {verify:.0} |\n",
                thousands(*records)
            ));
        }
        text.push_str(&format!(
            "| **all** | | | | **idle {:.0}** | **{:.0}** | |\n",
            cost.idle(),
            cost.calls()
        ));
        text
    }

    #[test]
    fn the_handbook_tells_what_the_entity_types_of_a_real_shop_cost() {
        let (table, handbook) = (table(&shop()), include_str!("../../../docs/performance.md"));
        assert!(handbook.contains(&table), "docs/performance.md needs this table:\n{table}");
    }
}
