//! The runs that start by themselves.

use tds_core::{engine::ScheduleSpec, record::EntityType, runs::RunType};
use tds_zoho::entities::{Catalogue, Polling};

use crate::config::{ImagesConfig, SchedulesConfig};

/// The entity type whose records have images.
const PRODUCTS: EntityType = EntityType::from_static("products");

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

/// Returns the schedule of the downloads of images, if images are kept and products are synced.
pub(crate) fn images(config: &ImagesConfig, catalogue: &Catalogue) -> Option<ScheduleSpec> {
    config.store.as_ref()?;
    catalogue.find(&PRODUCTS).filter(|_| catalogue.is_synced(&PRODUCTS))?;
    Some(ScheduleSpec { entity: PRODUCTS, run_type: RunType::Images, every: config.every? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Need};

    /// Returns the period of the looks at images, in seconds.
    fn schedule(settings: &[(&str, &str)]) -> Option<u64> {
        let value = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let config = Config::from_lookup(|name| value(name).map(str::to_owned), Need::Database);
        let config = config.expect("a valid configuration");
        let catalogue = config.entities.of(&Catalogue::default()).expect("known entity types");
        images(&config.images, &catalogue).map(|spec| spec.every.as_secs())
    }

    #[test]
    fn images_are_looked_at_only_if_they_are_kept() {
        let store = ("TDS_IMAGE_STORE", "file:///srv/images");
        assert_eq!(schedule(&[]), None);
        assert_eq!(schedule(&[store]), Some(3_600));
        assert_eq!(schedule(&[store, ("TDS_IMAGES_EVERY", "off")]), None);
        assert_eq!(schedule(&[store, ("TDS_ENTITIES", "customers")]), None);
    }
}
