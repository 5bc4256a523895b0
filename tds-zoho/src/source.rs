//! Zoho as the source of the engine: lists page by page, whole records by id.

mod fetch;
mod image;
mod items;
mod list;
mod listed;
pub(crate) mod page;
mod probe;
mod sums;

pub use self::image::ZohoImages;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    mirror::MirrorSchema,
    queue::Lane,
    record::{DateRange, EntityType, Payload, Read, Record, RecordId, SourcePayload},
    source::{Capability, ListPage, ListRequest, ListSums, Source, SourceProfile},
};

use crate::{
    answer::Call,
    client::ZohoClient,
    entities::{Catalogue, Descriptor, Detail, Hiding, KnownKeys},
};

/// How many times longer reads of derived values wait than reads for webhooks, while calls have to be saved. A late
/// webhook shows an old document; a late derived value is only as old as its schedule would leave it.
const DERIVED_PATIENCE: u32 = 5;

/// The source of one entity type at Zoho.
#[derive(Clone)]
pub struct ZohoSource {
    client: ZohoClient,
    descriptor: &'static Descriptor,
    profile: SourceProfile,
    known_keys: Arc<Option<KnownKeys>>,
    hiding: Hiding,
}

/// Returns a source for every entity type of the default catalogue. [`Catalogue::sources`] returns those of another
/// catalogue.
#[must_use]
pub fn sources(client: &ZohoClient) -> Vec<Arc<dyn Source>> {
    Catalogue::default().sources(client)
}

impl Catalogue {
    /// Returns a source for every entity type of the catalogue that is synced. All sources use one client.
    #[must_use]
    pub fn sources(&self, client: &ZohoClient) -> Vec<Arc<dyn Source>> {
        let source = |descriptor| -> Arc<dyn Source> { Arc::new(ZohoSource::new(client, self, descriptor)) };
        self.synced().map(source).collect()
    }
}

impl ZohoSource {
    pub(crate) fn new(client: &ZohoClient, catalogue: &Catalogue, descriptor: &'static Descriptor) -> Self {
        Self {
            client: client.clone(),
            descriptor,
            profile: descriptor.profile(),
            known_keys: Arc::new(KnownKeys::of(descriptor)),
            hiding: catalogue.hidden_values().clone(),
        }
    }

    pub(crate) fn client(&self) -> &ZohoClient {
        &self.client
    }

    pub(crate) fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    pub(crate) fn hiding(&self) -> &Hiding {
        &self.hiding
    }

    fn entity(&self) -> &EntityType {
        &self.descriptor.schema.entity
    }

    /// Notes the fields of a record that are unknown. Nothing is written here.
    fn look_for_unknown_fields(&self, record: &Map<String, Value>) {
        let Some(known) = &*self.known_keys else { return };
        let unknown = known.unknown(record);
        if !unknown.is_empty() {
            self.client.inner.unknown_fields.add(&self.descriptor.entity_of(record), unknown);
        }
    }

    /// Returns a call for records of the entity type.
    fn call(&self, path: String, query: Vec<(&'static str, String)>, lane: Lane) -> Call {
        let Descriptor { api, scope, .. } = *self.descriptor;
        Call { api, scope, path, query, lane, entity: Some(self.entity().clone()), write: None }
    }
}

#[async_trait]
impl Source for ZohoSource {
    fn schema(&self) -> &MirrorSchema {
        self.descriptor.schema
    }

    fn profile(&self) -> &SourceProfile {
        &self.profile
    }

    async fn probe(&self, lane: Lane) -> Result<Capability> {
        self.probe_list(lane).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        self.list_page(request).await
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        match self.descriptor.detail {
            Detail::Items => self.fetch_items(ids, lane).await,
            Detail::Single { path, keys } => self.fetch_each(path, keys, ids, lane).await,
            Detail::Listed { single, ref beside } => {
                self.fetch_listed(single, beside.as_ref(), ids, lane).await
            }
        }
    }

    fn reads_wait(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Webhook => self.client.reads_wait(),
            Lane::Derived => self.client.reads_wait() * DERIVED_PATIENCE,
            _ => Duration::ZERO,
        }
    }

    async fn sums(&self, dates: DateRange, lane: Lane) -> Result<Option<ListSums>> {
        self.list_sums(dates, lane).await
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        let record: Value = serde_json::from_str(payload.json.as_str())
            .map_err(|error| Error::invalid("the record is no JSON").with_source(error))?;
        let record = record.as_object().ok_or_else(|| Error::invalid("the record is not a JSON object"))?;
        self.look_for_unknown_fields(record);
        // Work that was enqueued before a column was hidden still shows it.
        match self.hiding.hidden(self.descriptor, record) {
            Some(record) => {
                let raw = Payload::of(&record)?;
                self.descriptor.decode_object(&record, payload.shape, raw)
            }
            None => self.descriptor.decode_object(record, payload.shape, payload.json.clone()),
        }
    }
}
