//! What a replay of an event or a retry of an item would do, with today's code and today's records. Nothing is written.

use serde_json::Value;
use tds_core::{
    handler::{Foreseen, Preview},
    history::HistoryWindow,
    inbox::{Disposition, InboxId},
    mirror::Operation,
    queue::{Direction, ItemId, Work},
    record::RecordKey,
};
use time::format_description::well_known::Rfc3339;

use super::{events::understand_again, explain::Explain, refusal::Refusal, services::Services};

/// What would happen.
pub(crate) struct Would {
    /// The most informative result of the records.
    pub(crate) outcome: Foreseen,
    /// The reason, if there is more to say.
    pub(crate) reason: Option<String>,
    /// What would become of each record.
    pub(crate) records: Vec<Preview>,
}

impl Would {
    fn nothing(outcome: Foreseen, reason: Option<String>) -> Self {
        Self { outcome, reason, records: Vec::new() }
    }

    fn of(records: Vec<Preview>) -> Self {
        let outcome = records.iter().map(|record| record.outcome).min().unwrap_or(Foreseen::Ignored);
        let decisive = records.iter().find(|record| record.outcome == outcome);
        let reason = decisive.and_then(|record| record.reason.clone());
        Self { outcome, reason, records }
    }
}

/// The dry runs that operators ask for.
#[derive(Clone)]
pub(crate) struct DryRun(pub(crate) Services);

impl DryRun {
    /// Returns what a replay of an event would do.
    pub(crate) async fn replay(&self, id: i64) -> Result<Would, Refusal> {
        let Services { ports, catalogue, zoho, .. } = &self.0;
        let event = ports.events.get_event(InboxId(id)).await?;
        let event = event.ok_or(Refusal::Unknown("inbox event", id))?;
        match understand_again(catalogue, zoho.organization_id(), &event)? {
            Disposition::Ignored(reason) => Ok(Would::nothing(Foreseen::Ignored, Some(reason))),
            Disposition::Unparsed(reason) => Ok(Would::nothing(Foreseen::Unparsed, Some(reason))),
            Disposition::Work(work) => self.preview(&work).await,
        }
    }

    /// Returns what a retry of an item would do.
    pub(crate) async fn retry(&self, id: i64) -> Result<Would, Refusal> {
        let item = self.0.ports.queue.get(ItemId(id)).await?.ok_or(Refusal::Unknown("queue item", id))?;
        let Some(work) = item.work else {
            let reason = "the item has ended, so a retry does nothing".to_owned();
            return Ok(Would::nothing(Foreseen::Ignored, Some(reason)));
        };
        if item.direction == Direction::Outbound {
            let reason = "a dry run of a local change is not possible".to_owned();
            return Ok(Would::nothing(Foreseen::Ignored, Some(reason)));
        }
        self.preview(&[(RecordKey::new(item.entity_type, item.record), work)]).await
    }

    /// Gives unused permits for calls back, at the end of a command.
    pub(crate) async fn close(&self) {
        self.0.zoho.close().await;
    }

    async fn preview(&self, work: &[(RecordKey, Work)]) -> Result<Would, Refusal> {
        let mut records = Vec::new();
        for (key, work) in work {
            records.extend(self.0.engine.preview(key, work).await?);
        }
        for record in records.iter_mut().filter(|record| record.operation == Some(Operation::Restore)) {
            self.show_deletion(record).await?;
        }
        Ok(Would::of(records))
    }

    /// Adds to a record that would be restored when it was found to be deleted.
    async fn show_deletion(&self, record: &mut Preview) -> Result<(), Refusal> {
        let Services { ports, catalogue, .. } = &self.0;
        let explain = Explain { ports: ports.clone(), catalogue: catalogue.clone() };
        let known =
            explain.record(&record.key.entity, &record.key.id, &HistoryWindow::newest(1)).await?.record;
        let deleted_at = known.deleted_at.and_then(|at| at.format(&Rfc3339).ok());
        for change in record.changes.iter_mut().filter(|change| change.field == "deleted_at") {
            change.target = deleted_at.clone().map_or(Value::Null, Value::String);
        }
        Ok(())
    }
}
