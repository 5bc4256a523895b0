//! Vendor credits: what vendors owe for returned goods.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{
    AGEING, BY_DATE, Descriptor, Detail, FILTERED_AND_SORTED, LINE, LINE_STOCK, List, Module, Moved, Rows,
    VENDOR, Webhooks,
};
use crate::reading::{Column, date, decimal, id, text};

const LINES: &str = "vendor_credit_lines";

pub(super) static VENDOR_CREDITS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("vendor_credits"),
        head: Some("vendor_credits"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    // Zoho's scopes still have the former name of vendor credits.
    scope: "ZohoBooks.debitnotes.READ",
    list: List {
        path: "/vendorcredits",
        keys: &["vendorcredits", "vendor_credits"],
        changes: FILTERED_AND_SORTED,
        dates: BY_DATE,
        ..List::DOCUMENTS
    },
    detail: Detail::Single { path: "/vendorcredits", keys: &["vendor_credit", "vendorcredit"] },
    id_key: "vendor_credit_id",
    envelopes: &[("vendor_credit", "vendor_credit_id"), ("vendorcredit", "vendor_credit_id")],
    whole: &[
        &["vendor_credit_number"],
        &["status"],
        &["vendor_id"],
        &["date"],
        &["currency_code"],
        &["total"],
        &["balance"],
        &["line_items"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: AGEING,
    rows: &[Rows { table: LINES, key: "line_items", columns: &[LINE] }],
    moves: &[LINE_STOCK, VENDOR, Moved::of("bills", &["bills_credited.bill_id", "bills.bill_id"])],
    webhooks: Some(Webhooks { path: "vendor-credits", predecessor: None }),
    simulated: Some(MODULE),
    sample: sample!(any_vendor_credit),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "vendorcredits",
    list_key: "vendorcredits",
    detail_key: "vendor_credit",
    id_key: "vendor_credit_id",
    noun: "Vendor Credit",
    filtered_by_date: true,
    sort_columns: [&[
        "vendor_name",
        "vendor_credit_number",
        "balance",
        "total",
        "date",
        "created_time",
        "last_modified_time",
        "reference_number",
    ]; 2],
    detail_only: &[
        "bills_credited",
        "custom_fields",
        "is_inclusive_tax",
        "line_items",
        "location_id",
        "location_name",
        "notes",
        "price_precision",
        "sub_total",
        "total_credits_used",
        "total_refunded_amount",
        "vendor_credit_refunds",
    ],
    list_only: &["has_attachment"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["vendor_credit_number"]),
    text("reference_number", &["reference_number"]),
    id("vendor_zoho_id", &["vendor_id"]),
    text("vendor_name", &["vendor_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("sub_total", &["sub_total"]),
    decimal("tax_total", &["tax_total"]),
    decimal("total", &["total"]),
    id("location_zoho_id", &["location_id"]),
    text("notes", &["notes"]),
];
