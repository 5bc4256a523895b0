//! The entity types of Zoho: the name of each type, where the type is listed, and what its records mean.
//!
//! An entity type is one [`Descriptor`], one migration with its mirror table, and one line in a [`Catalogue`]. Sources,
//! webhooks, HTTP paths, the command line, the OpenAPI document, schedules, samples and the simulated organization
//! iterate over the catalogue. A program outside this repository adds an entity type of its own in the same way:
//!
//! ```
//! use serde_json::{Map, Value};
//! use tds_core::{error::Result, mirror::MirrorSchema, record::EntityType};
//! use tds_zoho::entities::{
//!     Api, Catalogue, Column, Descriptor, Detail, Draft, FILTERED, List, Polling, Role, TIMES, Webhooks, column, columns,
//! };
//!
//! static ESTIMATES: Descriptor = Descriptor {
//!     schema: MirrorSchema {
//!         entity: EntityType::from_static("estimates"),
//!         head: Some("estimates"),
//!         children: &[],
//!     },
//!     api: Api::Books,
//!     scope: "ZohoBooks.estimates.READ",
//!     list: List {
//!         path: "/estimates",
//!         query: &[("filter_by", "Status.All")],
//!         keys: &["estimates"],
//!         by_creation: true,
//!         changes: FILTERED,
//!         ids_only: |_| false,
//!     },
//!     detail: Detail::Single { path: "/estimates", keys: &["estimate"] },
//!     id_key: "estimate_id",
//!     envelopes: &[("estimate", "estimate_id")],
//!     role: Role::Document,
//!     versioned: true,
//!     needs_detail: true,
//!     detail_max_age: None,
//!     sibling: None,
//!     whole: &[],
//!     columns: &[(&[], COLUMNS)],
//!     read,
//!     webhooks: Webhooks { path: "estimates", predecessor: None },
//!     polling: Polling::Changes,
//!     matters_most: false,
//!     simulated: None,
//!     sample: None,
//! };
//!
//! const COLUMNS: &[Column] =
//!     &[column::text("number", &["estimate_number"]), column::decimal("total", &["total"])];
//!
//! fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
//!     draft.fields = columns(COLUMNS, record)?;
//!     draft.fields.extend(columns(TIMES, record)?);
//!     draft.custom_fields(record)
//! }
//!
//! let catalogue = Catalogue::default().with(&ESTIMATES);
//! assert_eq!(catalogue.iter().count(), 9);
//! ```

/// Expands to a function of `sim::sample` where the feature `sim` is on, and to `None` otherwise.
macro_rules! sample {
    ($name:ident) => {{
        #[cfg(feature = "sim")]
        let sample: Option<fn(u64) -> serde_json::Value> = Some($crate::sim::sample::$name);
        #[cfg(not(feature = "sim"))]
        let sample: Option<fn(u64) -> serde_json::Value> = None;
        sample
    }};
}

pub(crate) mod bills;
mod catalogue;
pub(crate) mod contacts;
pub(crate) mod credit_notes;
mod customers;
mod descriptor;
#[cfg(test)]
mod documented;
pub(crate) mod invoices;
mod lines;
mod module;
mod modules;
pub(crate) mod prices;
pub(crate) mod products;
mod stock;
mod vendors;

pub use self::{
    catalogue::Catalogue,
    descriptor::{
        Descriptor, Detail, Draft, FILTERED, FILTERED_AND_SORTED, List, Polling, Role, SORTED, Sibling,
        TIMES, WHOLE, Webhooks,
    },
    lines::{read_document, read_payable},
    module::Module,
};
pub(crate) use self::{descriptor::PER_PAGE, modules::Modules};
pub use crate::{
    answer::Api,
    reading::{Column, columns, row},
};

/// Constructors of [`Column`]: the type of the column, and the keys of a record that the column is read from.
pub mod column {
    pub use crate::reading::{bool, date, decimal, id, integer, json, text, timestamp};
}
