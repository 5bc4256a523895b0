//! The declaration of everything that is specific to an entity type.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value};
use tds_core::{
    error::Result,
    mirror::MirrorSchema,
    record::{EntityType, Fields, Payload, Record, RecordId, Shape},
    source::{Ability, Capability, SourceProfile},
};

use super::{Module, Moved, Rows, moves};
use crate::{
    answer::{Api, is_read_from_books},
    mend,
    reading::{self, Column, columns},
};

/// An entity type: everything that the rest of TDS has to know about it. A descriptor states what differs from
/// [`Descriptor::DOCUMENT`].
pub struct Descriptor {
    /// The name of the entity type and the mirror tables of its records.
    pub schema: &'static MirrorSchema,
    /// The product whose API serves the entity type.
    pub api: Api,
    /// The OAuth scope that reading the entity type requires (Zoho's documentation of the call names it).
    pub scope: &'static str,
    /// How the entity type is listed.
    pub list: List,
    /// How whole records are read.
    pub detail: Detail,
    /// The key of a record's own id.
    pub id_key: &'static str,
    /// The names under which a pushed body may hold a record of this type. Each name comes with the key of the id that
    /// a record under this name has. Documents name a record of this type by the keys other than `id_key`, such as
    /// `customer_id`.
    pub envelopes: &'static [(&'static str, &'static str)],
    /// The relation of these records to records of other entity types.
    pub role: Role,
    /// The record states its own version that moves with its contents. If it is false, TDS only takes the ids
    /// of the named items from a pushed body, and reads these items from Zoho.
    pub versioned: bool,
    /// A list row is only a part of the record, so the whole record has to be read.
    pub needs_detail: bool,
    /// Details that are older than this are read again.
    pub detail_max_age: Option<Duration>,
    /// The other entity type that a record may turn out to belong to.
    pub sibling: Option<Sibling>,
    /// What the records are at Zoho, if several entity types show the same ones under the same ids: `contact` or `item`.
    pub shows: Option<&'static str>,
    /// The groups of keys that a pushed body must have to stand for a read of the whole record: at least one key of
    /// each group. If the list is empty, a pushed body never stands for a read.
    pub whole: &'static [&'static [&'static str]],
    /// The columns of the head table, without `zoho_created_at`, `zoho_modified_at` and `custom_fields`: TDS reads
    /// these three columns for every head table.
    pub columns: &'static [Column],
    /// The columns of the head table that Zoho changes without moving the record's time of change.
    pub volatile: &'static [Column],
    /// The lists of the record that fill child tables.
    pub rows: &'static [Rows],
    /// The records whose values Zoho derives from a record of this type. They are read again when the record changes.
    pub moves: &'static [Moved],
    /// The time after which a derived read of these records is repeated once, if it showed no change, because Zoho
    /// may derive their values a moment later. `None`: Zoho derives them together with the change.
    pub derives_late: Option<Duration>,
    /// Reads what the columns and the lists do not describe. TDS calls the function after it has read both.
    ///
    /// # Errors
    /// A value cannot be read. The error concerns only this record.
    pub read: fn(&Map<String, Value>, &mut Draft) -> Result<()>,
    /// The addresses at which webhooks of the entity type arrive. `None`: Zoho has no rules for these records, so only lists show them.
    pub webhooks: Option<Webhooks>,
    /// When the entity type is listed.
    pub polling: Polling,
    /// Errors in this entity type are the first that a shop notices. Its incremental syncs therefore continue while
    /// the calls of the day do not suffice for all entity types.
    pub matters_most: bool,
    /// How the simulated organization shows the entity type, or `None` if the organization does not have it.
    pub simulated: Option<Module>,
    /// Returns the record with the given number as Zoho pushes it, with every key, for test deliveries. The caller
    /// sets the times.
    pub sample: Option<fn(u64) -> Value>,
}

/// How a list is requested. A descriptor states what differs from [`List::DOCUMENTS`].
pub struct List {
    /// The path after the base of the product, such as `/invoices`.
    pub path: &'static str,
    /// Parameters of every call.
    pub query: &'static [(&'static str, &'static str)],
    /// The keys under which the rows may be found.
    pub keys: &'static [&'static str],
    /// Zoho documents sorting by `created_time` for the call. Of all orders, a full list in this order moves least
    /// while it is read.
    pub by_creation: bool,
    /// What Zoho documents about listing changes with the call.
    pub changes: Capability,
    /// The answer states in `page_context` whether more pages follow. If this is false, an answer without
    /// `page_context` and with less than a full page is the whole list.
    pub paged: bool,
    /// The parameters that select records by their column `date`, where Zoho documents them for the call.
    pub dates: Option<DateFilter>,
    /// Zoho documents for the call that the answer can consist of the number and the sums of the records
    /// (`response_option`).
    pub states_sums: bool,
    /// Returns true for rows that are only ids, so that the records have to be read.
    pub ids_only: fn(&Map<String, Value>) -> bool,
}

