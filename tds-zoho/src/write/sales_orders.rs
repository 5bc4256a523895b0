//! Sales orders.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Number, Removes, Status, Transition},
    documents::{
        ADJUSTMENT, BILLING, COMPUTED_IN_LINES, CURRENCY, CUSTOM_FIELDS, CUSTOMER, DATE, DISCOUNT,
        EXCHANGE_RATE, LOCATION, NOTES, REFERENCE, SALES_LINE, SALESPERSON, SHIPPING, SHIPPING_TO, TERMS,
    },
    reasons::{COMPUTED, FULFILLED, OF_CUSTOMER, because},
};

pub(super) static SALES_ORDERS: Contract = Contract {
    entity: &EntityType::from_static("sales_orders"),
    noun: "sales order",
    path: "/salesorders",
    scope: "ZohoBooks.salesorders",
    fields: &[
        CUSTOMER,
        Field::new("number", "salesorder_number", Form::Text(0)),
        REFERENCE,
        DATE,
        Field::new("shipment_date", "shipment_date", Form::Date),
        CURRENCY,
        EXCHANGE_RATE,
        DISCOUNT,
        SHIPPING,
        ADJUSTMENT,
        SALESPERSON,
        LOCATION,
        Field::new("delivery_method", "delivery_method", Form::Text(0)),
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
        because("balance", FULFILLED),
        because("order_status", FULFILLED),
        because("invoiced_status", FULFILLED),
        because("paid_status", FULFILLED),
        because("shipped_status", FULFILLED),
    ],
    // Zoho documents only the customer as required, but an order without lines sells nothing.
    lists: &[Lines {
        table: "sales_order_lines",
        key: "line_items",
        fields: SALES_LINE,
        ignored: &[
            COMPUTED_IN_LINES[0],
            COMPUTED_IN_LINES[1],
            COMPUTED_IN_LINES[2],
            COMPUTED_IN_LINES[3],
            "quantity_invoiced",
            "quantity_packed",
            "quantity_shipped",
            "quantity_cancelled",
        ],
        required: true,
        ..Lines::ROWS
    }],
    number: Some(Number { column: "number" }),
    status: Some(Status {
        column: "status",
        initial: "draft",
        in_force: "open",
        stated: None,
        transitions: &[
            Transition { from: &["draft", "void"], to: "open", call: "status/open" },
            Transition { from: &["draft", "open", "overdue"], to: "void", call: "status/void" },
        ],
        derived: &["partially_invoiced", "invoiced", "overdue", "closed", "fulfilled"],
        reason: FULFILLED,
    }),
    parts: &[BILLING, SHIPPING_TO],
    // Zoho deletes no sales order that was invoiced.
    removes: Removes::Delete { or: Some("status/void") },
    answer: Answer { keys: &["salesorder", "sales_order"], id_key: "salesorder_id" },
    ..Contract::DOCUMENT
};
