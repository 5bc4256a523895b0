//! Which runs start by themselves.

use tds_core::{
    engine::{Registry, ScheduleSpec},
    limits::budget::Throttle,
    record::EntityType,
    runs::RunType,
};

use crate::config::SchedulesConfig;

const STOCK: EntityType = EntityType::from_static("stock");
const PRICES: EntityType = EntityType::from_static("prices");

/// What a shop sees first when it is wrong. While the day's calls do not suffice, incremental syncs of everything else
/// wait: webhooks and full syncs still bring their changes.
const MATTERS_MOST: [EntityType; 5] = [
    EntityType::from_static("products"),
    STOCK,
    PRICES,
    EntityType::from_static("invoices"),
    EntityType::from_static("customers"),
];

/// True where a schedule waits for a better day.
pub(crate) fn is_postponed(entity: &EntityType, run_type: RunType, step: Throttle) -> bool {
    step >= Throttle::Frugal && run_type == RunType::Incremental && !MATTERS_MOST.contains(entity)
}

/// The schedules of every entity type that can be polled.
pub(super) fn specs(config: &SchedulesConfig, registry: &Registry) -> Vec<ScheduleSpec> {
    let mut specs = Vec::new();
    for entity in registry.polled() {
        // Stock has no time of change: each look is a look at everything.
        let wishes = if *entity == STOCK {
            [(RunType::Full, config.stock), (RunType::Incremental, None)]
        } else if *entity == PRICES {
            [(RunType::Full, config.full), (RunType::Incremental, config.prices)]
        } else {
            [(RunType::Full, config.full), (RunType::Incremental, config.incremental)]
        };
        let wanted = wishes.into_iter().filter_map(|(run_type, every)| Some((run_type, every?)));
        specs.extend(wanted.map(|(run_type, every)| ScheduleSpec {
            entity: entity.clone(),
            run_type,
            every,
        }));
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_less_waits_while_calls_are_short() {
        let bills = EntityType::from_static("bills");
        let steps = Throttle::ALL.map(|step| is_postponed(&bills, RunType::Incremental, step));
        assert_eq!(steps, [false, false, true, true, true, true]);
        assert!(!is_postponed(&PRICES, RunType::Incremental, Throttle::Spent));
        // The ledger itself keeps full syncs waiting.
        assert!(!is_postponed(&bills, RunType::Full, Throttle::Frugal));
    }
}
