//! Single records with every key that Zoho writes, for tests that need one record and depend on few of its keys.
//!
//! Each function takes a number, which makes ids, names and amounts distinct: the same number gives the same record.
//! [`SharedOrganization::put`](crate::sim::SharedOrganization::put) fills in the times. The samples know neither the
//! entity types nor the simulated organization.

mod adjustment;
mod contact;
mod document;
mod grouped;
mod item;
pub(crate) mod literal;
mod order;
mod payment;
mod price_list;
mod pushed;
mod reference;

use std::sync::OnceLock;

use serde_json::{Value, json};

pub use self::{
    adjustment::adjustment,
    contact::{ContactKind, contact},
    document::{Line, bill, bill_of, credit_note, credit_note_of, invoice, invoice_of},
    grouped::{composite_item, grouped, item_group},
    item::{item, service, set_stock},
    order::{
        purchase_order, purchase_order_of, sales_order, sales_order_of, vendor_credit, vendor_credit_of,
    },
    payment::{Paid, customer_payment, vendor_payment},
    price_list::{
        price_list_percentage, price_list_unit, price_list_unit_of, price_list_volume, price_list_volume_of,
    },
    reference::{currencies, locations, tax},
};
pub(crate) use self::{
    contact::set_address,
    document::apply_credit_note,
    item::stock_by_place,
    order::{apply_credit, handle_all},
    price_list::dinars,
    pushed::{
        any_bill, any_composite_item, any_credit_note, any_customer_payment, any_invoice, any_price_list,
        any_purchase_order, any_sales_order, any_vendor_credit, any_vendor_payment, customer, vendor,
    },
};
use literal::{Object, object};

/// The id of the Iraqi dinar.
pub const IQD: &str = "4600000000000000097";
/// The id of the US dollar, the organization's base currency.
pub const USD: &str = "4600000000000000099";
/// Ids and names of the three locations that hold stock. The first is the primary one.
pub const PLACES: [(&str, &str); 3] = [
    ("4600000000000038080", "Main Warehouse"),
    ("4600000000000038082", "Karrada Shop"),
    ("4600000000000038084", "Basra Branch"),
];

/// The two digits of an id that show the kind of the record. Parts of a record have the next number.
pub(crate) mod kinds {
    pub(crate) const CURRENCY: u64 = 12;
    pub(crate) const TAX: u64 = 14;
    pub(crate) const ATTRIBUTE: u64 = 17;
    pub(crate) const ITEM_GROUP: u64 = 21;
    pub(crate) const COMPOSITE_ITEM: u64 = 23;
    pub(crate) const CUSTOMER: u64 = 26;
    pub(crate) const ITEM: u64 = 27;
    pub(crate) const PERSON: u64 = 29;
    pub(crate) const ADDRESS: u64 = 30;
    pub(crate) const VENDOR: u64 = 38;
    pub(crate) const ADJUSTMENT: u64 = 44;
    pub(crate) const SALES_ORDER: u64 = 50;
    pub(crate) const INVOICE: u64 = 56;
    pub(crate) const PURCHASE_ORDER: u64 = 60;
    pub(crate) const VENDOR_CREDIT: u64 = 64;
    pub(crate) const CUSTOMER_PAYMENT: u64 = 68;
    pub(crate) const VENDOR_PAYMENT: u64 = 70;
    pub(crate) const CREDIT_NOTE: u64 = 72;
    pub(crate) const PRICE_LIST: u64 = 87;
    pub(crate) const BILL: u64 = 98;
}

/// Returns an id of 19 digits: two digits show the kind, and the last ten are the number.
pub(crate) fn id(kind: u64, n: u64) -> String {
    format!("4600000{kind:02}{n:010}")
}

/// A record with every key. Absent values are written as Zoho writes them. The template is read once and then copied.
struct Template {
    json: &'static str,
    parsed: OnceLock<Object>,
}

impl Template {
    const fn new(json: &'static str) -> Self {
        Self { json, parsed: OnceLock::new() }
    }

    /// Returns the template with some keys overwritten.
    fn with(&self, changes: Value) -> Object {
        let parsed = self.parsed.get_or_init(|| serde_json::from_str(self.json).unwrap_or_default());
        let mut fields = parsed.clone();
        fields.extend(object(changes));
        fields
    }
}

fn text(value: &Value, key: &str) -> Value {
    value.get(key).cloned().unwrap_or_else(|| json!(""))
}

/// Returns the day of a sample document, within the first nine months of 2026.
fn day(n: u64) -> String {
    format!("2026-{:02}-{:02}", n / 28 % 9 + 1, n % 28 + 1)
}

fn currency_id(code: &str) -> &'static str {
    if code == "IQD" { IQD } else { USD }
}
