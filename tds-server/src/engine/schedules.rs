//! The runs that start by themselves.

use tds_core::{engine::ScheduleSpec, runs::RunType};
use tds_zoho::entities::{Catalogue, Polling};

use crate::config::SchedulesConfig;

/// Returns the schedules of every entity type that is synced.
pub(crate) fn specs(config: &SchedulesConfig, catalogue: &Catalogue) -> Vec<ScheduleSpec> {
    let mut specs = Vec::new();
    for descriptor in catalogue.synced() {
        let entity = &descriptor.schema.entity;
        let (full, incremental) = match descriptor.polling {
            Polling::Changes => (config.full, config.incremental),
            Polling::Full => (config.full, None),
            Polling::Prices => (config.full, config.prices),
            Polling::Stock => (config.stock, None),
        };
        let verify = config.verify;
        for (run_type, every) in
            [(RunType::Full, full), (RunType::Incremental, incremental), (RunType::Verify, verify)]
        {
            specs.extend(every.map(|every| ScheduleSpec { entity: entity.clone(), run_type, every }));
        }
    }
    specs
}
