//! The kinds of documents with lines.

use serde_json::Value;

use crate::sim::{
    module::Module,
    sample::{self, Line},
};

/// How documents of a module are written.
pub(super) struct Kind {
    pub(super) module: Module,
    /// A document of a party with these lines, with every key.
    pub(super) sample: fn(u64, &Value, &[Line]) -> Value,
    /// The key of the party, the key of its name, and its `contact_type`.
    pub(super) party: (&'static str, &'static str, &'static str),
    /// The key of the number, and what the numbers that Zoho gives begin with. Empty: Zoho gives none.
    pub(super) number: (&'static str, &'static str),
    /// The keys without which no document is created.
    pub(super) required: &'static [&'static str],
    /// The status of a new document.
    pub(super) status: &'static str,
}

static KINDS: [Kind; 5] = [
    Kind {
        module: Module::SALES_ORDERS,
        sample: sample::sales_order_of,
        party: CUSTOMER,
        number: ("salesorder_number", "SO-"),
        required: &["customer_id"],
        status: "draft",
    },
    Kind {
        module: Module::INVOICES,
        sample: sample::invoice_of,
        party: CUSTOMER,
        number: ("invoice_number", "INV-"),
        required: &["customer_id", "line_items"],
        status: "draft",
    },
    Kind {
        module: Module::CREDIT_NOTES,
        sample: sample::credit_note_of,
        party: CUSTOMER,
        number: ("creditnote_number", "CN-"),
        required: &["customer_id", "date", "creditnote_number", "line_items"],
        status: "open",
    },
    Kind {
        module: Module::BILLS,
        sample: sample::bill_of,
        party: VENDOR,
        number: ("bill_number", ""),
        required: &["vendor_id", "bill_number"],
        status: "open",
    },
    Kind {
        module: Module::PURCHASE_ORDERS,
        sample: sample::purchase_order_of,
        party: VENDOR,
        number: ("purchaseorder_number", "PO-"),
        required: &["vendor_id", "line_items"],
        status: "draft",
    },
];

const CUSTOMER: (&str, &str, &str) = ("customer_id", "customer_name", "customer");
const VENDOR: (&str, &str, &str) = ("vendor_id", "vendor_name", "vendor");

/// Returns the kind of a module's documents.
pub(super) fn of(module: Module) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.module == module)
}
