//! Bills.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{
    BY_DATE, Descriptor, Detail, LINE, LINE_STOCK, List, Module, Moved, PAYABLE, Rows, VENDOR, Webhooks,
};
use crate::reading::{Column, date, decimal, id, json, text};

const LINES: &str = "bill_lines";

pub(super) static BILLS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("bills"),
        head: Some("bills"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.bills.READ",
    list: List { path: "/bills", keys: &["bills"], dates: BY_DATE, ..List::DOCUMENTS },
    detail: Detail::Single { path: "/bills", keys: &["bill"] },
    id_key: "bill_id",
    envelopes: &[("bill", "bill_id")],
    whole: &[
        &["bill_number"],
        &["status"],
        // Real bodies without this key were seen, and bodies without lines too.
        &["vendor_id"],
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
        VENDOR,
        Moved::through("purchase_orders", &["purchaseorder_ids", "purchaseorders.purchaseorder_id"]),
    ],
    webhooks: Some(Webhooks { path: "bills", predecessor: None }),
    simulated: Some(MODULE),
    sample: sample!(any_bill),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "bills",
    list_key: "bills",
    detail_key: "bill",
    id_key: "bill_id",
    noun: "Bill",
    filtered_by_date: true,
    sort_columns: [&["vendor_name", "bill_number", "date", "due_date", "total", "balance", "created_time"];
        2],
    detail_only: &[
        "adjustment",
        "custom_fields",
        "is_inclusive_tax",
        "line_items",
        "notes",
        "payment_made",
        "payment_terms",
        "payment_terms_label",
        "payments",
        "purchaseorder_ids",
        "sub_total",
        "tax_total",
        "taxes",
        "terms",
        "vendor_credits",
        "vendor_credits_applied",
    ],
    list_only: &["due_days", "has_attachment"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["bill_number"]),
    text("reference_number", &["reference_number"]),
    id("vendor_zoho_id", &["vendor_id"]),
    text("vendor_name", &["vendor_name"]),
    date("date", &["date"]),
    date("due_date", &["due_date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("sub_total", &["sub_total"]),
    decimal("tax_total", &["tax_total"]),
    decimal("total", &["total"]),
    text("discount", &["discount"]),
    decimal("adjustment", &["adjustment"]),
    id("location_zoho_id", &["location_id"]),
    text("notes", &["notes"]),
    text("terms", &["terms"]),
    json("billing_address", &["billing_address"]),
    json("taxes", &["taxes"]),
];
