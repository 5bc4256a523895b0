//! What an organization without Zoho Inventory gets: the items and their stock from Zoho Books, and nothing of what only
//! Inventory has.

use std::{sync::Mutex, time::Duration};

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    lock::lock,
};
use tokio::time::Instant;

use super::{Failure, ZohoClient};
use crate::answer::{Answer, Api, Call, is_read_from_books};

/// The time for which a refusal is considered current before Inventory is asked again.
const BELIEVED: Duration = Duration::from_secs(3_600);

/// Parameters of lists that Books does not document for items. A list that ignores them is detected, and is then
/// read whole.
const UNKNOWN_TO_BOOKS: [&str; 3] = ["sort_column", "sort_order", "last_modified_time"];

/// What is known about Inventory.
#[derive(Default)]
pub(super) struct Inventory {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The time since which Inventory is known to refuse what Books answers, and Zoho's words.
    missing: Option<(Instant, String)>,
    worked: bool,
}

impl Inventory {
    /// Records that Inventory answered.
    pub(super) fn worked(&self) {
        *lock(&self.seen) = Seen { missing: None, worked: true };
    }

    /// Records that Inventory refused the organization while Books answered.
    pub(super) fn refused(&self, words: &str) {
        let mut seen = lock(&self.seen);
        if seen.missing.is_none() {
            tracing::warn!("{}", line(words));
        }
        seen.missing = Some((Instant::now(), words.to_owned()));
    }

    /// Returns true if Inventory answered and has not refused since.
    pub(super) fn has_worked(&self) -> bool {
        let seen = lock(&self.seen);
        seen.worked && seen.missing.is_none()
    }

    /// Returns true while a refusal is considered current.
    pub(super) fn is_missing(&self) -> bool {
        lock(&self.seen).missing.as_ref().is_some_and(|(since, _)| since.elapsed() < BELIEVED)
    }

    /// Returns one line about what is missing.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.seen).missing.as_ref().map(|(_, words)| line(words))
    }

    /// Returns true if Inventory answered before it refused. Such an organization had Inventory at some time.
    pub(super) fn was_lost(&self) -> bool {
        let seen = lock(&self.seen);
        seen.worked && seen.missing.is_some()
    }
}

impl ZohoClient {
    /// Reads items from Inventory, or from Books if only Inventory refuses the organization.
    pub(super) async fn get_of_either(&self, call: &Call, twin: &Call) -> Result<Answer> {
        let inventory = &self.inner.inventory;
        if inventory.is_missing() {
            return self.reported(twin, self.ask(twin, true).await).await;
        }
        // If Inventory worked before, the token is the more likely cause of a refusal. Another token is tried
        // first.
        let refused = match self.ask(call, inventory.has_worked()).await {
            Err(refused @ Failure::Fell { .. }) if refused.is_of_the_account() => refused,
            // Calls that only Inventory offers may have opened the breaker. If Inventory never answered, Books
            // is asked then, and nothing is concluded from the breaker.
            Err(Failure::Known(error)) if is_refused(&error) && !inventory.has_worked() => {
                Failure::Known(error)
            }
            outcome => {
                if outcome.is_ok() {
                    inventory.worked();
                }
                return self.reported(call, outcome).await;
            }
        };
        let before = self.inner.tokens.number();
        let outcome = self.reported(twin, self.ask(twin, true).await).await;
        if let Err(error) = &outcome
            && error.kind() != ErrorKind::NotFound
        {
            // Books refuses the organization as well, or does not understand the call. Inventory's refusal then
            // counts, and the work waits.
            let says_more = is_refused(error) || error.retry() == Retry::Permanent;
            return if says_more { self.reported(call, Err(refused)).await } else { outcome };
        }
        // Inventory alone may refuse the organization. Only a success with another token shows that the token was
        // the cause.
        if self.inner.tokens.number() != before
            && let Ok(answer) = self.ask(call, false).await
        {
            inventory.worked();
            return Ok(answer);
        }
        if let Failure::Fell { fault, .. } = refused
            && let Some(words) = fault.refusal_of_the_account()
        {
            inventory.refused(&words.to_string());
        }
        outcome
    }
}

impl Failure {
    /// Returns true if Zoho refuses the organization or the account rather than the call.
    fn is_of_the_account(&self) -> bool {
        matches!(self, Self::Fell { fault, .. } if fault.refusal_of_the_account().is_some())
    }
}

impl ZohoClient {
    /// Refuses a call to Inventory while Inventory is known to refuse the organization. What is written there is not
    /// written to Books instead.
    pub(super) fn needs_inventory(&self, call: &Call) -> Result<()> {
        let inventory = &self.inner.inventory;
        let trouble = inventory.trouble().filter(|_| call.api == Api::Inventory && inventory.is_missing());
        trouble.map_or(Ok(()), |line| Err(missing(line)))
    }

    /// Reads what only Inventory has. If only Inventory refuses the organization, nothing is sent, and the error is
    /// not permanent: the organization may get Inventory.
    pub(super) async fn get_of_inventory(&self, call: &Call) -> Result<Answer> {
        let inventory = &self.inner.inventory;
        if let Some(line) = inventory.trouble().filter(|_| inventory.is_missing()) {
            return Err(missing(line));
        }
        let outcome = self.ask(call, true).await;
        let refused = match &outcome {
            Ok(_) => false,
            Err(Failure::Fell { fault, .. }) => fault.refusal_of_the_account().is_some(),
            Err(Failure::Known(error) | Failure::Doubtful(error)) => is_refused(error),
        };
        // A product that answers other calls refuses this one for a reason of its own, such as a missing scope.
        if refused && !inventory.has_worked() {
            let items = Call {
                path: "/items".to_owned(),
                query: vec![("page", "1".to_owned()), ("per_page", "1".to_owned())],
                scope: Api::Inventory.settings(),
                ..call.clone()
            };
            if let Some(twin) = twin(&items)
                && self.get_of_either(&items, &twin).await.is_ok()
                && let Some(line) = inventory.trouble().filter(|_| inventory.is_missing())
            {
                return Err(missing(line));
            }
        }
        self.reported(call, outcome).await
    }
}

/// Returns the error of what an organization without Inventory does not have. Work waits, because an organization may
/// get Inventory.
fn missing(line: String) -> Error {
    Error::new(ErrorKind::Unauthorized, Retry::AuthPaused { retry_after: BELIEVED }, line)
}

/// Returns true for a call for records that Books does not have.
pub(super) fn is_only_there(call: &Call) -> bool {
    call.api == Api::Inventory && call.entity.is_some() && !is_read_from_books(&call.path)
}

/// Returns true if nothing is sent because the account is refused.
fn is_refused(error: &Error) -> bool {
    matches!(error.retry(), Retry::AuthPaused { .. })
}

fn line(words: &str) -> String {
    format!(
        "Zoho Inventory refuses the organization ({words}), but Zoho Books answers: products and stock are read from \
         the items of Books, without the values that only Inventory has, and what Books does not have at all, such as \
         item groups and composite items, is left out. If the organization has Inventory, give the user of the token \
         access to it, and make a refresh token with the scope ZohoInventory.items.READ"
    )
}

/// Returns the same call to Books, if Books offers it.
pub(super) fn twin(call: &Call) -> Option<Call> {
    if call.api != Api::Inventory || !is_read_from_books(&call.path) {
        return None;
    }
    let known = |(name, _): &&(&'static str, String)| !UNKNOWN_TO_BOOKS.contains(name);
    let query = call.query.iter().filter(known).cloned().collect();
    Some(Call { api: Api::Books, scope: Api::Books.settings(), query, ..call.clone() })
}
