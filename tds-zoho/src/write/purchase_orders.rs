//! Purchase orders.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Number, Removes, Status, Transition},
    documents::{
        COMPUTED_IN_LINES, CURRENCY, CUSTOM_FIELDS, DATE, DISCOUNT, EXCHANGE_RATE, LOCATION, NOTES,
        PURCHASE_LINE, REFERENCE, TERMS, VENDOR,
    },
    reasons::{COMPUTED, NO_CALL, OF_VENDOR, RECEIVED, because},
};

pub(super) static PURCHASE_ORDERS: Contract = Contract {
    entity: &EntityType::from_static("purchase_orders"),
    noun: "purchase order",
    path: "/purchaseorders",
    scope: "ZohoBooks.purchaseorders",
    fields: &[
        VENDOR,
        Field::new("number", "purchaseorder_number", Form::Text(0)),
        REFERENCE,
        DATE,
        Field::new("delivery_date", "delivery_date", Form::Date),
        CURRENCY,
        EXCHANGE_RATE,
        DISCOUNT,
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
        because("adjustment", NO_CALL),
        because("billed_status", RECEIVED),
        because("received_status", RECEIVED),
    ],
    lists: &[Lines {
        table: "purchase_order_lines",
        key: "line_items",
        fields: PURCHASE_LINE,
        ignored: &[
            "discount",
            COMPUTED_IN_LINES[0],
            COMPUTED_IN_LINES[1],
            COMPUTED_IN_LINES[2],
            COMPUTED_IN_LINES[3],
            "quantity_received",
            "quantity_billed",
        ],
        required: true,
        always: true,
        ..Lines::ROWS
    }],
    number: Some(Number { column: "number" }),
    status: Some(Status {
        column: "status",
        initial: "draft",
        in_force: "open",
        stated: None,
        transitions: &[
            Transition { from: &["draft", "cancelled"], to: "open", call: "status/open" },
            Transition { from: &["open"], to: "billed", call: "status/billed" },
            Transition { from: &["draft", "open"], to: "cancelled", call: "status/cancelled" },
        ],
        derived: &["partially_billed", "closed", "received"],
        reason: RECEIVED,
    }),
    removes: Removes::Delete { or: Some("status/cancelled") },
    answer: Answer { keys: &["purchaseorder", "purchase_order"], id_key: "purchaseorder_id" },
    ..Contract::DOCUMENT
};
