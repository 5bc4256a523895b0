//! The entity types that Zoho has: what each is called, where it is listed, and what its records mean.
//!
//! Adding one is a file beside the others and a line in [`ENTITIES`].

mod bills;
mod contacts;
mod credit_notes;
mod customers;
#[cfg(test)]
mod documented;
mod invoices;
mod lines;
mod prices;
mod products;
mod stock;
mod vendors;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    mirror::MirrorSchema,
    record::{EntityType, Fields, Payload, Record, RecordId, Shape, SourcePayload},
    source::{Ability, Capability, SourceProfile},
};

use crate::{answer::Api, mend, reading};

/// Every entity type, in the order of the contract.
pub(crate) static ENTITIES: [&Descriptor; 8] = [
    &products::PRODUCTS,
    &customers::CUSTOMERS,
    &vendors::VENDORS,
    &invoices::INVOICES,
    &bills::BILLS,
    &credit_notes::CREDIT_NOTES,
    &stock::STOCK,
    &prices::PRICES,
];

/// What is particular to an entity type.
pub(crate) struct Descriptor {
    /// Where its records go.
    pub(crate) schema: MirrorSchema,
    /// Which product's API serves it.
    pub(crate) api: Api,
    /// How it is listed.
    pub(crate) list: List,
    /// How whole records are read.
    pub(crate) detail: Detail,
    /// The key of a record's own id.
    pub(crate) id_key: &'static str,
    /// Names under which a pushed body may hold such a record.
    pub(crate) envelopes: &'static [&'static str],
    /// Whether the record states a version of its own that moves with its contents.
    pub(crate) versioned: bool,
    /// A list row is only a part.
    pub(crate) needs_detail: bool,
    /// Details older than this are read again.
    pub(crate) detail_max_age: Option<Duration>,
    /// The type that a record may turn out to be instead.
    pub(crate) sibling: Option<EntityType>,
    /// A pushed body must show each of these, by one of its keys, to stand for a read of the whole record.
    pub(crate) whole: &'static [&'static [&'static str]],
    /// Fills in what the record shows.
    pub(crate) read: fn(&Map<String, Value>, &mut Draft) -> Result<()>,
}

/// Keys of records under which a list or an object stands, never a text.
const STRUCTURED: [&str; 11] = [
    "line_items",
    "locations",
    "warehouses",
    "custom_fields",
    "custom_field_hash",
    "billing_address",
    "shipping_address",
    "contact_persons",
    "taxes",
    "pricebook_items",
    "price_brackets",
];

/// Rows of a page: the most that Zoho states for every list. Its own default is 10 in places.
pub(crate) const PER_PAGE: usize = 200;

/// A list call.
pub(crate) struct List {
    pub(crate) path: &'static str,
    /// Parameters of every call.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// The keys under which the rows may stand.
    pub(crate) keys: &'static [&'static str],
    /// The order of a full list that moves least while it is read, where the call documents it.
    pub(crate) by_creation: bool,
    /// What the call documents of listing changes.
    pub(crate) changes: Capability,
    /// Rows for which this holds are ids only: the record has to be read.
    pub(crate) ids_only: fn(&Map<String, Value>) -> bool,
}

/// The call documents the filter `last_modified_time`, and no sorting by it.
const FILTERED: Capability = Capability { filter: Ability::Documented, sort: Ability::Unknown };
/// The call documents sorting by the time of the last change, and no filter by it.
const SORTED: Capability = Capability { filter: Ability::Unknown, sort: Ability::Documented };
/// The call documents both.
const FILTERED_AND_SORTED: Capability = Capability { filter: Ability::Documented, sort: Ability::Documented };
/// Changes do not all move a time of change: only the whole list shows them.
const WHOLE: Capability = Capability { filter: Ability::Refuted, sort: Ability::Refuted };

