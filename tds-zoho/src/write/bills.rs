//! Bills.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Removes, Status, Transition},
    documents::{
        ADJUSTMENT, BILLING, COMPUTED_IN_LINES, CURRENCY, CUSTOM_FIELDS, DATE, EXCHANGE_RATE, LOCATION,
        NOTES, PURCHASE_LINE, REFERENCE, TERMS, VENDOR,
    },
    reasons::{COMPUTED, NO_CALL, OF_VENDOR, PAID, because},
};

pub(super) static BILLS: Contract = Contract {
    entity: &EntityType::from_static("bills"),
    noun: "bill",
    path: "/bills",
    scope: "ZohoBooks.bills",
    fields: &[
        VENDOR,
        // The number is the vendor's own, so Zoho never gives one.
        Field::new("number", "bill_number", Form::Text(0)).always(),
        REFERENCE,
        DATE,
        Field::new("due_date", "due_date", Form::Date),
        CURRENCY,
        EXCHANGE_RATE,
        ADJUSTMENT,
        LOCATION,
        NOTES,
        TERMS,
        CUSTOM_FIELDS,
    ],
    read_only: &[
        because("vendor_name", OF_VENDOR),
        because("sub_total", COMPUTED),
        because("tax_total", COMPUTED),
        because("total", COMPUTED),
        because("taxes", COMPUTED),
        because("balance", PAID),
        because("payment_made", PAID),
        because("discount", NO_CALL),
    ],
    lists: &[Lines {
        table: "bill_lines",
        key: "line_items",
        fields: PURCHASE_LINE,
        ignored: IGNORED_IN_LINES,
        required: true,
        ..Lines::ROWS
    }],
    status: Some(Status {
        column: "status",
        initial: "open",
        in_force: "open",
        stated: None,
        transitions: &[
            Transition { from: &["open", "overdue"], to: "void", call: "status/void" },
            Transition { from: &["draft", "void"], to: "open", call: "status/open" },
        ],
        derived: &["overdue", "partially_paid", "paid"],
        reason: PAID,
    }),
    parts: &[BILLING],
    // Zoho deletes no bill to which a payment was applied.
    removes: Removes::Delete { or: Some("status/void") },
    answer: Answer { keys: &["bill"], id_key: "bill_id" },
    ..Contract::DOCUMENT
};

/// Zoho documents no discount in the lines of bills.
const IGNORED_IN_LINES: &[&str] =
    &["discount", COMPUTED_IN_LINES[0], COMPUTED_IN_LINES[1], COMPUTED_IN_LINES[2], COMPUTED_IN_LINES[3]];
