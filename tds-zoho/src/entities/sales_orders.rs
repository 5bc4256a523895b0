//! Sales orders.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{
    BY_DATE, CUSTOMER, Descriptor, Detail, FILTERED_AND_SORTED, LINE, LINE_STOCK, List, Module, Rows,
    Webhooks,
};
use crate::reading::{Column, date, decimal, id, json, text};

const LINES: &str = "sales_order_lines";

pub(super) static SALES_ORDERS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("sales_orders"),
        head: Some("sales_orders"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.salesorders.READ",
    list: List {
        path: "/salesorders",
        keys: &["salesorders", "sales_orders"],
        changes: FILTERED_AND_SORTED,
        dates: BY_DATE,
        ..List::DOCUMENTS
    },
    detail: Detail::Single { path: "/salesorders", keys: &["salesorder", "sales_order"] },
    id_key: "salesorder_id",
    envelopes: &[("salesorder", "salesorder_id"), ("sales_order", "salesorder_id")],
    whole: &[
        &["salesorder_number"],
        &["status"],
        &["customer_id"],
        &["date"],
        // An invoice that was made from a sales order carries the id and the number of the order, but not this key.
        &["shipment_date"],
        &["currency_code"],
        &["total"],
        &["line_items"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: FULFILMENT,
    rows: &[Rows { table: LINES, key: "line_items", columns: &[LINE, QUANTITIES] }],
    moves: &[LINE_STOCK, CUSTOMER],
    webhooks: Some(Webhooks { path: "sales-orders", predecessor: Some("orders") }),
    matters_most: true,
    simulated: Some(MODULE),
    sample: sample!(any_sales_order),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "salesorders",
    list_key: "salesorders",
    detail_key: "salesorder",
    id_key: "salesorder_id",
    noun: "Sales Order",
    filtered_by_date: true,
    sort_columns: [
        &[
            "customer_name",
            "salesorder_number",
            "reference_number",
            "shipment_date",
            "total",
            "date",
            "created_time",
            "last_modified_time",
        ],
        &[],
    ],
    detail_only: &[
        "adjustment",
        "billing_address",
        "currency_symbol",
        "delivery_method",
        "delivery_method_id",
        "discount",
        "discount_amount",
        "discount_type",
        "exchange_rate",
        "invoices",
        "is_discount_before_tax",
        "is_inclusive_tax",
        "line_items",
        "location_id",
        "location_name",
        "notes",
        "packages",
        "price_precision",
        "purchaseorders",
        "salesperson_id",
        "salesperson_name",
        "shipping_address",
        "shipping_charge",
        "tax_total",
        "taxes",
        "terms",
    ],
    list_only: &["bcy_total", "has_attachment", "shipment_days"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["salesorder_number"]),
    text("reference_number", &["reference_number"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    date("shipment_date", &["shipment_date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("sub_total", &["sub_total"]),
    text("discount", &["discount"]),
    decimal("tax_total", &["tax_total"]),
    decimal("shipping_charge", &["shipping_charge"]),
    decimal("adjustment", &["adjustment"]),
    decimal("total", &["total"]),
    text("salesperson_name", &["salesperson_name"]),
    id("location_zoho_id", &["location_id"]),
    text("delivery_method", &["delivery_method"]),
    text("notes", &["notes"]),
    text("terms", &["terms"]),
    json("billing_address", &["billing_address"]),
    json("shipping_address", &["shipping_address"]),
    json("taxes", &["taxes"]),
];

/// What invoices, packages and payments of the order change, without a change of the order itself.
const FULFILMENT: &[Column] = &[
    text("status", &["status"]),
    text("order_status", &["order_status"]),
    text("invoiced_status", &["invoiced_status"]),
    text("paid_status", &["paid_status"]),
    text("shipped_status", &["shipped_status"]),
    decimal("balance", &["balance"]),
];

/// How much of a line was handled so far.
const QUANTITIES: &[Column] = &[
    decimal("quantity_invoiced", &["quantity_invoiced"]),
    decimal("quantity_packed", &["quantity_packed"]),
    decimal("quantity_shipped", &["quantity_shipped"]),
    decimal("quantity_cancelled", &["quantity_cancelled"]),
];
