//! Local changes on their way to Zoho, and the conflicts that a person decides.

use tds_core::{
    error::Result,
    outbound::{
        Conflict, ConflictId, ConflictStatus, OutboxEntry, OutboxFilter, OutboxId, OutboxOperator, Resolution,
    },
    queue::Page,
    record::EntityType,
};

use super::{refusal::Refusal, services::Ports};

/// The operations of operators on the outbox.
#[derive(Clone)]
pub(crate) struct LocalChanges(pub(crate) Ports);

impl LocalChanges {
    /// Returns one page of local changes, newest first.
    pub(crate) async fn list(
        &self,
        filter: &OutboxFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<OutboxEntry>> {
        self.operator()?.entries(filter, cursor, limit).await
    }

    /// Returns one local change with its push.
    pub(crate) async fn find(&self, id: i64) -> Result<OutboxEntry, Refusal> {
        let entry = self.operator()?.entry(OutboxId(id)).await?;
        entry.ok_or(Refusal::Unknown("local change", id))
    }

    /// Returns one page of conflicts, newest first.
    pub(crate) async fn conflicts(
        &self,
        status: Option<ConflictStatus>,
        entity: Option<&EntityType>,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Conflict>> {
        self.operator()?.conflicts(status, entity, cursor, limit).await
    }

    /// Returns one conflict.
    pub(crate) async fn conflict(&self, id: i64) -> Result<Conflict, Refusal> {
        self.operator()?.conflict(ConflictId(id)).await?.ok_or(Refusal::Unknown("conflict", id))
    }

    /// Stores the decision of a person. The push of the record continues with it.
    pub(crate) async fn resolve(&self, id: i64, resolution: &Resolution) -> Result<Conflict, Refusal> {
        Ok(self.operator()?.resolve(ConflictId(id), resolution).await?)
    }

    fn operator(&self) -> Result<&dyn OutboxOperator> {
        Ok(self.0.outbound()?.operator.as_ref())
    }
}