/// How whole records are read.
pub(crate) enum Detail {
    /// `GET {path}/{id}`, the record under one of the keys.
    Single { path: &'static str, keys: &'static [&'static str] },
    /// `GET /itemdetails?item_ids=`, up to 100 at once.
    Items,
}

/// A record while it is being read.
pub(crate) struct Draft {
    pub(crate) entity: EntityType,
    pub(crate) shape: Shape,
    pub(crate) fields: Fields,
    pub(crate) volatile: Fields,
    pub(crate) children: BTreeMap<String, Vec<Fields>>,
}

impl Descriptor {
    /// What the engine has to know.
    pub(crate) fn profile(&self) -> SourceProfile {
        let fetch_batch = match self.detail {
            Detail::Items => 100,
            // A price list has more than a thousand rows: one is enough for one transaction.
            Detail::Single { .. } if self.detail_max_age.is_some() => 1,
            Detail::Single { .. } => 10,
        };
        SourceProfile {
            needs_detail: self.needs_detail,
            // The rows of stock say which items there are: what is in stock, only the items themselves show.
            lists_ids: !self.needs_detail && matches!(self.detail, Detail::Items),
            detail_max_age: self.detail_max_age,
            fetch_batch,
            records_per_call: if matches!(self.detail, Detail::Items) { 100 } else { 1 },
            records_per_page: PER_PAGE,
            sibling: self.sibling.clone(),
            complete_list: true,
            documented: self.list.changes,
        }
    }

    /// True when a pushed record shows everything that a read of the whole record would.
    pub(crate) fn is_complete(&self, record: &Map<String, Value>) -> bool {
        let shown = |keys: &&[&str]| keys.iter().any(|key| record.contains_key(*key));
        let lines =
            record.get("line_items").is_none_or(|lines| lines.as_array().is_some_and(|all| !all.is_empty()));
        // A template that puts a list or an object between quotation marks sends text in its place.
        let structured = |key: &&str| record.get(*key).is_none_or(|value| !value.is_string());
        !self.whole.is_empty() && self.whole.iter().all(shown) && lines && STRUCTURED.iter().all(structured)
    }

    /// Understands a payload of this entity type.
    pub(crate) fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        let json: Value = serde_json::from_str(payload.json.as_str())
            .map_err(|error| Error::invalid("the record is no JSON").with_source(error))?;
        let record = json.as_object().ok_or_else(|| Error::invalid("the record is no JSON object"))?;
        self.decode_object(record, payload.shape, payload.json.clone())
    }

    /// The same, of JSON that is parsed already; `raw` is its text.
    pub(crate) fn decode_object(
        &self,
        record: &Map<String, Value>,
        shape: Shape,
        raw: Payload,
    ) -> Result<Record> {
        if let Some((_, reason)) = mend::unreadable(record) {
            return Err(Error::invalid(format!("the {} is no readable JSON: {reason}", self.schema.entity)));
        }
        let id = reading::record_id(record, self.id_key)?;
        let version = if self.versioned { reading::version(record)? } else { None };
        let mut draft = Draft {
            entity: self.schema.entity.clone(),
            shape,
            fields: Fields::new(),
            volatile: Fields::new(),
            children: BTreeMap::new(),
        };
        (self.read)(record, &mut draft).map_err(|error| {
            // Which record it was is told where the error is kept; here only what is wrong with it.
            Error::new(error.kind(), error.retry(), format!("{} {id}: {error}", self.schema.entity))
        })?;
        let Draft { entity, fields, volatile, children, .. } = draft;
        Ok(Record { entity, id: RecordId::new(id), version, fields, volatile, children, raw })
    }
}

impl Draft {
    /// Custom fields, where the record shows them all. A list row shows a choice of them at most.
    fn custom_fields(&mut self, record: &Map<String, Value>) -> Result<()> {
        if self.shape != Shape::List
            && let Some(fields) = reading::custom_fields(record)?
        {
            self.fields.insert("custom_fields".to_owned(), fields);
        }
        Ok(())
    }
}

/// The descriptor of an entity type, where it is one of Zoho's.
pub(crate) fn descriptor(entity: &EntityType) -> Option<&'static Descriptor> {
    ENTITIES.iter().copied().find(|descriptor| descriptor.schema.entity == *entity)
}

/// The keys that tell when a record was made and changed; the same for every head table.
const TIMES: [reading::Column; 2] = [
    reading::timestamp("zoho_created_at", &["created_time"]),
    reading::timestamp("zoho_modified_at", &reading::VERSION_KEYS),
];
