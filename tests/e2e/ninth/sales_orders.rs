//! Sales orders, which TDS does not mirror: the descriptor, the migration of the mirror tables, and the line that adds
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

/// Returns the entity types of TDS and, in addition, sales orders.
pub(crate) fn entities() -> Entities {
    let sql = include_str!("sales_orders.sql");
    Entities {
        catalogue: Catalogue::default().with(&SALES_ORDERS),
        migrations: vec![FurtherMigration { name: "sales_orders", sql }],
    }
}

const LINES: &str = "sales_order_lines";

static SALES_ORDERS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("sales_orders"),
        head: Some("sales_orders"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.salesorders.READ",
    list: List { path: "/salesorders", keys: &["salesorders"], ..List::DOCUMENTS },
    detail: Detail::Single { path: "/salesorders", keys: &["salesorder"] },
    id_key: "salesorder_id",
    envelopes: &[("salesorder", "salesorder_id")],
    whole: &[
        &["salesorder_number"],
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
    // The predecessor accepted webhooks of orders, but nothing handled them.
    webhooks: Some(Webhooks { path: "sales-orders", predecessor: Some("orders") }),
    matters_most: true,
    simulated: Some(MODULE),
    sample: Some(sample),
    ..Descriptor::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["salesorder_number"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("total", &["total"]),
];

pub(crate) const MODULE: Module = Module {
    path: "salesorders",
    list_key: "salesorders",
    detail_key: "salesorder",
    id_key: "salesorder_id",
    noun: "Sales Order",
    sort_columns: [&["salesorder_number", "date", "total", "created_time"]; 2],
    detail_only: &["line_items"],
    ..Module::DOCUMENT
};

/// Returns a sales order with two lines.
pub(crate) fn sample(n: u64) -> Value {
    json!({
        "salesorder_id": format!("460000050{n:010}"),
        "salesorder_number": format!("SO-{n}"),
        "status": "open",
        "customer_id": "4600000260000000001",
        "customer_name": "Dijla Trading",
        "date": "2026-11-20",
        "currency_code": "USD",
        "total": 30,
        "line_items": [
            {"line_item_id": format!("460000051{n:010}"), "item_id": "4600000270000000001", "quantity": 1, "rate": 10, "item_total": 10},
            {"line_item_id": format!("460000052{n:010}"), "item_id": "4600000270000000002", "quantity": 2, "rate": 10, "item_total": 20},
        ],
    })
}
