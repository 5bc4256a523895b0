//! What is particular to an entity type.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    mirror::MirrorSchema,
    record::{EntityType, Fields, Payload, Record, RecordId, Shape, SourcePayload},
    source::{Ability, Capability, SourceProfile},
};
use time::OffsetDateTime;

use super::Module;
use crate::{answer::Api, mend, reading, reading::Column};

/// An entity type: everything that the rest of TDS has to know of it.
pub struct Descriptor {
    /// The name of the entity type and the mirror tables of its records.
    pub schema: MirrorSchema,
    /// Which product's API serves it.
    pub api: Api,
    /// The OAuth scope that reading it takes (Zoho's documentation of the call names it).
    pub scope: &'static str,
    /// How it is listed.
    pub list: List,
    /// How whole records are read.
    pub detail: Detail,
    /// The key of a record's own id.
    pub id_key: &'static str,
    /// Names under which a pushed body may hold such a record, each with the key that a record under this name has its
    /// id under. A key other than `id_key` is one under which documents name such a record, such as `customer_id`.
    pub envelopes: &'static [(&'static str, &'static str)],
    /// How its records stand to those of other entity types.
    pub role: Role,
    /// The record states a version of its own that moves with its contents. Where it does not, a pushed body is only
    /// read for the items that it names, and these are read from Zoho.
    pub versioned: bool,
    /// A list row is only a part of the record: the record has to be read.
    pub needs_detail: bool,
    /// Details older than this are read again.
    pub detail_max_age: Option<Duration>,
    /// The entity type that a record may turn out to be instead.
    pub sibling: Option<Sibling>,
    /// A pushed body must show each of these, by one of its keys, to stand for a read of the whole record. Empty: a
    /// pushed body never does.
    pub whole: &'static [&'static [&'static str]],
    /// The columns that `read` fills, each table with the kinds of records that it is read from, as
    /// `tests/data/zoho-keys.json` calls them.
    pub columns: &'static [(&'static [&'static str], &'static [Column])],
    /// Fills in what the record shows.
    ///
    /// # Errors
    /// A value that cannot be read, which is then a fault of this record only.
    pub read: fn(&Map<String, Value>, &mut Draft) -> Result<()>,
    /// Where its webhooks come to.
    pub webhooks: Webhooks,
    /// When it is listed.
    pub polling: Polling,
    /// A shop sees first where this entity type is wrong: its incremental syncs go on while the day's calls do not
    /// suffice for all.
    pub matters_most: bool,
    /// How the simulated organization shows it. `None`: the organization does not have it.
    pub simulated: Option<Module>,
    /// The record of this number as Zoho pushes it, with every key, for test deliveries. Times are set by the caller.
    pub sample: Option<fn(u64) -> Value>,
}

/// How a list is called.
pub struct List {
    /// The path behind the product's base, such as `/invoices`.
    pub path: &'static str,
    /// Parameters of every call.
    pub query: &'static [(&'static str, &'static str)],
    /// The keys under which the rows may stand.
    pub keys: &'static [&'static str],
    /// The call documents sorting by `created_time`: the order of a full list that moves least while it is read.
    pub by_creation: bool,
    /// What the call documents of listing changes.
    pub changes: Capability,
    /// Rows for which this holds are ids only: the record has to be read.
    pub ids_only: fn(&Map<String, Value>) -> bool,
}

/// The call documents the filter `last_modified_time`, and no sorting by it.
pub const FILTERED: Capability = Capability { filter: Ability::Documented, sort: Ability::Unknown };
/// The call documents sorting by the time of the last change, and no filter by it.
pub const SORTED: Capability = Capability { filter: Ability::Unknown, sort: Ability::Documented };
/// The call documents the filter `last_modified_time` and sorting by it.
pub const FILTERED_AND_SORTED: Capability =
    Capability { filter: Ability::Documented, sort: Ability::Documented };
/// Changes do not all move a time of change: only the whole list shows them.
pub const WHOLE: Capability = Capability { filter: Ability::Refuted, sort: Ability::Refuted };

/// Rows of a page: the most that Zoho states for every list. Its own default is 10 in places.
pub(crate) const PER_PAGE: usize = 200;

/// How whole records are read.
pub enum Detail {
    /// `GET {path}/{id}`, the record under one of the keys.
    Single {
        /// The path of the call.
        path: &'static str,
        /// The keys under which the record may stand.
        keys: &'static [&'static str],
    },
    /// `GET /itemdetails?item_ids=`, up to 100 at once.
    Items,
}

/// How records stand to those of other entity types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A document, such as an invoice: it names masters by their ids.
    Document,
    /// A record that documents name and that names no document, such as an item or a contact.
    Master,
    /// A master that other masters name as well, such as the price list of a contact.
    Reference,
}

/// The entity type that a record may turn out to be instead, as a contact is a customer or a vendor.
pub struct Sibling {
    /// The other entity type.
    pub entity: EntityType,
    /// Which of the two entity types a record says it is of; `None` where it does not say.
    pub stated: fn(&Map<String, Value>) -> Option<EntityType>,
}

