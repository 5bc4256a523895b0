//! What a test changes of an organization besides its records: the clock, the limits, the tokens and the habits.

use std::{sync::Arc, time::Duration};

use tds_core::clock::Clock;

use crate::sim::{Limits, ListHabit, SharedOrganization, TokenRules};

impl SharedOrganization {
    /// Uses this clock from now on. The default is the machine's clock.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        self.lock().clock = clock;
    }

    /// Moves the organization's clock ahead.
    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::ZERO);
        self.lock().clock_ahead += by;
    }

    /// Sets the limits. The counts continue.
    pub fn set_limits(&self, limits: Limits) {
        self.lock().traffic.limits = limits;
    }

    /// Sets the lifetime of access tokens. Tokens that were minted before keep their lifetime.
    pub fn set_token_rules(&self, rules: TokenRules) {
        self.lock().tokens.rules = rules;
    }

    /// Sets the duration of every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().traffic.latency = latency;
    }

    /// Sets how many ids `/itemdetails` accepts; the default is 200.
    pub fn set_max_item_ids(&self, ids: usize) {
        self.lock().max_item_ids = ids;
    }

    /// Sets how lists differ from the documentation.
    pub fn set_list_habit(&self, habit: ListHabit) {
        self.lock().list_habit = habit;
    }

    /// Ends every access token now.
    pub fn expire_tokens(&self) {
        self.lock().tokens.live.clear();
    }

    /// Revokes the refresh token (`true`), or restores it.
    pub fn revoke_refresh_token(&self, revoked: bool) {
        self.lock().tokens.revoked = revoked;
    }

    /// Starts a new day: the daily limit counts from zero, and a block ends.
    pub fn new_day(&self) {
        let mut organization = self.lock();
        organization.traffic.today = 0;
        organization.traffic.blocked_until = None;
    }
}
