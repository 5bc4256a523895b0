//! Explains a record: everything that happened to it.

use tds_core::{
    history::{History, HistoryWindow},
    mirror::MirrorSchema,
    record::{EntityType, RecordId, RecordKey},
};
use tds_zoho::entities::Catalogue;

use super::{refusal::Refusal, services::Ports};

/// The histories of records, as operators ask for them.
#[derive(Clone)]
pub(crate) struct Explain {
    pub(crate) ports: Ports,
    pub(crate) catalogue: Catalogue,
}

impl Explain {
    /// Returns a part of the history of a record, oldest first, and what is known of the record.
    pub(crate) async fn record(
        &self,
        entity: &EntityType,
        id: &RecordId,
        window: &HistoryWindow,
    ) -> Result<History, Refusal> {
        let descriptor = self.catalogue.find(entity);
        // A type of another program's handlers has no tables that TDS knows.
        let own = MirrorSchema { entity: entity.clone(), head: None, children: &[] };
        let schema = descriptor.map_or(&own, |descriptor| descriptor.schema);
        let mut addresses = vec![entity.clone()];
        // Zoho's rules do not distinguish the siblings, so their webhooks arrive at one address.
        addresses.extend(descriptor.and_then(|it| it.sibling).map(|sibling| sibling.entity.clone()));
        let history = self.ports.history.history(schema, id, &addresses, window).await?;
        history.ok_or_else(|| Refusal::NoRecord(RecordKey::new(entity.clone(), id.clone())))
    }
}
