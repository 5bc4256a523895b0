//! Which runs start by themselves.

use tds_core::{EntityType, Registry, RunType, ScheduleSpec};

use crate::config::SchedulesConfig;

const STOCK: EntityType = EntityType::from_static("stock");
const PRICES: EntityType = EntityType::from_static("prices");

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
