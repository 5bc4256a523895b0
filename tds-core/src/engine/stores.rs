//! The ports that an engine works on.

use std::sync::Arc;

use super::Schedule;
use crate::{
    limits::shared_state::SharedState,
    mirror::Mirror,
    outbound::{Modes, Outbox, OutboxOperator},
    queue::Queue,
    runs::{SyncRun, SyncRunOperator},
    verify::{MoneyCheck, VerifyOperator, VerifyStore},
};

/// The ports of the stores that an engine works on.
#[derive(Clone)]
pub struct Stores {
    /// The queue of items.
    pub queue: Arc<dyn Queue>,
    /// The runs to execute.
    pub runs: Arc<dyn SyncRun>,
    /// The runs to create and to look up.
    pub run_operator: Arc<dyn SyncRunOperator>,
    /// The state of schedules.
    pub schedule: Arc<dyn Schedule>,
    /// The documents that processes share.
    pub shared: Arc<dyn SharedState>,
    /// The mirror that records are written to.
    pub mirror: Arc<dyn Mirror>,
    /// What verifications keep; `None` if the stores know no verifications. Runs of that type are then refused.
    pub verify: Option<VerifyStores>,
    /// The outbox of local changes; `None` if the stores know none. The target then only follows the source.
    pub outbound: Option<OutboundStores>,
}

/// The ports of outbound work.
#[derive(Clone)]
pub struct OutboundStores {
    /// The outbox.
    pub outbox: Arc<dyn Outbox>,
    /// The modes of the entity types.
    pub modes: Arc<dyn Modes>,
    /// The outbox and the conflicts, as operators use them.
    pub operator: Arc<dyn OutboxOperator>,
}

/// The ports of verifications.
#[derive(Clone)]
pub struct VerifyStores {
    /// What the runs of verifications keep.
    pub store: Arc<dyn VerifyStore>,
    /// The verifications and their reports.
    pub operator: Arc<dyn VerifyOperator>,
    /// The checks of money, if the target has any.
    pub money: Option<Arc<dyn MoneyCheck>>,
}

impl Stores {
    /// Creates the ports from one store for everything but the mirror. The mirror may be another store.
    #[must_use]
    pub fn new<S>(store: &S, mirror: impl Mirror + 'static) -> Self
    where
        S: Queue + SyncRun + SyncRunOperator + Schedule + SharedState + Clone + 'static,
    {
        let store = Arc::new(store.clone());
        Self {
            queue: store.clone(),
            runs: store.clone(),
            run_operator: store.clone(),
            schedule: store.clone(),
            shared: store,
            mirror: Arc::new(mirror),
            verify: None,
            outbound: None,
        }
    }

    /// Adds the ports of verifications from one store, without checks of money.
    #[must_use]
    pub fn verifying<S: VerifyStore + VerifyOperator + Clone + 'static>(self, store: &S) -> Self {
        let store = Arc::new(store.clone());
        self.with_verify(VerifyStores { store: store.clone(), operator: store, money: None })
    }

    /// Adds the ports of outbound work from one store.
    #[must_use]
    pub fn outbound<S: Outbox + Modes + OutboxOperator + Clone + 'static>(mut self, store: &S) -> Self {
        let store = Arc::new(store.clone());
        self.outbound = Some(OutboundStores { outbox: store.clone(), modes: store.clone(), operator: store });
        self
    }

    /// Adds the ports of verifications.
    #[must_use]
    pub fn with_verify(mut self, verify: VerifyStores) -> Self {
        self.verify = Some(verify);
        self
    }
}
