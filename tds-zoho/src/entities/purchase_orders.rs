//! Purchase orders.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{
    BY_DATE, Descriptor, Detail, FILTERED_AND_SORTED, LINE, LINE_STOCK, List, Module, Rows, VENDOR, Webhooks,
};
use crate::reading::{Column, date, decimal, id, json, text};

const LINES: &str = "purchase_order_lines";

pub(super) static PURCHASE_ORDERS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("purchase_orders"),
        head: Some("purchase_orders"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.purchaseorders.READ",
    list: List {
        path: "/purchaseorders",
        keys: &["purchaseorders", "purchase_orders"],
        changes: FILTERED_AND_SORTED,
        dates: BY_DATE,
        ..List::DOCUMENTS
    },
    // The documentation of Books names the first key, that of Inventory the second.
    detail: Detail::Single { path: "/purchaseorders", keys: &["purchaseorder", "purchase_order"] },
    id_key: "purchaseorder_id",
    envelopes: &[("purchaseorder", "purchaseorder_id"), ("purchase_order", "purchaseorder_id")],
    whole: &[
        &["purchaseorder_number"],
        &["status"],
        &["vendor_id"],
        &["date"],
        // A bill that was made from a purchase order carries the id of the order, but not this key.
        &["delivery_date"],
        &["currency_code"],
        &["total"],
        &["line_items"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: FULFILMENT,
    rows: &[Rows { table: LINES, key: "line_items", columns: &[LINE, QUANTITIES] }],
    moves: &[LINE_STOCK, VENDOR],
    webhooks: Some(Webhooks { path: "purchase-orders", predecessor: None }),
    simulated: Some(MODULE),
    sample: sample!(any_purchase_order),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "purchaseorders",
    list_key: "purchaseorders",
    detail_key: "purchaseorder",
    id_key: "purchaseorder_id",
    noun: "Purchase Order",
    filtered_by_date: true,
    sort_columns: [
        &[
            "vendor_name",
            "purchaseorder_number",
            "date",
            "delivery_date",
            "expected_delivery_date",
            "total",
            "created_time",
            "last_modified_time",
        ],
        &[],
    ],
    detail_only: &[
        "bills",
        "billing_address",
        "currency_symbol",
        "delivery_address",
        "discount",
        "exchange_rate",
        "expected_delivery_date",
        "is_discount_before_tax",
        "is_inclusive_tax",
        "line_items",
        "location_id",
        "location_name",
        "notes",
        "purchasereceives",
        "ship_via",
        "sub_total",
        "tax_total",
        "taxes",
        "terms",
    ],
    list_only: &["has_attachment"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["purchaseorder_number"]),
    text("reference_number", &["reference_number"]),
    id("vendor_zoho_id", &["vendor_id"]),
    text("vendor_name", &["vendor_name"]),
    date("date", &["date"]),
    date("delivery_date", &["delivery_date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("sub_total", &["sub_total"]),
    text("discount", &["discount"]),
    decimal("tax_total", &["tax_total"]),
    decimal("adjustment", &["adjustment"]),
    decimal("total", &["total"]),
    id("location_zoho_id", &["location_id"]),
    text("notes", &["notes"]),
    text("terms", &["terms"]),
    json("taxes", &["taxes"]),
];

/// What bills and receives of the order change, without a change of the order itself.
const FULFILMENT: &[Column] = &[
    text("status", &["status"]),
    text("billed_status", &["billed_status"]),
    text("received_status", &["received_status"]),
];

/// How much of a line was handled so far.
const QUANTITIES: &[Column] =
    &[decimal("quantity_received", &["quantity_received"]), decimal("quantity_billed", &["quantity_billed"])];
