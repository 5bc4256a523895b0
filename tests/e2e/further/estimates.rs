//! Estimates, which TDS does not mirror: the descriptor, the migration of the mirror tables, and the line that adds
//! both.

use serde_json::{Value, json};
use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};
use tds_postgres::FurtherMigration;
use tds_server::Entities;
use tds_zoho::entities::{
    AGEING, Catalogue, Column, Descriptor, Detail, LINE, List, Module, Rows, Webhooks,
    column::{date, decimal, id, text},
};

/// Returns the entity types of TDS and, in addition, estimates.
pub(crate) fn entities() -> Entities {
    let sql = include_str!("estimates.sql");
    Entities {
        catalogue: Catalogue::default().with(&ESTIMATES),
        migrations: vec![FurtherMigration { name: "estimates", sql }],
    }
}

const LINES: &str = "estimate_lines";

static ESTIMATES: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("estimates"),
        head: Some("estimates"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.estimates.READ",
    list: List { path: "/estimates", keys: &["estimates"], ..List::DOCUMENTS },
    detail: Detail::Single { path: "/estimates", keys: &["estimate"] },
    id_key: "estimate_id",
    envelopes: &[("estimate", "estimate_id")],
    whole: &[
        &["estimate_number"],
        &["status"],
        &["customer_id"],
        &["date"],
        &["total"],
        &["line_items"],
        &["last_modified_time"],
    ],
    columns: COLUMNS,
    volatile: AGEING,
    rows: &[Rows { table: LINES, key: "line_items", columns: &[LINE] }],
    webhooks: Some(Webhooks { path: "estimates", predecessor: None }),
    simulated: Some(MODULE),
    sample: Some(sample),
    ..Descriptor::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["estimate_number"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("total", &["total"]),
];

pub(crate) const MODULE: Module = Module {
    path: "estimates",
    list_key: "estimates",
    detail_key: "estimate",
    id_key: "estimate_id",
    noun: "Estimate",
    sort_columns: [&["estimate_number", "date", "total", "created_time"]; 2],
    detail_only: &["line_items"],
    ..Module::DOCUMENT
};

/// Returns an estimate with two lines.
pub(crate) fn sample(n: u64) -> Value {
    json!({
        "estimate_id": format!("460000040{n:010}"),
        "estimate_number": format!("EST-{n}"),
        "status": "open",
        "customer_id": "4600000260000000001",
        "customer_name": "Dijla Trading",
        "date": "2026-11-20",
        "currency_code": "USD",
        "total": 30,
        "line_items": [
            {"line_item_id": format!("460000041{n:010}"), "item_id": "4600000270000000001", "quantity": 1, "rate": 10, "item_total": 10},
            {"line_item_id": format!("460000042{n:010}"), "item_id": "4600000270000000002", "quantity": 2, "rate": 10, "item_total": 20},
        ],
    })
}
