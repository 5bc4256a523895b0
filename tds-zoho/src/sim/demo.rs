//! A whole shop: an organization in the proportions of a real one, which continues to trade.
//!
//! The shop sells phone accessories in Iraq. It has names in Arabic and English, prices in dollars and dinars, three
//! locations with stock, and mostly items without a SKU. What its customers and vendors owe follows from its documents
//! and payments to the cent. The same seed and clock give the same shop.

mod accounts;
mod changes;
mod contacts;
mod dates;
mod documents;
mod items;
mod orders;
mod prices;
mod random;
mod references;
mod run;
mod words;

use time::OffsetDateTime;

use self::random::Random;
pub use self::{
    changes::Changes,
    run::{run_changes, run_changes_by_rules},
};
use super::SharedOrganization;

/// The number of records of each kind in a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Items, of which two fifths are inactive.
    pub items: u64,
    /// Customers.
    pub customers: u64,
    /// Vendors.
    pub vendors: u64,
    /// Invoices.
    pub invoices: u64,
    /// Bills.
    pub bills: u64,
    /// Credit notes.
    pub credit_notes: u64,
    /// Sales orders. Most of them were invoiced.
    pub sales_orders: u64,
    /// Purchase orders. Most of them were billed.
    pub purchase_orders: u64,
    /// Vendor credits.
    pub vendor_credits: u64,
}

impl Size {
    /// Returns the given percentage of the real shop, which has 2,221 items, 2,415 customers, 88 vendors, 23,972
    /// invoices and 19,636 sales orders. Each kind has at least one record. The payments follow from the documents.
    #[must_use]
    pub fn percent(percent: u64) -> Self {
        let share = |real: u64| (real * percent / 100).max(1);
        Self {
            items: share(2_221),
            customers: share(2_415),
            vendors: share(88),
            invoices: share(23_972),
            bills: share(1_200),
            credit_notes: share(700),
            sales_orders: share(19_636),
            purchase_orders: share(1_000),
            vendor_credits: share(150),
        }
    }
}

impl Default for Size {
    /// Returns a tenth of the real shop.
    fn default() -> Self {
        Self::percent(10)
    }
}

/// Fills an organization. No webhooks are sent: the result is the state that a first full sync meets.
pub fn organization(zoho: &SharedOrganization, size: Size, seed: u64) {
    let mut random = Random::new(seed);
    let now = zoho.now();
    references::fill(zoho, now);
    let items = items::fill(zoho, &mut random, size.items, now);
    references::group(zoho, &items, now);
    let lists = prices::fill(zoho, &mut random, &items, now);
    let (customers, vendors) = contacts::fill(zoho, &mut random, size, &lists, now);
    documents::fill(zoho, &mut random, size, &documents::Parties { items, customers, vendors }, now);
}

/// Returns the n-th of `of` moments, which are evenly spread over the last `days` days before `now`, in whole seconds.
fn moment(n: u64, of: u64, days: u32, now: OffsetDateTime) -> OffsetDateTime {
    let span = u64::from(days) * 86_400;
    let ago = span - span / of.max(1) * n.min(of);
    now - time::Duration::seconds(i64::try_from(ago).unwrap_or_default())
}
