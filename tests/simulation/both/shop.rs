//! The records at the source. The source derives totals, spells notes in its own way, and moves stock by itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tds_core::{
    lock::lock,
    mirror::{Child, MirrorSchema},
    record::{EntityType, Fields, Record, RecordBuilder},
};
use time::OffsetDateTime;

use super::journal::{Journal, serial_of};

pub(crate) const PRODUCTS: EntityType = EntityType::from_static("products");
pub(crate) const ORDERS: EntityType = EntityType::from_static("orders");
pub(crate) const LINES: &str = "order_lines";

pub(crate) static SCHEMAS: [MirrorSchema; 2] = [
    MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] },
    MirrorSchema {
        entity: ORDERS,
        head: Some("orders"),
        children: &[Child { table: LINES, owner: "order_zoho_id", confirm_shrink: false }],
    },
];

/// The columns that users edit, by entity type.
pub(crate) const COLUMNS: [[&str; 2]; 2] = [["name", "note"], ["number", "note"]];

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: usize,
    /// The key of the target, if the record was created by a push.
    pub(crate) key: Option<String>,
    pub(crate) version: i64,
    pub(crate) fields: Fields,
    /// The lines, each with its id.
    pub(crate) lines: Vec<Fields>,
    pub(crate) stock: u64,
}

/// All records.
#[derive(Default)]
pub(crate) struct Shop {
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) journal: Journal,
    /// When a push of each process last searched for each key.
    pub(crate) searched: BTreeMap<(u64, String), OffsetDateTime>,
    /// When a push of each process last read each record.
    pub(crate) read: BTreeMap<(u64, u64), OffsetDateTime>,
    last_id: u64,
    stocks: u64,
}

pub(crate) type Shops = Arc<Mutex<Shop>>;

pub(crate) fn open(shops: &Shops) -> MutexGuard<'_, Shop> {
    lock(shops)
}

impl Shop {
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Moves a stock, which is nobody's edit and no new version.
    pub(crate) fn sell(&mut self, id: u64) {
        self.stocks += 1;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stock = self.stocks;
        }
    }

    pub(crate) fn ids(&self, kind: usize) -> Vec<u64> {
        self.entries.iter().filter(|(_, entry)| entry.kind == kind).map(|(id, _)| *id).collect()
    }

    pub(crate) fn find(&self, key: &str) -> Option<u64> {
        self.entries.iter().find(|(_, entry)| entry.key.as_deref() == Some(key)).map(|(id, _)| *id)
    }

    /// Returns true if an order names a product.
    pub(crate) fn is_used(&self, product: u64) -> bool {
        let id = json!(product.to_string());
        self.entries.values().any(|entry| entry.fields.get("product_zoho_id") == Some(&id))
    }
}

impl Entry {
    /// Returns the record as the source shows it.
    pub(crate) fn record(&self, id: u64) -> Record {
        let version = OffsetDateTime::from_unix_timestamp(self.version).expect("a time");
        let mut fields = self.fields.clone();
        if let Some(note) = fields.get_mut("note") {
            *note = json!(note.as_str().unwrap_or_default().to_uppercase());
        }
        let mut total = 0;
        let lines: Vec<Value> = self
            .lines
            .iter()
            .zip(1_u64..)
            .map(|(line, position)| {
                let amount = line_total(line);
                total += amount;
                let mut line = line.clone();
                line.insert("total".into(), amount.into());
                line.insert("position".into(), position.into());
                Value::Object(line)
            })
            .collect();
        let schema = &SCHEMAS[self.kind];
        let record = RecordBuilder::new(&schema.entity, &id.to_string()).version(version);
        if schema.children.is_empty() {
            return record.fields(Value::Object(fields)).volatile(json!({"stock": self.stock})).build();
        }
        fields.insert("total".into(), total.into());
        record.fields(Value::Object(fields)).children(LINES, lines).build()
    }
}

/// Returns what the source derives of a line.
fn line_total(line: &Fields) -> u64 {
    let value = |name: &str| line.get(name).and_then(serial_of).unwrap_or_default();
    (value("quantity") * value("rate")) % 1_000_000
}
