//! The store as one process reaches it: through its gate, with faults, and with the planted bug.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    guard::SyncState,
    memory::MemoryStore,
    mirror::{Applied, Difference, Mirror, MirrorSchema},
    outbound::{Outbox, Push, Sending, Sent, Settlement},
    queue::{
        ClaimRequest, Claimed, Lease, NewItem, Queue, Settled as SettledItems, Settlement as ItemSettlement,
    },
    record::{Content, EntityType, Read, RecordId, Shape},
};

use super::{bugs::Bug, shop::SCHEMAS};
use crate::{process::Process, world::World};

/// The store of one process.
#[derive(Clone)]
pub(crate) struct Gated {
    pub(crate) inner: MemoryStore,
    pub(crate) process: Arc<Process>,
    pub(crate) world: Arc<World>,
    pub(crate) bug: Option<Bug>,
}

impl Gated {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

#[async_trait]
impl Queue for Gated {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.process.call("enqueue", self.inner.enqueue(items)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        self.process.call("claim", self.inner.claim(request)).await
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        self.process.call("renew", self.inner.renew(leases, lease)).await
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        self.process.call("held", self.inner.held(leases)).await
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        self.process.call("mark_processing", self.inner.mark_processing(leases)).await
    }

    async fn settle(&self, mut settlements: Vec<ItemSettlement>) -> Result<SettledItems> {
        for settlement in settlements.iter_mut().filter(|_| self.has(Bug::RelayForgetful)) {
            settlement.generation = i64::MAX;
        }
        for settlement in &settlements {
            self.world.note("settling", [settlement.lease.id.0.cast_unsigned(), 0], || {
                format!("{} {:?}", settlement.lease.id, settlement.settle)
            });
        }
        self.process.call("settle", Queue::settle(&self.inner, settlements)).await
    }

    async fn wait(&self, timeout: Duration) {
        Queue::wait(&self.inner, timeout).await;
        self.process.gate().await;
    }
}

#[async_trait]
impl Mirror for Gated {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.process.call("states", self.inner.states(entity, ids)).await
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        self.process.call("compare", self.inner.compare(schema, reads)).await
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let count = reads.len();
        let effect = async {
            let mut results = Vec::with_capacity(count);
            for read in reads {
                let shown = read.clone();
                let result = self.inner.apply(schema, vec![read]).await.pop().expect("one result");
                self.world.note("apply", [self.process.number, 0], || {
                    format!("{} {:?} {} {result:?}", shown.key, shown.version(), shown.origin())
                });
                if self.has(Bug::PendingOverwritten) && matches!(result, Ok(Applied::Done(_))) {
                    self.overwrite(&shown);
                }
                results.push(result);
            }
            Ok(results)
        };
        match self.process.call("apply", effect).await {
            Ok(results) => results,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }
}

impl Gated {
    /// Writes every column of a read, whatever is pending.
    fn overwrite(&self, read: &Read) {
        let Content::Present(record) = &read.content else { return };
        for (column, value) in &record.fields {
            self.inner.edit(&read.key.entity, &read.key.id, column, value.clone());
        }
    }

    /// Puts what was read last in the place of the base.
    fn newest_base(&self, push: &mut Push) {
        let id = push.link.remote_id.as_ref();
        let row = id.and_then(|id| self.inner.row(&push.entity, id));
        if let (Some(row), Some(_)) = (row, &push.base) {
            push.base = Some((row.raw, Shape::Detail));
            push.earlier.clear();
        }
    }
}

#[async_trait]
impl Outbox for Gated {
    async fn relay(&self, limit: usize) -> Result<usize> {
        self.process.call("relay", self.inner.relay(limit)).await
    }

    async fn load(&self, schema: &MirrorSchema, local_id: i64) -> Result<Option<Push>> {
        let mut push = self.process.call("load", Outbox::load(&self.inner, schema, local_id)).await?;
        if let Some(push) = push.as_mut().filter(|_| self.has(Bug::BaseTooNew)) {
            self.newest_base(push);
        }
        self.world.note("loaded", [self.process.number, local_id.cast_unsigned()], || format!("{push:?}"));
        Ok(push)
    }

    async fn sending(&self, push: &Push, sending: &Sending) -> Result<()> {
        let mut sending = sending.clone();
        sending.sent.creates &= !self.has(Bug::DoubtForgotten);
        if self.has(Bug::LosersForgotten) {
            sending.conflicts.clear();
        }
        if self.has(Bug::SentForgotten) {
            sending.sent = Sent { creates: sending.sent.creates, ..Sent::default() };
        }
        self.world.note("sending", [push.local_id.cast_unsigned(), 0], || {
            format!("{} {} {sending:?}", push.entity, push.local_id)
        });
        self.process.call("sending", self.inner.sending(push, &sending)).await
    }

    async fn not_created(&self, push: &Push) -> Result<()> {
        self.process.call("not_created", self.inner.not_created(push)).await
    }

    async fn linked(&self, push: &Push, id: &RecordId) -> Result<()> {
        if self.has(Bug::LinkForgotten) {
            return self.inner.not_created(push).await;
        }
        self.process.call("linked", self.inner.linked(push, id)).await
    }

    async fn settle(&self, push: &Push, settlement: &Settlement) -> Result<()> {
        let (mut push, mut settlement) = (push.clone(), settlement.clone());
        if self.has(Bug::LosersForgotten) {
            settlement.conflicts.clear();
        }
        let effect = async {
            let schema = SCHEMAS.iter().find(|schema| schema.entity == push.entity).expect("a known type");
            if self.has(Bug::CapturedDropped)
                && let Some(now) = Outbox::load(&self.inner, schema, push.local_id).await?
            {
                let all: BTreeSet<_> = push.changes.iter().chain(&now.changes).copied().collect();
                push.changes = all.into_iter().collect();
            }
            self.world.note("pushed", [push.local_id.cast_unsigned(), 0], || {
                format!("{} {} {settlement:?}", push.entity, push.local_id)
            });
            Outbox::settle(&self.inner, &push, &settlement).await
        };
        self.process.call("settle push", effect).await
    }

    async fn wait(&self, timeout: Duration) {
        Outbox::wait(&self.inner, timeout).await;
        self.process.gate().await;
    }
}