/// The parameters of a list that select records by their own date. Both days belong to the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateFilter {
    /// The parameter with the first day.
    pub from: &'static str,
    /// The parameter with the last day.
    pub to: &'static str,
}

/// The parameters by which Zoho documents most documents to be selected by date.
pub const BY_DATE: Option<DateFilter> = Some(DateFilter { from: "date_start", to: "date_end" });

/// Zoho documents the filter `last_modified_time` for the call, and no sorting by it.
pub const FILTERED: Capability = Capability { filter: Ability::Documented, sort: Ability::Unknown };
/// Zoho documents sorting by the time of the last change for the call, and no filter by it.
pub const SORTED: Capability = Capability { filter: Ability::Unknown, sort: Ability::Documented };
/// Zoho documents both the filter `last_modified_time` and sorting by it for the call.
pub const FILTERED_AND_SORTED: Capability =
    Capability { filter: Ability::Documented, sort: Ability::Documented };
/// Not every change moves a time of change, so only the whole list shows all changes.
pub const WHOLE: Capability = Capability { filter: Ability::Refuted, sort: Ability::Refuted };

/// The number of rows per page: the largest that Zoho states for every list. Zoho's own default is 10 in some places.
pub(crate) const PER_PAGE: usize = 200;

/// How whole records are read.
pub enum Detail {
    /// `GET {path}/{id}`. The record is under one of the keys.
    Single {
        /// The path of the call.
        path: &'static str,
        /// The keys under which the record may be found.
        keys: &'static [&'static str],
    },
    /// `GET /itemdetails?item_ids=`, with up to 100 items in one call.
    Items,
    /// The record is its row in the list, because no call for one record shows as much. The whole list is read for
    /// any number of records. A record that the list lacks is read by `GET {path of the list}/{id}` before it counts
    /// as gone.
    Listed {
        /// The product whose API documents that call.
        single: Api,
        /// What a further call for each record adds to its row.
        beside: Option<Beside>,
    },
}

/// A further call for a record, `GET {path of the list}/{id}{path}`, which adds to the row of the list. The members of
/// a record are added as they are, and a list is added under the first of the keys.
pub struct Beside {
    /// The product whose API has the call. If an organization does not have Inventory, rows stay as they are.
    pub api: Api,
    /// The path after the id, such as `/exchangerates`. Empty: the call reads the record itself.
    pub path: &'static str,
    /// The keys under which the answer may hold what is added.
    pub keys: &'static [&'static str],
    /// Returns false for rows about which there is nothing more to read.
    pub wanted: fn(&Map<String, Value>) -> bool,
}

/// The relation of records to records of other entity types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A document, such as an invoice. It names masters by their ids.
    Document,
    /// A record that documents name and that names no document, such as an item or a contact.
    Master,
    /// A master that other masters name as well, such as the price list of a contact.
    Reference,
}

/// The other entity type that a record may turn out to belong to: a contact is a customer or a vendor.
#[derive(Clone, Copy)]
pub struct Sibling {
    /// The other entity type.
    pub entity: &'static EntityType,
    /// Returns the entity type that a record states, one of the two; `None` if the record states none.
    pub stated: fn(&Map<String, Value>) -> Option<EntityType>,
}

/// The addresses at which the webhooks of an entity type arrive.
pub struct Webhooks {
    /// The last part of `/api/zoho/webhooks/{entity}`. Two entity types share a path if Zoho's rules do not
    /// distinguish them.
    pub path: &'static str,
    /// The last part of the predecessor's address `/api/tds/webhooks/{entity}`. `None`: the predecessor had none.
    pub predecessor: Option<&'static str>,
}

