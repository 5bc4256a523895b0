//! The entity types of Zoho: the name of each type, where the type is listed, and what its records mean.
//!
//! An entity type is one [`Descriptor`], one migration with its mirror table, and one line in a [`Catalogue`]. Sources,
//! webhooks, HTTP paths, the command line, the OpenAPI document, schedules, samples and the simulated organization
//! iterate over the catalogue. A program outside this repository adds its own entity type in the same way:
//!
//! ```
//! use tds_core::{mirror::MirrorSchema, record::EntityType};
//! use tds_zoho::entities::{AGEING, Catalogue, Column, Descriptor, Detail, List, Webhooks, column};
//!
//! static ESTIMATES: Descriptor = Descriptor {
//!     schema: &MirrorSchema {
//!         entity: EntityType::from_static("estimates"),
//!         head: Some("estimates"),
//!         children: &[],
//!     },
//!     scope: "ZohoBooks.estimates.READ",
//!     list: List { path: "/estimates", keys: &["estimates"], ..List::DOCUMENTS },
//!     detail: Detail::Single { path: "/estimates", keys: &["estimate"] },
//!     id_key: "estimate_id",
//!     envelopes: &[("estimate", "estimate_id")],
//!     columns: COLUMNS,
//!     volatile: AGEING,
//!     webhooks: Some(Webhooks { path: "estimates", predecessor: None }),
//!     ..Descriptor::DOCUMENT
//! };
//!
//! const COLUMNS: &[Column] =
//!     &[column::text("number", &["estimate_number"]), column::decimal("total", &["total"])];
//!
//! let catalogue = Catalogue::default().with(&ESTIMATES);
//! assert_eq!(catalogue.names().last(), Some("estimates"));
//! ```

/// Expands to a function of `sample` if the feature `sim` is on, and to `None` otherwise.
macro_rules! sample {
    ($name:ident) => {{
        #[cfg(feature = "sim")]
        let sample: Option<fn(u64) -> serde_json::Value> = Some($crate::sample::$name);
        #[cfg(not(feature = "sim"))]
        let sample: Option<fn(u64) -> serde_json::Value> = None;
        sample
    }};
}

pub(crate) mod bills;
mod catalogue;
pub(crate) mod composite_items;
pub(crate) mod contacts;
pub(crate) mod credit_notes;
pub(crate) mod currencies;
pub(crate) mod customer_payments;
mod cut;
mod descriptor;
#[cfg(test)]
mod documented;
mod hidden;
mod hiding;
pub(crate) mod invoices;
pub(crate) mod item_groups;
mod known_keys;
mod lines;
pub(crate) mod locations;
mod module;
mod modules;
mod moves;
pub(crate) mod prices;
pub(crate) mod products;
pub(crate) mod purchase_orders;
pub(crate) mod sales_orders;
mod stock;
pub(crate) mod taxes;
pub(crate) mod vendor_credits;
pub(crate) mod vendor_payments;

/// The entity types of TDS, in their documented order. A new entity type takes its module above, and a line here.
static ZOHO: &[&Descriptor] = &[
    &products::PRODUCTS,
    &contacts::CUSTOMERS,
    &contacts::VENDORS,
    &invoices::INVOICES,
    &bills::BILLS,
    &credit_notes::CREDIT_NOTES,
    &stock::STOCK,
    &prices::PRICES,
    &sales_orders::SALES_ORDERS,
    &customer_payments::CUSTOMER_PAYMENTS,
    &purchase_orders::PURCHASE_ORDERS,
    &vendor_payments::VENDOR_PAYMENTS,
    &vendor_credits::VENDOR_CREDITS,
    &item_groups::ITEM_GROUPS,
    &composite_items::COMPOSITE_ITEMS,
    &currencies::CURRENCIES,
    &taxes::TAXES,
    &locations::LOCATIONS,
];

pub use self::{
    catalogue::Catalogue,
    descriptor::{
        BY_DATE, Beside, DateFilter, Descriptor, Detail, Draft, FILTERED, FILTERED_AND_SORTED, List, Polling,
        Role, SORTED, Sibling, WHOLE, Webhooks,
    },
    hidden::NotHideable,
    hiding::{HashKey, HideRule, Hiding, How},
    lines::{AGEING, LINE, PAYABLE, Rows},
    module::Module,
    moves::{CUSTOMER, LINE_STOCK, Moved, VENDOR},
};
pub(crate) use self::{descriptor::PER_PAGE, hiding::has_hash, known_keys::KnownKeys, modules::Modules};
pub use crate::{
    answer::Api,
    reading::{Column, columns, row},
};

/// Constructors of [`Column`]: the type of the column, and the keys of a record that the column is read from.
pub mod column {
    pub use crate::reading::{bool, date, decimal, id, integer, json, text, timestamp};
}
