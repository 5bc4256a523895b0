//! The writer of the engine over the contracts.

mod calls;
mod refusal;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tds_core::{
    error::{Error, ErrorKind},
    hint::Hint,
    mirror::MirrorSchema,
    outbound::{LocalRecord, RemoteWriter, Removed, Writable, WriteError, Written},
    record::RecordId,
    source::Source,
};

use self::refusal::is_about_the_record;
use super::{
    call::{Purpose, WriteCall},
    contract::{Contract, Idempotence},
    contract_of,
};
use crate::{
    client::ZohoClient,
    entities::{Catalogue, Descriptor},
    setting::Setting,
    source::ZohoSource,
};

/// The time after which a create in doubt is searched for. A create whose answer did not arrive may still be under way
/// in Zoho, and a search would not show it.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Why a hidden column is not written: Zoho would get a hash, or lose the part that is hidden.
const HIDDEN: &str = "its values are hidden by the configuration, so Zoho keeps its own";

/// The writer of one entity type at Zoho.
#[derive(Clone)]
pub struct ZohoWriter {
    contract: &'static Contract,
    source: ZohoSource,
    unique_field: Arc<str>,
}

/// Returns a writer for every entity type of the default catalogue that has a contract. [`Catalogue::writers`] returns
/// those of another catalogue.
#[must_use]
pub fn writers(client: &ZohoClient, unique_field: &str) -> Vec<Arc<dyn RemoteWriter>> {
    Catalogue::default().writers(client, unique_field)
}

impl Catalogue {
    /// Returns a writer for every synced entity type of the catalogue that has a contract. All writers use one client.
    /// `unique_field` is the API name of the custom field that contains our key, such as `cf_tds_id`. It has to exist in
    /// every module that is written, and to refuse duplicates.
    #[must_use]
    pub fn writers(&self, client: &ZohoClient, unique_field: &str) -> Vec<Arc<dyn RemoteWriter>> {
        let unique_field: Arc<str> = unique_field.into();
        let writer = |descriptor: &'static Descriptor| -> Option<Arc<dyn RemoteWriter>> {
            let contract = contract_of(descriptor.entity())?;
            let source = ZohoSource::new(client, self, descriptor);
            Some(Arc::new(ZohoWriter { contract, source, unique_field: Arc::clone(&unique_field) }))
        };
        self.synced().filter_map(writer).collect()
    }
}

#[async_trait]
impl RemoteWriter for ZohoWriter {
    fn schema(&self) -> &MirrorSchema {
        self.contract.schema.unwrap_or_else(|| self.source.schema())
    }

    fn is_mirrored(&self) -> bool {
        self.contract.schema.is_none()
    }

    fn visible(&self, record: LocalRecord) -> LocalRecord {
        self.source.hiding().local(self.contract.entity, record)
    }

    fn hides(&self, column: &str, cut: &BTreeSet<String>) -> bool {
        self.contract.withholds(column, &|name| cut.contains(name) || self.is_hidden(name))
    }

    fn writable(&self, column: &str, exists: bool) -> Writable {
        let is_hidden = if exists { self.hides(column, &BTreeSet::new()) } else { self.is_hidden(column) };
        if is_hidden {
            return Writable::No(HIDDEN.to_owned());
        }
        self.contract.writable(column, exists)
    }

    fn is_unfinished(&self, column: &str, shown: &Value) -> bool {
        self.contract.is_unfinished(column, shown)
    }

    fn check(&self, record: &LocalRecord, changed: Option<&BTreeSet<String>>) -> Result<(), WriteError> {
        match changed {
            None => self.creating(record).map(drop),
            Some(changed) => self.contract.update(record, changed, &self.unique_field).map(drop),
        }
    }

    fn settles_after(&self) -> Duration {
        if matches!(self.contract.idempotence, Idempotence::UniqueField) {
            Duration::ZERO
        } else {
            SETTLED_AFTER
        }
    }

    async fn create(&self, record: &LocalRecord) -> Result<Written, WriteError> {
        let mut calls = self.creating(record)?.into_iter().peekable();
        if let Some(search) = calls.next_if(|call| matches!(call.purpose, Purpose::Search { .. })) {
            self.refuse_a_taken_name(&search).await?;
        }
        let create = calls.next().ok_or_else(|| WriteError::Refused(Error::internal("no call creates")))?;
        let (mut written, status) = self.created(create).await?;
        for call in calls.filter(|call| !self.contract.is_reached(call, status.as_deref())) {
            let id = written.id.clone();
            let changed = self.change(call.with_id(id.as_str()), &id).await;
            written.read = changed.map_err(|error| partly(id, error))?;
        }
        Ok(written)
    }

    async fn update(&self, record: &LocalRecord, changed: &BTreeSet<String>) -> Result<Written, WriteError> {
        let cut = BTreeSet::new();
        if let Some(column) = changed.iter().find(|column| self.hides(column, &cut)) {
            let text = format!("{column} is not written: {HIDDEN}");
            return Err(WriteError::Refused(Error::internal(text)));
        }
        let calls = self.contract.update(record, changed, &self.unique_field)?;
        let id = record.remote_id.clone().unwrap_or_else(|| RecordId::new(""));
        let mut written = Written { id: id.clone(), read: None };
        for (made, call) in calls.into_iter().enumerate() {
            written.read = match self.change(call, &id).await {
                Ok(read) => read,
                // The calls before this one changed the record.
                Err(WriteError::Refused(error)) if made > 0 => return Err(WriteError::InDoubt(error)),
                Err(WriteError::Refused(error)) => {
                    return Err(WriteError::Refused(self.missing_or_refused(&id, error).await));
                }
                Err(error) => return Err(error),
            };
        }
        Ok(written)
    }