/// When an entity type is listed. The program that starts the runs has a setting for each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// All records at the interval of full syncs, and changes at the interval of incremental syncs.
    Changes,
    /// All records at the interval of full syncs, and nothing in between: the list is long, and no call is documented
    /// that lists the changes. Webhooks show the changes earlier. A request of an operator for the changes is obeyed.
    Full,
    /// All records at the interval of full syncs, and changes at the interval of prices: for what Zoho never pushes.
    Prices,
    /// All records at the interval of stock, because no list shows the changes.
    Stock,
}

/// A record while it is being read.
pub struct Draft {
    /// The entity type of the record: the descriptor's entity type or its sibling.
    pub entity: EntityType,
    /// Whether the record is a list row, a whole record or a pushed body.
    pub shape: Shape,
    /// Columns of the head table.
    pub fields: Fields,
    /// Columns of the head table whose values change without the record's time of change.
    pub volatile: Fields,
    /// Rows by child table. A table that is missing keeps its rows; an empty list of rows erases them.
    pub children: BTreeMap<String, Vec<Fields>>,
}

/// Keys of records whose values are a list or an object, and never text.
const STRUCTURED: [&str; 14] = [
    "line_items",
    "mapped_items",
    "locations",
    "warehouses",
    "custom_fields",
    "custom_field_hash",
    "billing_address",
    "shipping_address",
    "contact_persons",
    "taxes",
    "invoices",
    "bills",
    "pricebook_items",
    "price_brackets",
];

/// Keys of the lists without which a record of their kind would make no sense. A pushed body in which such a list is
/// empty was not filled in.
const LINES: [&str; 2] = ["line_items", "mapped_items"];

/// The times of creation and change, which every head table has.
pub(super) const TIMES: &[Column] = &[
    reading::timestamp("zoho_created_at", &["created_time"]),
    reading::timestamp("zoho_modified_at", &reading::VERSION_KEYS),
];

impl List {
    /// What the lists of most documents share: the filter without which some lists hide records, sorting by
    /// `created_time`, and the documented filter by the time of change. The path and the keys are empty, and the user
    /// of this constant must set them.
    pub const DOCUMENTS: Self = Self {
        path: "",
        query: &[("filter_by", "Status.All")],
        keys: &[],
        by_creation: true,
        changes: FILTERED,
        paged: true,
        dates: None,
        states_sums: false,
        ids_only: |_| false,
    };

    /// What the short lists of settings share: no filter, no documented order, and no time of change, so that an
    /// incremental sync reads the list whole as well. The path and the keys are empty, and the user of this constant
    /// must set them.
    pub const SETTINGS: Self = Self { query: &[], by_creation: false, changes: WHOLE, ..Self::DOCUMENTS };
}

impl Descriptor {
    /// What most documents of Zoho Books share. The schema, the list, the names and the columns are empty, and the user
    /// of this constant must set them.
    pub const DOCUMENT: Self = Self {
        schema: &MirrorSchema { entity: EntityType::from_static(""), head: None, children: &[] },
        api: Api::Books,
        scope: "",
        list: List::DOCUMENTS,
        detail: Detail::Single { path: "", keys: &[] },
        id_key: "",
        envelopes: &[],
        role: Role::Document,
        versioned: true,
        needs_detail: true,
        detail_max_age: None,
        sibling: None,
        shows: None,
        whole: &[],
        columns: &[],
        volatile: &[],
        rows: &[],
        moves: &[],
        derives_late: None,
        read: |_, _| Ok(()),
        webhooks: None,
        polling: Polling::Changes,
        matters_most: false,
        simulated: None,
        sample: None,
    };

    /// Returns the entity type.
    #[must_use]
    pub fn entity(&self) -> &EntityType {
        &self.schema.entity
    }

    /// Returns the name of the entity type.
    #[must_use]
    pub fn name(&self) -> &str {
        self.schema.entity.as_str()
    }

    /// Returns true if an organization without Zoho Inventory has no records of this type at all.
    #[must_use]
    pub fn needs_inventory(&self) -> bool {
        self.api == Api::Inventory && !is_read_from_books(self.list.path)
    }

