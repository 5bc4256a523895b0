//! Credit notes.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{
    AGEING, BY_DATE, CUSTOMER, Descriptor, Detail, LINE, LINE_STOCK, List, Module, Moved, Rows, Webhooks,
};
use crate::reading::{Column, date, decimal, id, json, text};

const LINES: &str = "credit_note_lines";

pub(super) static CREDIT_NOTES: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("credit_notes"),
        head: Some("credit_notes"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.creditnotes.READ",
    list: List {
        path: "/creditnotes",
        keys: &["creditnotes", "credit_notes"],
        dates: BY_DATE,
        ..List::DOCUMENTS
    },
    detail: Detail::Single { path: "/creditnotes", keys: &["creditnote", "credit_note"] },
    id_key: "creditnote_id",
    envelopes: &[("creditnote", "creditnote_id"), ("credit_note", "creditnote_id")],
    whole: &[
        &["creditnote_number"],
        &["status"],
        // Real bodies without this key were seen, and bodies without lines too.
        &["customer_id"],
        &["date"],
        &["currency_code"],
        &["total"],
        &["balance"],
        &["line_items"],
        // The detail of a credit note has `updated_time` where its list row has `last_modified_time`.
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: AGEING,
    rows: &[Rows { table: LINES, key: "line_items", columns: &[LINE] }],
    moves: &[
        LINE_STOCK,
        CUSTOMER,
        Moved::of("invoices", &["invoices_credited.invoice_id", "invoices.invoice_id"]),
    ],
    webhooks: Some(Webhooks { path: "credit-notes", predecessor: None }),
    simulated: Some(MODULE),
    sample: sample!(any_credit_note),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "creditnotes",
    list_key: "creditnotes",
    detail_key: "creditnote",
    id_key: "creditnote_id",
    noun: "Credit Note",
    filtered_by_date: true,
    sort_columns: [&["customer_name", "creditnote_number", "balance", "total", "date", "created_time"]; 2],
    detail_only: &[
        "billing_address",
        "custom_fields",
        "exchange_rate",
        "invoices",
        "line_items",
        "notes",
        "price_precision",
        "sub_total",
        "tax_total",
        "taxes",
        "terms",
        // The list row has `last_modified_time` in its place.
        "updated_time",
    ],
    list_only: &["currency_id", "is_emailed"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["creditnote_number"]),
    text("reference_number", &["reference_number"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("sub_total", &["sub_total"]),
    decimal("tax_total", &["tax_total"]),
    decimal("total", &["total"]),
    text("discount", &["discount"]),
    decimal("shipping_charge", &["shipping_charge"]),
    decimal("adjustment", &["adjustment"]),
    text("salesperson_name", &["salesperson_name"]),
    id("location_zoho_id", &["location_id"]),
    text("notes", &["notes"]),
    text("terms", &["terms"]),
    json("billing_address", &["billing_address"]),
    json("shipping_address", &["shipping_address"]),
    json("taxes", &["taxes"]),
];
