//! Helpers that build reads and query tables.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_core::{
    error::Result,
    mirror::{Applied, Child, Mirror as _, MirrorSchema},
    record::{
        Content, EntityType, Fields, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
    },
};
use tds_postgres::{PgMirror, testkit::TestDatabase};
use time::{Duration, OffsetDateTime};

pub(crate) fn invoices() -> MirrorSchema {
    schema("invoices", Some("invoices"), &LINES)
}

pub(crate) fn prices() -> MirrorSchema {
    schema("prices", Some("price_lists"), &ITEMS)
}

pub(crate) fn stock() -> MirrorSchema {
    schema("stock", None, &LEVELS)
}

const LINES: [Child; 1] = [child("invoice_lines", "document_zoho_id", false)];
const ITEMS: [Child; 1] = [child("price_list_items", "price_list_zoho_id", true)];
const LEVELS: [Child; 1] = [child("stock_levels", "product_zoho_id", false)];

const fn child(table: &'static str, owner: &'static str, confirm_shrink: bool) -> Child {
    Child { table, owner, confirm_shrink }
}

fn schema(entity: &'static str, head: Option<&'static str>, children: &'static [Child]) -> MirrorSchema {
    MirrorSchema { entity: EntityType::from_static(entity), head, children }
}

/// Returns second `n` of the test's time.
pub(crate) fn at(n: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(n)
}

/// Returns a call that began at second `n` and lasted half a second.
pub(crate) fn call(n: i64) -> Observed {
    Observed::Call(Interval { began: at(n), ended: at(n) + Duration::milliseconds(500) })
}

/// A read under construction. It starts as a detail of version `n` that was seen at second `n`.
#[derive(Clone)]
pub(crate) struct Make(pub(crate) Read);

pub(crate) fn detail(schema: &MirrorSchema, id: &str, n: i64, fields: Value) -> Make {
    let key = RecordKey::new(schema.entity.clone(), RecordId::new(id));
    let record = Record {
        entity: key.entity.clone(),
        id: key.id.clone(),
        version: Some(at(n)),
        moves: None,
        cut: std::collections::BTreeSet::new(),
        raw: Payload::new(json!({"id": id, "seen": n, "fields": fields}).to_string()),
        fields: columns(fields),
        volatile: Fields::new(),
        children: BTreeMap::new(),
    };
    let content = Content::Present(Box::new(record));
    Make(Read {
        key,
        shape: Shape::Detail,
        observed: call(n),
        content,
        listed: None,
        follow: None,
        cause: None,
    })
}

pub(crate) fn absent(schema: &MirrorSchema, id: &str, n: i64) -> Read {
    Read { content: Content::Absent, ..detail(schema, id, n, json!({})).0 }
}

pub(crate) fn columns(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

impl Make {
    fn record(&mut self) -> &mut Record {
        match &mut self.0.content {
            Content::Present(record) => record,
            Content::Absent => panic!("no record"),
        }
    }

    pub(crate) fn shape(mut self, shape: Shape) -> Self {
        self.0.shape = shape;
        self
    }

    pub(crate) fn seen(mut self, observed: Observed) -> Self {
        self.0.observed = observed;
        self
    }

    pub(crate) fn volatile(mut self, fields: Value) -> Self {
        self.record().volatile = columns(fields);
        self
    }

    pub(crate) fn raw(mut self, text: &str) -> Self {
        self.record().raw = Payload::new(text);
        self
    }

    pub(crate) fn rows(mut self, table: &str, rows: impl IntoIterator<Item = Value>) -> Self {
        self.record().children.insert(table.to_owned(), rows.into_iter().map(columns).collect());
        self
    }
}

/// A database with a mirror.
pub(crate) struct Case {
    pub(crate) test: TestDatabase,
    pub(crate) mirror: PgMirror,
}

impl Case {
    pub(crate) async fn new() -> Self {
        let test = TestDatabase::new().await;
        let mirror = PgMirror::new(test.database().clone());
        Self { test, mirror }
    }

    pub(crate) async fn apply(&self, schema: &MirrorSchema, read: impl Into<Read>) -> Result<Applied> {
        self.mirror.apply(schema, vec![read.into()]).await.pop().expect("one result")
    }

    /// Returns one text. "∅" stands for NULL and for a missing row.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        let value: Option<Option<String>> =
            sqlx::query_scalar(sql).fetch_optional(self.test.database()).await.expect("answers");
        value.flatten().unwrap_or_else(|| "∅".to_owned())
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.test.database()).await.expect("executes");
    }
}

impl From<Make> for Read {
    fn from(make: Make) -> Self {
        make.0
    }
}
