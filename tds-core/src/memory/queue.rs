//! The workers' side of the queue.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore, later,
    settle::Effect,
    state::{Item, ItemClaim, State, WaiterEntry},
};
use crate::{
    error::Result,
    queue::{
        ClaimRequest, ClaimScope, Claimed, ItemId, ItemStatus, Lease, NewItem, Queue, Settled, Settlement,
        Waiter,
    },
    runs::RunId,
};

#[async_trait]
impl Queue for MemoryStore {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        let now = self.now();
        {
            let mut state = self.state();
            for item in items {
                state.enqueue(item, now);
            }
        }
        self.announce_work();
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let now = self.now();
        let mut state = self.state();
        let ids = state.claimable(request, now);
        Ok(ids.into_iter().filter_map(|id| state.claim_one(id, request, now)).collect())
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        let now = self.now();
        let mut state = self.state();
        let mut kept = Vec::with_capacity(leases.len());
        for held in leases {
            let Some(item) = state.items.get_mut(&held.id) else { continue };
            if item.claim.as_ref().is_some_and(|claim| claim.token == held.token) {
                item.lease_until(now, lease);
                kept.push(*held);
            }
        }
        Ok(kept)
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        let state = self.state();
        let is_held = |lease: &&Lease| {
            let claim = state.items.get(&lease.id).and_then(|item| item.claim.as_ref());
            claim.is_some_and(|claim| claim.token == lease.token)
        };
        Ok(leases.iter().filter(is_held).copied().collect())
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        for held in leases {
            let claim = state.items.get_mut(&held.id).and_then(|item| item.claim.as_mut());
            if let Some(claim) = claim.filter(|claim| claim.token == held.token) {
                claim.shown = true;
                state.refresh_waiters(held.id, now);
            }
        }
        Ok(())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        let now = self.now();
        let mut settled = Settled::default();
        {
            let mut state = self.state();
            for settlement in settlements {
                match state.settle_one(settlement, now) {
                    Effect::Fenced => settled.fenced += 1,
                    Effect::Ended => settled.accepted += 1,
                    Effect::Again => {
                        settled.accepted += 1;
                        settled.again += 1;
                    }
                }
            }
        }
        self.announce_work();
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
}

impl State {
    /// Returns due items in the order in which they are claimed: by lane, then by the time since which they are
    /// due. An item that lost its lease repeatedly is claimed alone.
    fn claimable(&self, request: &ClaimRequest, now: OffsetDateTime) -> Vec<ItemId> {
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

    fn claim_one(&mut self, id: ItemId, request: &ClaimRequest, now: OffsetDateTime) -> Option<Claimed> {
        let token = self.next_token();
        self.with_item(id, |item| {
            if let Some(lost) = item.claim.take() {
                item.lose_claim(&lost, now);
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
                retry_count: item.retry_count,
                lost_leases: item.lost_leases,
                queued_at: item.queued_at,
            }
        })
    }
}

impl Item {
    /// Returns true where the next claim of the item must contain no other item.
    fn is_suspect(&self) -> bool {
        self.lost_leases + u32::from(self.claim.is_some()) >= Claimed::SUSPECT_AFTER
    }
}
