//! Distinguishes an expired token from a scope that the token never had. Zoho answers code 57 in both cases.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tds_core::{lock::lock, retry::doubled};
use tokio::time::Instant;

use crate::{
    answer::{Api, Call},
    error::Words,
};

/// The time for which no other token is minted for a resource after a fresh token was refused for it as well.
const DENIED_FOR: Duration = Duration::from_secs(600);
/// The time for which no other token is minted for any resource after a fresh token was refused, unless a call
/// works. Each further refusal of a fresh token doubles this time, up to [`DENIED_FOR`]. Zoho allows ten tokens in
/// ten minutes, for all processes together. A process that spends these tokens while every call is refused has none
/// when the refusals end.
const FRUITLESS_FOR: Duration = Duration::from_secs(120);
/// A resource that worked within this time does not lack its scope.
const WORKED_WITHIN: Duration = Duration::from_secs(3600);

/// What is known about each resource.
#[derive(Default)]
pub(super) struct Access {
    resources: Mutex<HashMap<(Api, String), Seen>>,
    fruitless: Mutex<Option<Fruitless>>,
}

/// Fresh tokens that were refused since the last call that worked.
#[derive(Clone, Copy)]
struct Fruitless {
    /// The number of the last of these tokens.
    number: u64,
    times: u32,
    since: Instant,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    worked: Option<Instant>,
    denied: Option<Instant>,
}

impl Access {
    /// Records that Zoho accepted the call.
    pub(super) fn worked(&self, call: &Call) {
        let seen = Seen { worked: Some(Instant::now()), denied: None };
        lock(&self.resources).insert(resource(call), seen);
        *lock(&self.fruitless) = None;
    }

    /// Records that a token is refused that was minted because another one had been refused.
    pub(super) fn is_fruitless(&self, number: u64) {
        let mut fruitless = lock(&self.fruitless);
        if fruitless.is_none_or(|last| last.number != number) {
            let times = fruitless.map_or(0, |last| last.times).saturating_add(1);
            *fruitless = Some(Fruitless { number, times, since: Instant::now() });
        }
    }

    /// Returns true if another token would not help.
    pub(super) fn is_denied(&self, call: &Call) -> bool {
        let denied = lock(&self.resources).get(&resource(call)).and_then(|seen| seen.denied);
        denied.is_some_and(|at| at.elapsed() < DENIED_FOR)
            || lock(&self.fruitless).is_some_and(|last| last.since.elapsed() < last.wait())
    }

    /// Records that Zoho refused the call although its token is new. Returns the meaning in words.
    pub(super) fn denied(&self, call: &Call, words: &Words) -> String {
        let mut resources = lock(&self.resources);
        let seen = resources.entry(resource(call)).or_default();
        if seen.worked.is_some_and(|at| at.elapsed() < WORKED_WITHIN) {
            return format!("{words}; a new token was refused too");
        }
        // The time counts from the first refusal, so that a new token is tried from time to time: the scope may
        // have been granted since.
        if seen.denied.is_none_or(|at| at.elapsed() >= DENIED_FOR) {
            seen.denied = Some(Instant::now());
        }
        format!(
            "{words}; a new token was refused too: most likely the refresh token lacks the scope {}, or the plan \
             does not include the product. Make a refresh token that has the scope and set it",
            call.needed_scope()
        )
    }
}

impl Fruitless {
    fn wait(self) -> Duration {
        doubled(FRUITLESS_FOR, self.times.saturating_sub(1), DENIED_FOR)
    }
}

fn resource(call: &Call) -> (Api, String) {
    (call.api, call.resource())
}

#[cfg(test)]
mod tests {
    use tds_core::queue::Lane;

    use super::*;
    use crate::error::{Fault, judge};

    fn words() -> Words {
        match judge(401, br#"{"code":57,"message":"You are not authorized to perform this operation"}"#) {
            Err(Fault::Token(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    fn call(path: &str) -> Call {
        let scope = "ZohoBooks.contacts.READ";
        Call {
            api: Api::Books,
            scope,
            path: path.to_owned(),
            query: Vec::new(),
            lane: Lane::Full,
            entity: None,
            write: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_never_worked_lacks_its_scope_and_costs_no_more_tokens() {
        let access = Access::default();
        assert!(access.denied(&call("/contacts/1"), &words()).contains("ZohoBooks.contacts.READ"));
        assert!(access.is_denied(&call("/contacts")) && !access.is_denied(&call("/bills")));
        tokio::time::advance(DENIED_FOR).await;
        assert!(!access.is_denied(&call("/contacts")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_worked_is_tried_again() {
        let access = Access::default();
        access.worked(&call("/contacts"));
        assert!(!access.denied(&call("/contacts"), &words()).contains("scope"));
        assert!(!access.is_denied(&call("/contacts")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_in_which_fresh_tokens_are_refused_costs_few_of_them() {
        let access = Access::default();
        access.worked(&call("/contacts"));
        let mut minted = Vec::new();
        for minute in 0..60 {
            if !access.is_denied(&call("/contacts")) {
                minted.push(minute);
                access.is_fruitless(minute);
                access.is_fruitless(minute);
            }
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(minted, [0, 2, 6, 14, 24, 34, 44, 54]);
        access.worked(&call("/invoices"));
        assert!(!access.is_denied(&call("/contacts")), "what works again may lose its token again");
    }
}
