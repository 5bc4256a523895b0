//! Credit notes.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Number, Removes, Status, Transition},
    documents::{
        BILLING, COMPUTED_IN_LINES, CURRENCY, CUSTOM_FIELDS, CUSTOMER, DATE, EXCHANGE_RATE, LOCATION, NOTES,
        REFERENCE, SALES_LINE, SHIPPING_TO, TERMS,
    },
    reasons::{COMPUTED, NO_CALL, OF_CUSTOMER, PAID, because},
};

pub(super) static CREDIT_NOTES: Contract = Contract {
    entity: &EntityType::from_static("credit_notes"),
    noun: "credit note",
    path: "/creditnotes",
    scope: "ZohoBooks.creditnotes",
    fields: &[
        CUSTOMER,
        // Unlike the number of an invoice, Zoho documents this one as required.
        Field::new("number", "creditnote_number", Form::Text(0)).always(),
        REFERENCE,
        DATE.always(),
        CURRENCY,
        EXCHANGE_RATE,
        LOCATION,
        NOTES,
        TERMS,
        CUSTOM_FIELDS,
    ],
    read_only: &[
        because("customer_name", OF_CUSTOMER),
        because("sub_total", COMPUTED),
        because("tax_total", COMPUTED),
        because("total", COMPUTED),
        because("taxes", COMPUTED),
        because("balance", PAID),
        because("discount", NO_CALL),
        because("shipping_charge", NO_CALL),
        because("adjustment", NO_CALL),
        because("salesperson_name", NO_CALL),
    ],
    lists: &[Lines {
        table: "credit_note_lines",
        key: "line_items",
        fields: SALES_LINE,
        ignored: COMPUTED_IN_LINES,
        required: true,
        always: true,
        ..Lines::ROWS
    }],
    number: Some(Number { column: "number" }),
    status: Some(Status {
        column: "status",
        initial: "open",
        in_force: "open",
        stated: Some(("draft", "is_draft")),
        transitions: &[
            Transition { from: &["draft"], to: "open", call: "status/open" },
            Transition { from: &["draft", "open"], to: "void", call: "status/void" },
            Transition { from: &["void"], to: "draft", call: "status/draft" },
        ],
        derived: &["closed"],
        reason: PAID,
    }),
    parts: &[BILLING, SHIPPING_TO],
    removes: Removes::Delete { or: Some("status/void") },
    answer: Answer { keys: &["creditnote", "credit_note"], id_key: "creditnote_id" },
    ..Contract::DOCUMENT
};
