//! Invoices.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Number, Removes, Status, Transition},
    documents::{
        ADJUSTMENT, BILLING, COMPUTED_IN_LINES, CURRENCY, CUSTOM_FIELDS, CUSTOMER, DATE, DISCOUNT,
        EXCHANGE_RATE, LOCATION, NOTES, REFERENCE, SALES_LINE, SALESPERSON, SHIPPING, SHIPPING_TO, TERMS,
    },
    reasons::{COMPUTED, OF_CUSTOMER, PAID, because},
};

pub(super) static INVOICES: Contract = Contract {
    entity: &EntityType::from_static("invoices"),
    noun: "invoice",
    path: "/invoices",
    scope: "ZohoBooks.invoices",
    fields: &[
        CUSTOMER,
        Field::new("number", "invoice_number", Form::Text(0)),
        REFERENCE,
        DATE,
        Field::new("due_date", "due_date", Form::Date),
        CURRENCY,
        EXCHANGE_RATE,
        DISCOUNT,
        SHIPPING,
        ADJUSTMENT,
        SALESPERSON,
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
        because("payment_made", PAID),
    ],
    lists: &[Lines {
        table: "invoice_lines",
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
        initial: "draft",
        in_force: "sent",
        stated: None,
        transitions: &[
            Transition { from: &["draft"], to: "sent", call: "status/sent" },
            Transition {
                from: &["draft", "sent", "viewed", "overdue", "unpaid"],
                to: "void",
                call: "status/void",
            },
            Transition { from: &["void"], to: "draft", call: "status/draft" },
        ],
        derived: &["viewed", "overdue", "unpaid", "partially_paid", "paid"],
        reason: PAID,
    }),
    parts: &[BILLING, SHIPPING_TO],
    // Zoho deletes no invoice to which a payment or a credit was applied.
    removes: Removes::Delete { or: Some("status/void") },
    answer: Answer { keys: &["invoice"], id_key: "invoice_id" },
    ..Contract::DOCUMENT
};
