//! Invoices.

use serde_json::{Map, Value};
use tds_core::{
    error::Result,
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{Descriptor, Detail, Draft, FILTERED, List, lines};
use crate::{
    answer::Api,
    reading::{Column, date, decimal, id, json, text},
};

const LINES: &str = "invoice_lines";

pub(super) static INVOICES: Descriptor = Descriptor {
    schema: MirrorSchema {
        entity: EntityType::from_static("invoices"),
        head: Some("invoices"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    api: Api::Books,
    list: List {
        path: "/invoices",
        query: &[("filter_by", "Status.All")],
        keys: &["invoices"],
        by_creation: true,
        changes: FILTERED,
        ids_only: |_| false,
    },
    detail: Detail::Single { path: "/invoices", keys: &["invoice"] },
    id_key: "invoice_id",
    envelopes: &["invoice"],
    versioned: true,
    needs_detail: true,
    detail_max_age: None,
    sibling: None,
    whole: &[
        &["invoice_number"],
        &["status"],
        // Seen missing in real bodies, as were the lines.
        &["customer_id"],
        &["date"],
        &["currency_code"],
        &["total"],
        &["balance"],
        &["line_items"],
        &["last_modified_time", "updated_time"],
    ],
    read,
};

pub(super) const COLUMNS: &[Column] = &[
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

fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    lines::read_payable(COLUMNS, LINES, record, draft)
}
