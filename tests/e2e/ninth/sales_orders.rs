//! Sales orders, which TDS does not mirror: the descriptor, the migration of the mirror tables, and the line that adds
//! both.

use serde_json::{Map, Value, json};
use tds_core::{
    error::Result,
    mirror::{Child, MirrorSchema},
    record::EntityType,
};
use tds_postgres::FurtherMigration;
use tds_server::Entities;
use tds_zoho::entities::{
    Api, Catalogue, Column, Descriptor, Detail, Draft, FILTERED, List, Module, Polling, Role, TIMES,
    Webhooks,
    column::{date, decimal, id, text},
    read_document,
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
    schema: MirrorSchema {
        entity: EntityType::from_static("sales_orders"),
        head: Some("sales_orders"),
        children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
    },
    api: Api::Books,
    scope: "ZohoBooks.salesorders.READ",
    list: List {
        path: "/salesorders",
        query: &[("filter_by", "Status.All")],
        keys: &["salesorders"],
        by_creation: true,
        changes: FILTERED,
        ids_only: |_| false,
    },
    detail: Detail::Single { path: "/salesorders", keys: &["salesorder"] },
    id_key: "salesorder_id",
    envelopes: &[("salesorder", "salesorder_id")],
    role: Role::Document,
    versioned: true,
    needs_detail: true,
    detail_max_age: None,
    sibling: None,
    whole: &[
        &["salesorder_number"],
        &["status"],
        &["customer_id"],
        &["date"],
        &["total"],
        &["line_items"],
        &["last_modified_time"],
    ],
    columns: &[(&["sales_order"], COLUMNS), (&["sales_order"], TIMES)],
    read,
    // The predecessor accepted webhooks of orders, but nothing handled them.
    webhooks: Webhooks { path: "sales-orders", predecessor: Some("orders") },
    polling: Polling::Changes,
    matters_most: true,
    simulated: Some(MODULE),
    sample: Some(sample),
};

const COLUMNS: &[Column] = &[
    text("number", &["salesorder_number"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("total", &["total"]),
];

fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    read_document(COLUMNS, LINES, record, draft)
}

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
