//! What a monitor learns of the client: each call to Zoho when it ends, and the access token.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::ZohoClient;
pub use crate::auth::TokenRefresh;
use crate::{
    answer::{Api, Call},
    error::Fault,
};

/// A call to Zoho that has ended. The paths and ids of the call are not part of it.
#[derive(Clone, Copy, Debug)]
pub struct EndedCall {
    /// The product: `books` or `inventory`.
    pub product: &'static str,
    /// `ok`, or the kind of the fault: one of [`EndedCall::RESULTS`].
    pub result: &'static str,
    /// The time from sending the request to the last byte of the answer. Waits for permits are not part of it.
    pub elapsed: Duration,
}

impl EndedCall {
    /// All products.
    pub const PRODUCTS: [&str; 2] = [Api::Books.name(), Api::Inventory.name()];
    /// All results.
    pub const RESULTS: [&str; 13] = {
        let mut results = ["ok"; 13];
        let mut at = 0;
        while at < Fault::NAMES.len() {
            results[at + 1] = Fault::NAMES[at];
            at += 1;
        }
        results
    };
}

/// A function that gets each call when it ends. It must not block.
pub type CallWatch = Arc<dyn Fn(EndedCall) + Send + Sync>;

/// The function that gets each call, if there is one.
#[derive(Default)]
pub(super) struct Watch(OnceLock<CallWatch>);

impl Watch {
    pub(super) fn ended(&self, call: &Call, result: &'static str, elapsed: Duration) {
        if let Some(watch) = self.0.get() {
            watch(EndedCall { product: call.api.name(), result, elapsed });
        }
    }
}

/// The access token of a process, without its value.
#[derive(Clone, Copy, Debug)]
pub struct TokenFigures {
    /// The number of refreshes that this process requested from Zoho, by result, since the process started.
    pub refreshes: [(TokenRefresh, u64); TokenRefresh::ALL.len()],
    /// The time for which the current token is still accepted; `None` if this process has no token.
    pub expires_in: Option<Duration>,
    /// True while this process has no token that works, and calls wait for one.
    pub is_missing: bool,
}

impl ZohoClient {
    /// Sets the function that gets each call of this client and of its clones when the call ends. Only the first
    /// function is kept.
    pub fn watch_calls(&self, watch: CallWatch) {
        if self.inner.watch.0.set(watch).is_err() {
            tracing::debug!("the calls of this client are already watched");
        }
    }

    /// Returns what a monitor may know of the access token. Nothing is sent, neither to Zoho nor to the store.
    #[must_use]
    pub fn token_figures(&self) -> TokenFigures {
        let tokens = &self.inner.tokens;
        TokenFigures {
            refreshes: tokens.refreshes(),
            expires_in: tokens.expires_in(),
            is_missing: tokens.is_missing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_result_of_its_own() {
        let mut results = EndedCall::RESULTS.to_vec();
        results.sort_unstable();
        results.dedup();
        assert_eq!(results.len(), Fault::NAMES.len() + 1);
    }
}