/// Where the webhooks of an entity type come to.
pub struct Webhooks {
    /// The last part of `/api/zoho/webhooks/{entity}`. Two entity types share a path where Zoho's rules do not tell them
    /// apart.
    pub path: &'static str,
    /// The last part of the predecessor's address `/api/tds/webhooks/{entity}`. `None`: the predecessor had none.
    pub predecessor: Option<&'static str>,
}

/// When an entity type is listed. The settings name the intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// Everything by `TDS_FULL_EVERY`, changes by `TDS_INCREMENTAL_EVERY`.
    Changes,
    /// Everything by `TDS_FULL_EVERY`, changes by `TDS_PRICES_EVERY`.
    Prices,
    /// Everything by `TDS_STOCK_EVERY`: no list shows what changed.
    Stock,
}

/// A record while it is being read.
pub struct Draft {
    /// What the record is: the descriptor's entity type or its sibling.
    pub entity: EntityType,
    /// Whether the record is a list row, a whole record or a pushed body.
    pub shape: Shape,
    /// Columns of the head table.
    pub fields: Fields,
    /// Columns of the head table that move without the record's time of change.
    pub volatile: Fields,
    /// Rows by child table. A table that is not named says nothing about its rows; no rows under a name erase them.
    pub children: BTreeMap<String, Vec<Fields>>,
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

/// The keys that tell when a record was made and changed; the same for every head table.
pub const TIMES: &[Column] = &[
    reading::timestamp("zoho_created_at", &["created_time"]),
    reading::timestamp("zoho_modified_at", &reading::VERSION_KEYS),
];

impl Descriptor {
    /// The entity type.
    #[must_use]
    pub fn entity(&self) -> &EntityType {
        &self.schema.entity
    }

    /// The name of the entity type.
    #[must_use]
    pub fn name(&self) -> &str {
        self.schema.entity.as_str()
    }

    /// The keys under which documents name a record of this type.
    pub(crate) fn party_keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.envelopes.iter().map(|(_, key)| *key).filter(|key| *key != self.id_key)
    }

    /// The entity type that a record states, this one or its sibling; this one where it states none.
    pub(crate) fn entity_of(&self, record: &Map<String, Value>) -> EntityType {
        let stated = self.sibling.as_ref().and_then(|sibling| (sibling.stated)(record));
        stated.unwrap_or_else(|| self.entity().clone())
    }

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
            sibling: self.sibling.as_ref().map(|sibling| sibling.entity.clone()),
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
        let is_readable = mend::unreadable(record).is_none() && !self.whole.is_empty();
        is_readable && self.whole.iter().all(shown) && lines && STRUCTURED.iter().all(structured)
    }

    /// Decodes a payload of this entity type.
    pub(crate) fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        let json: Value = serde_json::from_str(payload.json.as_str())
            .map_err(|error| Error::invalid("the record is no JSON").with_source(error))?;
        let record = json.as_object().ok_or_else(|| Error::invalid("the record is no JSON object"))?;
        self.decode_object(record, payload.shape, payload.json.clone())
    }

    /// Decodes JSON that is parsed already; `raw` is its text.
    pub(crate) fn decode_object(
        &self,
        record: &Map<String, Value>,
        shape: Shape,
        raw: Payload,
    ) -> Result<Record> {
        self.refuse_unreadable(record)?;
        let id = reading::record_id(record, self.id_key)?;
        let version = self.version(record)?;
        let Draft { entity, fields, volatile, children, .. } = self.draft(&id, record, shape)?;
        Ok(Record { entity, id: RecordId::new(id), version, fields, volatile, children, raw })
    }

    /// The version that the record states, where records of this type have one.
    fn version(&self, record: &Map<String, Value>) -> Result<Option<OffsetDateTime>> {
        if self.versioned { reading::version(record) } else { Ok(None) }
    }

    /// Reads everything but id and version.
    pub(crate) fn draft(&self, id: &str, record: &Map<String, Value>, shape: Shape) -> Result<Draft> {
        let mut draft = Draft {
            entity: self.entity_of(record),
            shape,
            fields: Fields::new(),
            volatile: Fields::new(),
            children: BTreeMap::new(),
        };
        (self.read)(record, &mut draft).map_err(|error| {
            // Which record it was is told where the error is kept; here only what is wrong with it.
            Error::new(error.kind(), error.retry(), format!("{} {id}: {error}", self.entity()))
        })?;
        Ok(draft)
    }

    /// A record whose text is no JSON is known by its id at most.
    fn refuse_unreadable(&self, record: &Map<String, Value>) -> Result<()> {
        match mend::unreadable(record) {
            Some((_, reason)) => {
                Err(Error::invalid(format!("the {} is no readable JSON: {reason}", self.entity())))
            }
            None => Ok(()),
        }
    }
}

impl Draft {
    /// Reads custom fields, where the record shows them all. A list row shows a choice of them at most.
    ///
    /// # Errors
    /// The custom fields are in none of the forms that Zoho writes.
    pub fn custom_fields(&mut self, record: &Map<String, Value>) -> Result<()> {
        if self.shape != Shape::List
            && let Some(fields) = reading::custom_fields(record)?
        {
            self.fields.insert("custom_fields".to_owned(), fields);
        }
        Ok(())
    }
}
