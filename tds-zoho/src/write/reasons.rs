//! Why columns cannot be written, in words for operators.

use super::contract::ReadOnly;

pub(super) const COMPUTED: &str = "Zoho computes it from the lines: change the lines";
pub(super) const PAID: &str = "it follows from payments and credits: enter a payment or a credit";
pub(super) const OF_CUSTOMER: &str = "it is the name of the customer: change the customer";
pub(super) const OF_VENDOR: &str = "it is the name of the vendor: change the vendor";
pub(super) const FULFILLED: &str = "it follows from invoices, packages and payments of the order";
pub(super) const RECEIVED: &str = "it follows from receives and bills of the order";
pub(super) const NUMBERED: &str = "Zoho numbers payments itself";
pub(super) const OF_ACCOUNT: &str = "it is the name of the account: change the account's id";
pub(super) const NO_CALL: &str = "Zoho documents no call that takes it: change it in Zoho";

/// Says why a column cannot be written.
pub(super) const fn because(column: &'static str, reason: &'static str) -> ReadOnly {
    ReadOnly { column, reason }
}