    /// Iterates over the keys under which documents name a record of this type.
    pub(crate) fn party_keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.envelopes.iter().map(|(_, key)| *key).filter(|key| *key != self.id_key)
    }

    /// Returns the entity type that a record states: this one or its sibling. If the record states none, it is this
    /// one.
    pub(crate) fn entity_of(&self, record: &Map<String, Value>) -> EntityType {
        let stated = self.sibling.and_then(|sibling| (sibling.stated)(record));
        stated.unwrap_or_else(|| self.entity().clone())
    }

    /// Returns what the engine has to know about the source.
    pub(crate) fn profile(&self) -> SourceProfile {
        let fetch_batch = match self.detail {
            Detail::Items => 100,
            // A price list has more than a thousand rows, so one price list is enough for one transaction.
            Detail::Single { .. } if self.detail_max_age.is_some() => 1,
            Detail::Single { .. } => 10,
            // All records of a batch share one reading of the list.
            Detail::Listed { .. } => 100,
        };
        SourceProfile {
            needs_detail: self.needs_detail,
            // The rows of stock only say which items exist. Only the items themselves show the stock.
            lists_ids: !self.needs_detail && matches!(self.detail, Detail::Items),
            detail_max_age: self.detail_max_age,
            fetch_batch,
            records_per_call: match self.detail {
                Detail::Items | Detail::Listed { beside: None, .. } => 100,
                Detail::Single { .. } | Detail::Listed { .. } => 1,
            },
            records_per_page: PER_PAGE,
            sibling: self.sibling.map(|sibling| sibling.entity.clone()),
            complete_list: true,
            date_column: self.list.dates.map(|_| "date"),
            derives_late: self.derives_late,
            documented: self.list.changes,
        }
    }

    /// Returns true when a pushed record shows everything that a read of the whole record would show.
    pub(crate) fn is_complete(&self, record: &Map<String, Value>) -> bool {
        let shown = |keys: &&[&str]| keys.iter().any(|key| record.contains_key(*key));
        let is_filled = |lines: &Value| lines.as_array().is_some_and(|all| !all.is_empty());
        let lines = LINES.iter().all(|key| record.get(*key).is_none_or(is_filled));
        // A template that puts quotation marks around a list or an object sends text in its place.
        let structured = |key: &&str| record.get(*key).is_none_or(|value| !value.is_string());
        let is_readable = mend::unreadable(record).is_none() && !self.whole.is_empty();
        is_readable && self.whole.iter().all(shown) && lines && STRUCTURED.iter().all(structured)
    }

    /// Decodes a JSON object. `raw` is its text.
    pub(crate) fn decode_object(
        &self,
        record: &Map<String, Value>,
        shape: Shape,
        raw: Payload,
    ) -> Result<Record> {
        mend::check(record, format_args!("the {}", self.entity()))?;
        let id = reading::record_id(record, self.id_key)?;
        let version = if self.versioned { reading::version(record)? } else { None };
        let Draft { entity, fields, volatile, children, .. } = self.draft(&id, record, shape)?;
        let moves = (shape != Shape::List).then(|| moves::of(self.moves, record)).flatten();
        Ok(Record {
            entity,
            id: RecordId::new(id),
            version,
            fields,
            volatile,
            children,
            moves,
            cut: BTreeSet::new(),
            raw,
        })
    }

    /// Reads everything except the id and the version.
    pub(crate) fn draft(&self, id: &str, record: &Map<String, Value>, shape: Shape) -> Result<Draft> {
        // The place that stores the error names the record; this message says only what is wrong with it.
        self.read_all(record, shape).map_err(|error| error.context(format_args!("{} {id}", self.entity())))
    }

    fn read_all(&self, record: &Map<String, Value>, shape: Shape) -> Result<Draft> {
        let mut draft = Draft {
            entity: self.entity_of(record),
            shape,
            fields: columns(self.columns, record)?,
            volatile: columns(self.volatile, record)?,
            children: BTreeMap::new(),
        };
        // A list row shows only some of the custom fields, and no lists. A child table that is missing keeps its rows,
        // while an empty list of rows would erase them.
        let is_whole = shape != Shape::List;
        if self.schema.head.is_some() {
            draft.fields.extend(columns(TIMES, record)?);
            if is_whole && let Some(fields) = reading::custom_fields(record)? {
                draft.fields.insert("custom_fields".to_owned(), fields);
            }
        }
        for rows in self.rows.iter().filter(|_| is_whole) {
            if let Some(list) = record.get(rows.key) {
                draft.children.insert(rows.table.to_owned(), rows.read(list)?);
            }
        }
        (self.read)(record, &mut draft)?;
        Ok(draft)
    }
}
