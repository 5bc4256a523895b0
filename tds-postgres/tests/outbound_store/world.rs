//! A database with both directions, and helpers that write and read it as other programs do.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_core::{
    mirror::{Applied, Child, Mirror as _, MirrorSchema},
    outbound::{Mode, ModeChange, Modes as _, Outbox as _, Push},
    record::{EntityType, Read, RecordBuilder},
};
use tds_postgres::{PgMirror, PgStore, testkit::TestDatabase};
use time::{Duration, OffsetDateTime};

use crate::support::store;

pub(crate) const CUSTOMERS: MirrorSchema =
    MirrorSchema { entity: EntityType::from_static("customers"), head: Some("customers"), children: &[] };
pub(crate) const INVOICES: MirrorSchema = MirrorSchema {
    entity: EntityType::from_static("invoices"),
    head: Some("invoices"),
    children: &[Child { table: "invoice_lines", owner: "document_zoho_id", confirm_shrink: false }],
};
pub(crate) const LEVELS: MirrorSchema = MirrorSchema {
    entity: EntityType::from_static("stock"),
    head: None,
    children: &[Child { table: "stock_levels", owner: "product_zoho_id", confirm_shrink: false }],
};

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) store: PgStore,
    pub(crate) mirror: PgMirror,
}

/// Returns second `n` of the test's time.
pub(crate) fn at(n: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(n)
}

/// Returns a whole read of version `n`, and its child rows.
pub(crate) fn whole(schema: &MirrorSchema, id: &str, n: i64, columns: Value, rows: Vec<Value>) -> Read {
    let record = RecordBuilder::new(&schema.entity, id).version(at(n)).fields(columns);
    let record = match schema.children.first() {
        Some(child) => record.children(child.table, rows),
        None => record,
    };
    record.read(at(n), at(n) + Duration::milliseconds(500))
}

impl World {
    /// Creates a database whose entity types are written on both sides.
    pub(crate) async fn new() -> Self {
        let (database, store) = store().await;
        let world = Self { mirror: PgMirror::new(database.database().clone()), database, store };
        for entity in ["customers", "invoices", "products", "stock"] {
            world.set_mode(entity, Mode::Bidirectional).await;
        }
        world
    }

    pub(crate) async fn set_mode(&self, entity: &'static str, mode: Mode) {
        let entity = EntityType::from_static(entity);
        let change = ModeChange { entity, mode: Some(mode), policy: None, fields: None, epoch: None };
        self.store.set_mode(&change).await.expect("set");
    }

    /// Executes statements of another program, in one transaction.
    pub(crate) async fn run(&self, statements: &str) {
        self.database.execute(statements).await;
    }

    /// Returns the text that a statement selects; `None` for NULL.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let text = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        text.fetch_one(self.database.database()).await.expect("one text")
    }

    pub(crate) async fn apply(&self, schema: &MirrorSchema, read: Read) -> Applied {
        let applied = self.mirror.apply(schema, vec![read]).await.pop().expect("one result");
        applied.expect("applied")
    }

    pub(crate) async fn load(&self, schema: &MirrorSchema, local_id: i64) -> Push {
        self.store.load(schema, local_id).await.expect("loaded").expect("something is pending")
    }
}

/// Returns a customer as it was read.
pub(crate) fn customer(id: &str, n: i64, name: &str) -> Read {
    whole(&CUSTOMERS, id, n, json!({"name": name}), Vec::new())
}
