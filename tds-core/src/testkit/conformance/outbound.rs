//! Cases of [`crate::outbound::Outbox`], [`crate::outbound::Modes`] and [`crate::outbound::OutboxOperator`], and of the
//! mirror while local changes are pending.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

mod capture;
mod conflicts;
mod inbound;
mod links;
mod load;
mod modes;
mod operator;
mod settle;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use self::{capture::*, conflicts::*, inbound::*, links::*, load::*, modes::*, operator::*, settle::*};
use super::{
    harness::*,
    mirror::{INVOICE_SCHEMA, PRODUCT_SCHEMA, applied, apply, named},
};
use crate::{
    error::{ErrorKind, Result},
    ids::ItemId,
    mirror::{Applied, MirrorSchema},
    outbound::{
        ConflictPolicy, Earlier, EntityMode, EntryStatus, FieldConflict, Mode, ModeChange, Outbox,
        OutboxEntry, OutboxFilter, OutboxOperator, Push, Sending, Sent, Settled, Settlement, Side, Values,
    },
    record::{
        Cause, Content, EntityType, Fields, Origin, Read, RecordBuilder, RecordId, Shape, content_hash,
    },
};

const CUSTOMER_SCHEMA: MirrorSchema =
    MirrorSchema { entity: CUSTOMERS, head: Some("customers"), children: &[] };

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn names<const N: usize>(names: [&str; N]) -> Option<BTreeSet<String>> {
    Some(names.map(str::to_owned).into())
}

/// A change that shows nothing but its new direction.
fn to_mode(entity: EntityType, mode: Mode) -> ModeChange {
    ModeChange { entity, mode: Some(mode), policy: None, fields: None, epoch: None }
}

/// Returns the read of the answer of a push.
fn answered(read: Read) -> Read {
    let cause = Cause { item: ItemId(1), event: None, origin: Origin::Push, by_run: false };
    Read { cause: Some(cause), ..read }
}

/// Returns the create of a record, as it is about to be sent.
fn creation(push: &Push) -> Sending {
    let record = push.record.clone().expect("a record to create");
    let values = Values { fields: record.fields, children: record.children };
    let sent = Sent { creates: true, values, ..Sent::default() };
    Sending { sent, conflicts: Vec::new() }
}

/// Returns a conflict of a column.
fn conflict(field: &str, base: &str, target: &str, source: &str, winner: Option<Side>) -> FieldConflict {
    FieldConflict {
        field: field.to_owned(),
        base: json!(base),
        target: json!(target),
        source: json!(source),
        winner,
    }
}

/// A store with an outbox.
struct Outgoing<'a> {
    harness: &'a dyn Harness,
    stores: OutboundStores,
}

impl<'a> Outgoing<'a> {
    /// Returns the outbox of the store, with one mode for all entity types of the cases; `None` if it has no outbox.
    async fn of(harness: &'a dyn Harness, mode: Mode) -> Option<Self> {
        let stores = harness.stores().outbound.clone()?;
        let outgoing = Self { harness, stores };
        for entity in [PRODUCTS, INVOICES, CUSTOMERS] {
            outgoing.set_mode(entity, mode).await;
        }
        Some(outgoing)
    }

    fn outbox(&self) -> &dyn Outbox {
        self.stores.outbox.as_ref()
    }

    fn operator(&self) -> &dyn OutboxOperator {
        self.stores.operator.as_ref()
    }

    async fn set_mode(&self, entity: EntityType, mode: Mode) -> EntityMode {
        self.stores.modes.set_mode(&to_mode(entity, mode)).await.expect("the mode is set")
    }

    async fn insert(&self, schema: &MirrorSchema, columns: Value) -> i64 {
        self.harness.write_local(schema, None, fields(columns), None).await
    }

    async fn update(&self, schema: &MirrorSchema, local_id: i64, columns: Value) {
        assert_eq!(self.harness.write_local(schema, Some(local_id), fields(columns), None).await, local_id);
    }

    /// Replaces the lines of an invoice.
    async fn write_lines(&self, local_id: i64, rows: Vec<Value>) {
        let rows = rows.into_iter().map(fields).collect();
        self.harness.write_local(&INVOICE_SCHEMA, Some(local_id), Fields::new(), Some(rows)).await;
    }

    /// Applies a read of product 1, and returns its local id.
    async fn mirrored(&self, name: &str, version: i64) -> i64 {
        let read = named(name, version).fields(json!({"description": "of the source"}));
        applied(self.harness, &PRODUCT_SCHEMA, read.read(at(version * 10), at(version * 10 + 1))).await;
        self.local_id("1").await
    }

    /// Returns the local id of a product.
    async fn local_id(&self, id: &str) -> i64 {
        self.harness.local_id(&PRODUCT_SCHEMA, id).await.expect("a local id")
    }

    async fn load(&self, schema: &MirrorSchema, local_id: i64) -> Option<Push> {
        self.outbox().load(schema, local_id).await.expect("loaded")
    }

    async fn loaded(&self, schema: &MirrorSchema, local_id: i64) -> Push {
        self.load(schema, local_id).await.expect("something is pending")
    }

    async fn settle(&self, push: &Push, settlement: &Settlement) {
        self.outbox().settle(push, settlement).await.expect("settled");
    }

    /// Ends everything that is pending of a record.
    async fn pushed(&self, schema: &MirrorSchema, local_id: i64) {
        let push = self.loaded(schema, local_id).await;
        self.settle(&push, &Settlement::new(Settled::Pushed)).await;
    }

    /// Returns every entry, oldest first.
    async fn entries(&self) -> Vec<OutboxEntry> {
        let page = self.operator().entries(&OutboxFilter::default(), None, 100).await.expect("entries");
        let mut entries = page.items;
        entries.reverse();
        entries
    }

    /// Returns the fields of every entry, oldest first.
    async fn captured(&self) -> Vec<Option<BTreeSet<String>>> {
        self.entries().await.into_iter().map(|entry| entry.fields).collect()
    }

    /// Returns the name of a product.
    async fn name(&self, local_id: i64) -> Option<String> {
        self.harness.local_column(&PRODUCT_SCHEMA, local_id, "name").await
    }

    async fn description(&self, local_id: i64) -> Option<String> {
        self.harness.local_column(&PRODUCT_SCHEMA, local_id, "description").await
    }
}

/// Returns the name of a product in the base of a push.
/// Returns the name in the last common state.
fn common_name(push: &Push) -> Option<String> {
    let is_of_it = |state: &&Earlier| state.names.as_ref().is_none_or(|names| names.contains("name"));
    let earlier = push.earlier.iter().find(is_of_it).map(|state| state.raw.as_str());
    let raw = earlier.or(push.base.as_ref().map(|(raw, _)| raw.as_str()))?;
    let body: Value = serde_json::from_str(raw).expect("JSON");
    body["fields"]["name"].as_str().map(str::to_owned)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("refused").kind()
}
