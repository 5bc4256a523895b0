//! Everything the server knows, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tds_core::{Clock, SystemClock};
use time::OffsetDateTime;

use super::{faults::Script, list::ListHabit, organization::Organization, tokens::Tokens, traffic::Traffic};

/// The lock. A test that panicked while holding it does not take the others down.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

/// What stands behind it.
pub(crate) struct State {
    pub(crate) organization: Organization,
    pub(crate) tokens: Tokens,
    pub(crate) traffic: Traffic,
    pub(crate) script: Script,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_ahead: time::Duration,
    pub(crate) max_item_ids: usize,
    pub(crate) list_habit: ListHabit,
    pub(crate) api_domain: String,
}

impl Shared {
    pub(crate) fn new(api_domain: String) -> Self {
        Self(Arc::new(Mutex::new(State {
            organization: Organization::default(),
            tokens: Tokens::default(),
            traffic: Traffic::default(),
            script: Script::default(),
            clock: Arc::new(SystemClock),
            clock_ahead: time::Duration::ZERO,
            max_item_ids: 200,
            list_habit: ListHabit::default(),
            api_domain,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Now, by the organization's clock.
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now() + self.clock_ahead
    }
}
