//! Invoices.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{
    BY_DATE, CUSTOMER, Descriptor, Detail, LINE, LINE_STOCK, List, Module, Moved, PAYABLE, Rows, Webhooks,
};
use crate::reading::{Column, date, decimal, id, json, text};

const LINES: &str = "invoice_lines";

pub(super) static INVOICES: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("invoices"),
        head: Some("invoices"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.invoices.READ",
    list: List {
        path: "/invoices",
        keys: &["invoices"],
        dates: BY_DATE,
        states_sums: true,
        ..List::DOCUMENTS
    },
    detail: Detail::Single { path: "/invoices", keys: &["invoice"] },
    id_key: "invoice_id",
    envelopes: &[("invoice", "invoice_id")],
    whole: &[
        &["invoice_number"],
        &["status"],
        // Real bodies without this key were seen, and bodies without lines too.
        &["customer_id"],
        &["date"],
        &["currency_code"],
        &["total"],
        &["balance"],
        &["line_items"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: PAYABLE,
    rows: &[Rows { table: LINES, key: "line_items", columns: &[LINE] }],
    moves: &[
        LINE_STOCK,
        CUSTOMER,
        Moved::through("sales_orders", &["salesorder_id", "salesorders.salesorder_id"]),
    ],
    webhooks: Some(Webhooks { path: "invoices", predecessor: Some("invoices") }),
    matters_most: true,
    simulated: Some(MODULE),
    sample: sample!(any_invoice),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "invoices",
    list_key: "invoices",
    detail_key: "invoice",
    id_key: "invoice_id",
    noun: "Invoice",
    filtered_by_date: true,
    states_sums: true,
    sort_columns: [&[
        "customer_name",
        "invoice_number",
        "date",
        "due_date",
        "total",
        "balance",
        "created_time",
    ]; 2],
    detail_only: &[
        "bcy_total",
        "credits_applied",
        "custom_fields",
        "discount",
        "discount_type",
        "is_discount_before_tax",
        "is_inclusive_tax",
        "line_items",
        "location_id",
        "location_name",
        "notes",
        "payment_made",
        "payment_terms",
        "payment_terms_label",
        "price_precision",
        "sub_total",
        "tax_total",
        "taxes",
        "terms",
    ],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["invoice_number"]),
    text("reference_number", &["reference_number"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    date("due_date", &["due_date"]),
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
    text("notes", &["notes"]),
    text("terms", &["terms"]),
    json("billing_address", &["billing_address"]),
    json("shipping_address", &["shipping_address"]),
    json("taxes", &["taxes"]),
];
