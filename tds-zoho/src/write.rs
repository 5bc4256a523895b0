//! Write contracts: how a record of the ERP becomes calls that create, change or remove a record in Zoho.
//!
//! A [`Contract`] is data, one file per entity type. The contract says which columns of the `erp` tables go to which keys
//! of Zoho's request bodies, which columns nobody can write, how statuses change, how records are removed, and how a
//! create that is repeated is kept from making a second record. Functions of the contract return [`WriteCall`]s; nothing
//! in a contract sends them; a [`ZohoWriter`] does. A body is built from the contract and never from a record that was
//! read, so that a body contains documented keys only.
//!
//! ```
//! use serde_json::json;
//! use tds_core::{outbound::LocalRecord, record::EntityType};
//! use tds_zoho::write::contract_of;
//!
//! let contract = contract_of(&EntityType::from_static("customers")).expect("customers are written");
//! let fields = json!({"name": "Dijla Trading", "currency_code": null});
//! let record = LocalRecord::new("0f0e7a3c-6a52-4d0b-9d2f-7a3c5f0c1d11", fields.as_object().cloned().unwrap_or_default());
//! let calls = contract.create(&record, "cf_tds_id").expect("a valid customer");
//! assert_eq!((calls[0].method.as_str(), calls[0].path.as_str()), ("PUT", "/contacts"));
//! ```
//!
//! Sources: `zoho-api.md` sections 3, 5, 7 and 8 and Zoho's OpenAPI files. The names of the documented request keys are
//! in `tests/data/write-keys.json`.

mod answer;
mod arrange;
mod bills;
mod body;
mod call;
mod chosen;
mod contacts;
mod contract;
mod create;
mod credit_notes;
mod customer_payments;
mod documents;
mod field;
mod findings;
mod invoices;
mod lines;
mod local;
mod payments;
mod prices;
mod products;
mod purchase_orders;
mod reasons;
mod remove;
mod sales_orders;
mod status;
mod stock;
mod update;
mod value;
mod vendor_payments;
mod withheld;
mod writable;
mod writer;

use tds_core::record::EntityType;

pub use self::{
    answer::Answer,
    call::{Purpose, Removal, WriteCall},
    chosen::Chosen,
    contract::{
        Contract, EntityTypeName, Field, Form, Idempotence, Lines, Number, Part, ReadOnly, Removes, Stamp,
        Status, Transition, When,
    },
    findings::Findings,
    writer::{ZohoWriter, writers},
};
pub use crate::answer::Method;

/// The contracts, in the order in which a shop needs them.
static CONTRACTS: [&Contract; 12] = [
    &sales_orders::SALES_ORDERS,
    &customer_payments::CUSTOMER_PAYMENTS,
    &invoices::INVOICES,
    &contacts::CUSTOMERS,
    &products::PRODUCTS,
    &stock::STOCK,
    &credit_notes::CREDIT_NOTES,
    &contacts::VENDORS,
    &bills::BILLS,
    &prices::PRICES,
    &purchase_orders::PURCHASE_ORDERS,
    &vendor_payments::VENDOR_PAYMENTS,
];

/// Iterates over all contracts.
pub fn contracts() -> impl Iterator<Item = &'static Contract> {
    CONTRACTS.into_iter()
}

/// Returns the contract of an entity type; `None` if records of the type are never written to Zoho.
#[must_use]
pub fn contract_of(entity: &EntityType) -> Option<&'static Contract> {
    contracts().find(|contract| contract.entity == entity)
}
