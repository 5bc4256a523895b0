//! Mirrors that write what they must not write.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use serde_json::Value;
use tds_core::{
    error::Result,
    guard::SyncState,
    memory::MemoryStore,
    mirror::{Applied, Mirror, MirrorSchema},
    record::{Content, EntityType, Interval, Observed, Read, RecordId, Shape},
    testkit::conformance::Stores,
};
use time::macros::datetime;

use crate::memory::Memory;

/// A mirror that changes each read before it is applied.
struct Distorting {
    store: MemoryStore,
    distort: fn(&mut Read, i64),
    reads: AtomicI64,
}

#[async_trait]
impl Mirror for Distorting {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.store.states(entity, ids).await
    }

    async fn kept(&self, read: Read) -> Result<Read> {
        self.store.kept(read).await
    }

    async fn apply(&self, schema: &MirrorSchema, mut reads: Vec<Read>) -> Vec<Result<Applied>> {
        for read in &mut reads {
            (self.distort)(read, self.reads.fetch_add(1, Ordering::Relaxed));
        }
        self.store.apply(schema, reads).await
    }
}

fn distorting(intact: &Memory, stores: &mut Stores, distort: fn(&mut Read, i64)) {
    stores.mirror =
        Arc::new(Distorting { store: intact.store.clone(), distort, reads: AtomicI64::default() });
}

/// Writes whatever read comes last, however old the read is.
pub(super) fn gullible(intact: &Memory, stores: &mut Stores) {
    distorting(intact, stores, |read, number| {
        let at = datetime!(2200-01-01 00:00 UTC) + time::Duration::minutes(number);
        read.observed = Observed::Call(Interval { began: at, ended: at });
        if let Content::Present(record) = &mut read.content {
            record.version = Some(at);
        }
    });
}

/// Clears the columns that a list row does not show.
pub(super) fn forgetful(intact: &Memory, stores: &mut Stores) {
    distorting(intact, stores, |read, _| {
        if let (Shape::List, Content::Present(record)) = (read.shape, &mut read.content) {
            for column in ["name", "description", "rate", "sku"] {
                record.fields.entry(column).or_insert(Value::Null);
            }
        }
    });
}
