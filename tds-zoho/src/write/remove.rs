//! The call that removes a record.

use tds_core::{
    outbound::{LocalRecord, WriteError},
    record::RecordId,
};

use super::{
    call::{Purpose, Removal, WriteCall},
    contract::{Contract, Removes},
    findings::Findings,
};
use crate::answer::Method;

impl Contract {
    /// Returns the call that deletes a record, and the call to make if Zoho refuses that because other records use
    /// the record.
    ///
    /// # Errors
    /// `Refused`: the record does not exist in Zoho, or records of this type are never removed.
    pub fn remove(&self, record: &LocalRecord) -> Result<Removal, WriteError> {
        let mut found = Findings::default();
        let id = record.remote_id.as_ref().map(RecordId::as_str).unwrap_or_default();
        if id.is_empty() {
            found.problem("it does not exist in Zoho: there is nothing to remove");
        }
        let or = match self.removes {
            Removes::Delete { or } => or,
            Removes::Never(reason) => {
                found.problem(format!("it cannot be removed: {reason}"));
                None
            }
        };
        found.end(self.noun)?;
        let instead = |rest| WriteCall::on(self, Some(id), Method::Post, Some(rest), Purpose::Action(rest));
        Ok(Removal {
            call: WriteCall::on(self, Some(id), Method::Delete, None, Purpose::Delete),
            if_refused: or.map(instead),
        })
    }
}
