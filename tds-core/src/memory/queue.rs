//! The workers' side of the queue.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    MemoryStore, later,
    state::{Item, ItemClaim, State, WaiterEntry},
};
use crate::{
    error::Result,
    queue::{
        AttemptResult, ClaimRequest, ClaimScope, Claimed, ItemId, ItemStatus, Lease, NewItem, Queue, Settled,
        Settlement, Waiter,
    },
    runs::RunId,
};

#[async_trait]
impl Queue for MemoryStore {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.change(|state| items.into_iter().for_each(|item| state.enqueue(item)));
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let mut state = self.state();
        let ids = state.claimable(request);
        Ok(ids.into_iter().filter_map(|id| state.claim_one(id, request)).collect())
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        let mut state = self.state();
        let expires_at = later(state.now.0, lease);
        let mut kept = Vec::with_capacity(leases.len());
        for held in leases {
            if let Some(claim) = state.claim_of(*held) {
                claim.expires_at = expires_at;
                kept.push(*held);
            }
        }
        Ok(kept)
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        let mut state = self.state();
        Ok(leases.iter().copied().filter(|lease| state.claim_of(*lease).is_some()).collect())
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        let mut state = self.state();
        for held in leases {
            if let Some(claim) = state.claim_of(*held) {
                claim.shown = true;
                state.refresh_waiters(held.id);
            }
        }
        Ok(())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        let mut settled = Settled::default();
        self.change(|state| {
            for settlement in settlements {
                state.settle_one(settlement, &mut settled);
            }
        });
        Ok(settled)
    }

    async fn wait(&self, timeout: Duration) {
        // The timeout is the normal case.
        let _ = tokio::time::timeout(timeout, self.shared.work.notified()).await;
    }
}

impl Item {
    fn is_in(&self, scope: &ClaimScope) -> bool {
        let waits = |runs: &Vec<RunId>| {
            let of_these =
                |entry: &WaiterEntry| matches!(entry.waiter, Waiter::Run(run) if runs.contains(&run));
            self.waiters.iter().any(of_these)
        };
        scope.runs.as_ref().is_none_or(waits) && (!scope.carried || self.work.payload.is_some())
    }

    /// Returns true if the next claim of the item must contain no other item.
    fn is_suspect(&self) -> bool {
        self.lost_leases + u32::from(self.claim.is_some()) >= Claimed::SUSPECT_AFTER
    }
}

impl State {
    /// Returns the claim of a lease, if the lease is still held.
    fn claim_of(&mut self, lease: Lease) -> Option<&mut ItemClaim> {
        let claim = self.items.get_mut(&lease.id)?.claim.as_mut()?;
        (claim.token == lease.token).then_some(claim)
    }

    /// Returns due items in the order in which they are claimed: by lane, then by the time since which they are
    /// due. An item that lost its lease repeatedly is claimed alone.
    fn claimable(&self, request: &ClaimRequest) -> Vec<ItemId> {
        let now = self.now.0;
        let free = |item: &&Item| {
            item.is_in(&request.scope)
                && !self.paused.contains_key(&item.key.entity)
                && item.claim.as_ref().is_none_or(|claim| claim.expires_at <= now)
        };
        let urgent = self.due.iter().take_while(|(lane, ..)| *lane <= request.up_to.priority());
        let due = urgent.filter(|(_, run_at, _)| *run_at <= now);
        let (mut suspect, mut plain): (Option<&Item>, Vec<ItemId>) = (None, Vec::new());
        for item in due.filter_map(|(_, _, id)| self.items.get(id)).filter(free) {
            if item.is_suspect() {
                suspect = suspect.or(Some(item));
            } else if plain.len() < request.limit {
                plain.push(item.id);
            } else {
                break;
            }
        }
        let waited = |item: &&Item| plain.is_empty() || item.run_at <= now - time::Duration::MINUTE;
        match suspect.filter(waited) {
            Some(suspect) => vec![suspect.id],
            None => plain,
        }
    }

    fn claim_one(&mut self, id: ItemId, request: &ClaimRequest) -> Option<Claimed> {
        let (token, now) = (self.next_token(), self.now.0);
        self.with_item(id, |item| {
            if let Some(lost) = item.claim.take() {
                // A lost lease costs no attempt, and is counted separately.
                item.lost_leases += 1;
                let error = "the worker died or stopped renewing its lease".to_owned();
                item.push_attempt(&lost, AttemptResult::LeaseLost, Some(error), now);
            }
            item.claim = Some(ItemClaim {
                token,
                worker: request.worker.clone(),
                expires_at: later(now, request.lease),
                source_event: item.source_event,
                shown: false,
            });
            item.status = ItemStatus::Processing;
            item.started_at = Some(now);
            item.new_work_since = None;
            item.hurried = false;
            Claimed {
                id,
                token,
                generation: item.generation,
                key: item.key.clone(),
                lane: item.lane,
                work: item.work.clone(),
                source_event: item.source_event,
                retry_count: item.retry_count,
                lost_leases: item.lost_leases,
                queued_at: item.queued_at,
            }
        })
    }
}
