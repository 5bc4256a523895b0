//! Creates in doubt: they were sent and not answered, or the database was restored and does not know of them.

use std::time::Duration;

use super::Pushing;
use crate::{
    outbound::{LocalRecord, Operation, Sending, Sent, WriteError},
    record::Fields,
};

impl Pushing<'_> {
    /// Returns true if a create of the record may have succeeded, and the id is not known.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.push.link.in_doubt_since.is_some() && self.push.link.remote_id.is_none()
    }

    /// Returns how long a create in doubt may still be under way at the source; `None` if none is.
    pub(super) fn settles_in(&self) -> Option<Duration> {
        let since = self.push.link.in_doubt_since?;
        let end = since + self.handler.writer.settles_after();
        Duration::try_from(end - self.handler.clock.now()).ok().filter(|rest| !rest.is_zero())
    }

    /// Searches for the record that a create in doubt may have made, and stores its id. Returns false if there is none.
    pub(super) async fn link_found(&self) -> Result<bool, WriteError> {
        let (push, handler) = (self.push, self.handler);
        let gone = LocalRecord::new(push.link.key.clone(), Fields::new());
        let record = push.record.as_ref().unwrap_or(&gone);
        if push.operation == Operation::Upsert
            && let Err(waits @ WriteError::WaitsFor(_)) = handler.writer.check(record, None)
        {
            // A push that waits costs no calls.
            return Err(waits);
        }
        let mut versions: Vec<LocalRecord> = push.sent.iter().map(|sent| sent.in_place_of(record)).collect();
        if versions.is_empty() {
            versions.push(record.clone());
        }
        let Some(id) = handler.writer.find(&versions).await? else { return Ok(false) };
        if push.sent.is_empty() && push.record.is_some() {
            // A restored database does not know what was sent, so this is noted before the link makes a change of it.
            let sending = Sending { sent: Sent::guessed(record), conflicts: Vec::new() };
            handler.outbox.sending(push, &sending).await?;
        }
        handler.outbox.linked(push, &id).await?;
        Ok(true)
    }
}
