//! Credit notes.

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

const LINES: &str = "credit_note_lines";

pub(super) static CREDIT_NOTES: Descriptor = Descriptor {
    schema: MirrorSchema {
        entity: EntityType::from_static("credit_notes"),
        head: Some("credit_notes"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    api: Api::Books,
    list: List {
        path: "/creditnotes",
        query: &[("filter_by", "Status.All")],
        keys: &["creditnotes", "credit_notes"],
        by_creation: true,
        changes: FILTERED,
        ids_only: |_| false,
    },
    detail: Detail::Single { path: "/creditnotes", keys: &["creditnote", "credit_note"] },
    id_key: "creditnote_id",
    envelopes: &["creditnote", "credit_note"],
    versioned: true,
    needs_detail: true,
    detail_max_age: None,
    sibling: None,
    whole: &[
        &["creditnote_number"],
        &["status"],
        // Seen missing in real bodies, as were the lines.
        &["customer_id"],
        &["date"],
        &["currency_code"],
        &["total"],
        &["balance"],
        &["line_items"],
        // The detail of a credit note states `updated_time` where its list row says `last_modified_time`.
        &["last_modified_time", "updated_time"],
    ],
    read,
};

pub(super) const COLUMNS: &[Column] = &[
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

fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    lines::read_document(COLUMNS, LINES, record, draft)
}
