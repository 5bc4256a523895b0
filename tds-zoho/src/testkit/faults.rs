//! Faults that a test scripts in advance.

use std::time::Duration;

use serde_json::Value;

use super::{state::Shared, traffic::matches};

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error answer with this HTTP status, code and message.
    Status(u16, i64, String),
    /// A page of a gateway, as HTML, with this HTTP status.
    Html(u16),
    /// Status 200 and no body.
    EmptyBody,
    /// The right answer, cut in the middle.
    TruncatedJson,
    /// The right answer, in which these bytes stand wherever it has this text: half a character, `NaN`, nesting
    /// without an end.
    Rewritten(String, Vec<u8>),
    /// Status 200 and this code in the body.
    CodeUnder200(i64),
    /// The right answer, late.
    Delay(Duration),
    /// A 429 with this code and a `Retry-After` header: seconds, or a date of HTTP.
    RetryAfter429 {
        /// The header's value, `7` or `Wed, 21 Oct 2026 07:28:00 GMT`.
        retry_after: String,
        /// The code in the body.
        code: i64,
    },
    /// The right answer, its data under a key that nobody knows.
    WrongEnvelope,
    /// A list without its `page_context`.
    MissingPageContext,
    /// A list without rows that claims to have more.
    EmptyPageWithMore,
    /// A token answer that sends the client to this host.
    HostileApiDomain(String),
    /// An answer of the token endpoint with this body and HTTP status.
    TokenError(Value, u16),
    /// Every token dies just before the call.
    ExpireToken,
}

/// Scripts faults. A rule matches paths by prefix, with or without the product's base: `/items`,
/// `/books/v3/contacts/`, `/oauth/v2/token`, or the empty text for all. Rules are asked in the order
/// in which they were given; the first that strikes decides.
#[derive(Clone)]
pub struct Faults(pub(super) Shared);

impl Faults {
    /// The next `count` calls fail.
    pub fn next(&self, path_prefix: &str, count: u32, fault: Fault) {
        self.add(path_prefix, When::Next(count), fault);
    }

    /// Every `nth` call fails, until [`Self::clear`]; 1 = all of them.
    pub fn every(&self, path_prefix: &str, nth: u64, fault: Fault) {
        self.add(path_prefix, When::Share { of: 1, among: nth.max(1) }, fault);
    }

    /// This share of the calls fails, evenly spread, until [`Self::clear`]: 80 = four of five.
    pub fn percent(&self, path_prefix: &str, percent: u64, fault: Fault) {
        self.add(path_prefix, When::Share { of: percent.min(100), among: 100 }, fault);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.0.lock().script.rules.clear();
    }

    /// How many calls a fault has struck so far.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.0.lock().script.struck
    }

    fn add(&self, prefix: &str, when: When, fault: Fault) {
        self.0.lock().script.rules.push(Rule { prefix: prefix.to_owned(), when, seen: 0, fault });
    }
}

/// The rules that are in force.
#[derive(Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    struck: u64,
}

struct Rule {
    prefix: String,
    when: When,
    seen: u64,
    fault: Fault,
}

#[derive(Clone, Copy)]
enum When {
    Next(u32),
    Share { of: u64, among: u64 },
}

impl Script {
    /// The fault of this call, if one strikes.
    pub(crate) fn take(&mut self, path: &str) -> Option<Fault> {
        let fault =
            self.rules.iter_mut().filter(|rule| matches(path, &rule.prefix)).find_map(Rule::strike)?;
        self.rules.retain(|rule| !matches!(rule.when, When::Next(0)));
        self.struck += 1;
        Some(fault)
    }
}

impl Rule {
    fn strike(&mut self) -> Option<Fault> {
        let strikes = match &mut self.when {
            When::Next(left) => {
                let any = *left > 0;
                *left = left.saturating_sub(1);
                any
            }
            When::Share { of, among } => {
                let before = self.seen * *of / *among;
                self.seen += 1;
                self.seen * *of / *among > before
            }
        };
        strikes.then(|| self.fault.clone())
    }
}
