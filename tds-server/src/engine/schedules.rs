//! The runs that start by themselves.

use tds_core::{engine::ScheduleSpec, limits::budget::Throttle, record::EntityType, runs::RunType};
use tds_zoho::entities::{Catalogue, Polling};

use crate::config::SchedulesConfig;

/// Returns `true` if a schedule is postponed. While the budget of the day does not suffice, incremental syncs wait,
/// except those of the entity types that matter most. Webhooks and full syncs still bring the changes.
pub(crate) fn is_postponed(
    catalogue: &Catalogue,
    entity: &EntityType,
    run_type: RunType,
    step: Throttle,
) -> bool {
    let matters_most = catalogue.find(entity).is_some_and(|descriptor| descriptor.matters_most);
    step >= Throttle::Frugal && run_type == RunType::Incremental && !matters_most
}

/// Returns the schedules of every entity type that can be polled.
pub(super) fn specs(config: &SchedulesConfig, catalogue: &Catalogue) -> Vec<ScheduleSpec> {
    let mut specs = Vec::new();
    for descriptor in catalogue.iter() {
        let entity = &descriptor.schema.entity;
        let (full, incremental) = match descriptor.polling {
            Polling::Changes => (config.full, config.incremental),
            Polling::Prices => (config.full, config.prices),
            Polling::Stock => (config.stock, None),
        };
        for (run_type, every) in [(RunType::Full, full), (RunType::Incremental, incremental)] {
            specs.extend(every.map(|every| ScheduleSpec { entity: entity.clone(), run_type, every }));
        }
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_less_waits_while_calls_are_short() {
        let catalogue = Catalogue::default();
        let (bills, prices) = (EntityType::from_static("bills"), EntityType::from_static("prices"));
        let steps = Throttle::ALL.map(|step| is_postponed(&catalogue, &bills, RunType::Incremental, step));
        assert_eq!(steps, [false, false, true, true, true, true]);
        assert!(!is_postponed(&catalogue, &prices, RunType::Incremental, Throttle::Spent));
        // The budget itself makes full syncs wait.
        assert!(!is_postponed(&catalogue, &bills, RunType::Full, Throttle::Frugal));
    }
}