    async fn remove(&self, record: &LocalRecord) -> Result<Removed, WriteError> {
        let removal = self.contract.remove(record)?;
        let refused = match self.end(removal.call).await? {
            Ok(()) => return Ok(Removed::Gone),
            Err(refused) => refused,
        };
        let Some(instead) = removal.if_refused else { return Err(WriteError::Refused(refused)) };
        if self.contract.is_reached(&instead, record.remote_status.as_deref()) {
            return Ok(Removed::Kept);
        }
        match self.send(instead).await {
            Ok(_) => Ok(Removed::Kept),
            Err(WriteError::Refused(error)) if error.kind() == ErrorKind::NotFound => Ok(Removed::Gone),
            Err(WriteError::Refused(error)) if is_about_the_record(&error) => {
                Err(WriteError::Refused(Error::invalid(format!("{refused}; {error}"))))
            }
            Err(error) => Err(error),
        }
    }

    async fn find(&self, versions: &[LocalRecord]) -> Result<Option<RecordId>, WriteError> {
        let mut made: Vec<WriteCall> = Vec::new();
        for version in versions {
            let call = self.contract.lookup(version, &self.unique_field)?;
            // Most versions are found in the same way.
            if !made.contains(&call) {
                if let Some(id) = self.found(&call).await? {
                    return Ok(Some(id));
                }
                made.push(call);
            }
        }
        Ok(None)
    }
}

impl ZohoWriter {
    /// Returns true for a column or a child table that is hidden by the configuration, wholly or in part.
    fn is_hidden(&self, name: &str) -> bool {
        self.source.hiding().keeps_from_source(self.contract.entity, name)
    }

    /// Makes a call that looks for a record, and returns the id of the record.
    async fn found(&self, call: &WriteCall) -> Result<Option<RecordId>, WriteError> {
        if matches!(call.purpose, Purpose::Search { .. }) {
            let row = self.search(call).await?;
            return row.map(|row| self.row_id(&row)).transpose();
        }
        match self.created(call.clone()).await {
            Ok((written, _)) => Ok(Some(written.id)),
            Err(WriteError::Refused(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the calls that create a record, unless Zoho requires what is hidden.
    fn creating(&self, record: &LocalRecord) -> Result<Vec<WriteCall>, WriteError> {
        let has_rows = |table: &str| record.children.get(table).is_some_and(|rows| !rows.is_empty());
        let missing = self.contract.missing_in_new(&|name| self.is_hidden(name), has_rows);
        if missing.is_empty() {
            return self.contract.create(record, &self.unique_field);
        }
        let (noun, names) = (self.contract.noun, missing.join(", "));
        let text = format!(
            "the {noun} cannot be created in Zoho: Zoho requires {names}, whose values are hidden: enter the {noun} in Zoho"
        );
        let hint = Hint::Settings(const { &[Setting::HiddenColumns.as_str()] });
        Err(WriteError::Refused(Error::invalid(text).with_hint(hint)))
    }

    /// Searches before a create for a record that has the name already. Our key is in no other record.
    async fn refuse_a_taken_name(&self, search: &WriteCall) -> Result<(), WriteError> {
        if matches!(search.purpose, Purpose::Search { by_key: true, .. }) {
            return Ok(());
        }
        let Some(row) = self.search(search).await? else { return Ok(()) };
        let (noun, id) = (self.contract.noun, self.row_id(&row)?);
        Err(WriteError::Refused(Error::invalid(format!(
            "another {noun} in Zoho has the same name: {id}. Rename one of the two, or remove the {noun} that was entered \
             in the ERP and change the other one"
        ))))
    }

    /// Returns the error of a refused update. Zoho has the same code for a record that is gone and for one that names a
    /// record that is gone, so the record itself is read.
    async fn missing_or_refused(&self, id: &RecordId, error: Error) -> Error {
        if error.kind() != ErrorKind::NotFound || self.is_gone(id).await {
            return error;
        }
        refusal::refers_to_nothing(&error)
    }
}

/// Returns the error of a call after a create.
fn partly(id: RecordId, error: WriteError) -> WriteError {
    let error = match error {
        WriteError::Refused(error) | WriteError::InDoubt(error) | WriteError::Partly { error, .. } => error,
        waits @ WriteError::WaitsFor(_) => Error::unavailable(waits.to_string()),
    };
    WriteError::Partly { id, error }
}

impl Contract {
    /// Returns true for the call that brings about a status that a record has already.
    fn is_reached(&self, call: &WriteCall, status: Option<&str>) -> bool {
        let (Some(own), Some(status), Purpose::Action(path)) = (&self.status, status, &call.purpose) else {
            return false;
        };
        let leads = |to: &str| to == status || to == own.in_force && own.derived.contains(&status);
        own.transitions.iter().any(|transition| transition.call == *path && leads(transition.to))
    }
}
