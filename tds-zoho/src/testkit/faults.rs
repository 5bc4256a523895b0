//! Faults that a test scripts in advance.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::Value;
use tds_core::lock::lock;

/// A fault of one call. [`Fault::user_left`] and the functions after it return Zoho's answers for an organization that
/// is refused.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error answer with this HTTP status, code and message.
    Status(u16, i64, String),
    /// An HTML page of a gateway with this HTTP status.
    Html(u16),
    /// Status 200 and no body.
    EmptyBody,
    /// No body, with this HTTP status.
    Empty(u16),
    /// A body in a form that Zoho does not use: HTTP status, body, and `Retry-After` if there is one.
    Text(u16, String, Option<u32>),
    /// The connection ends in the middle of the announced body.
    BrokenOff,
    /// The right answer, truncated in the middle.
    TruncatedJson,
    /// The right answer, in which these bytes replace every occurrence of this text: half a character, `NaN`, nesting
    /// without an end.
    Rewritten(String, Vec<u8>),
    /// Status 200 and this code in the body.
    CodeUnder200(i64),
    /// The right answer, late.
    Delay(Duration),
    /// A 429 with this code and a `Retry-After` header in seconds or as an HTTP date.
    RetryAfter429 {
        /// The header's value, `7` or `Wed, 21 Oct 2026 07:28:00 GMT`.
        retry_after: String,
        /// The code in the body.
        code: i64,
    },
    /// The right answer with its data under an unknown key.
    WrongEnvelope,
    /// A list without its `page_context`.
    MissingPageContext,
    /// A list without rows that claims to have more.
    EmptyPageWithMore,
    /// A token answer that directs the client to this host.
    HostileApiDomain(String),
    /// An answer of the token endpoint with this body and HTTP status.
    TokenError(Value, u16),
    /// Every token ends just before the call.
    ExpireToken,
    /// The call takes effect, and this fault replaces its answer. See [`Fault::answer_lost`].
    AfterCommit(Box<Self>),
    /// The call has no effect, and no answer comes for this long; then a gateway answers 504.
    Unheard(Duration),
}

impl Fault {
    /// The user who made the token no longer belongs to the organization.
    #[must_use]
    pub fn user_left() -> Self {
        let message = "This user is not associated with the CompanyID/CompanyName:10234695.";
        Self::Status(400, 6041, message.to_owned())
    }

    /// The plan of the organization does not include the product.
    #[must_use]
    pub fn not_of_this_plan() -> Self {
        Self::Status(400, 9017, "This organization does not have access to this service.".to_owned())
    }

    /// The organization is requested in another data centre, or at an old address.
    #[must_use]
    pub fn wrong_domain() -> Self {
        Self::Status(400, 103_001, "Please use the zohoapis domain for API requests.".to_owned())
    }

    /// The token has no right to this call, by Zoho's code 57 or 14, or without a code.
    #[must_use]
    pub fn not_authorized(code: Option<i64>) -> Self {
        match code {
            Some(code) => {
                Self::Status(401, code, "You are not authorized to perform this operation".to_owned())
            }
            None => Self::Text(401, r#"{"message":"Unauthorized"}"#.to_owned(), None),
        }
    }

    /// The call takes effect, and the connection ends before the answer arrives.
    #[must_use]
    pub fn answer_lost() -> Self {
        Self::AfterCommit(Box::new(Self::BrokenOff))
    }

    /// The call takes effect, and its answer comes too late for a client that waits less than this.
    #[must_use]
    pub fn answered_late(after: Duration) -> Self {
        Self::AfterCommit(Box::new(Self::Unheard(after)))
    }

    /// The call takes effect, and the answer is an error with this HTTP status, as of a gateway.
    #[must_use]
    pub fn failed_after_commit(status: u16) -> Self {
        Self::AfterCommit(Box::new(Self::Html(status)))
    }

    /// A throttle that has no code.
    #[must_use]
    pub fn throttled_without_code(retry_after_seconds: u32) -> Self {
        let message =
            "Cannot execute more than 100 requests per API in 2 minutes. Try again after 22 minutes";
        Self::Text(400, serde_json::json!({"message": message}).to_string(), Some(retry_after_seconds))
    }
}

/// Scripts faults. A rule matches paths by prefix, with or without the product's base: `/items`,
/// `/books/v3/contacts/`, `/oauth/v2/token`, or the empty text for all paths. Rules are checked in the order in which
/// they were given, and the first rule that applies decides.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

impl Faults {
    /// Lets the next `count` calls fail.
    pub fn next(&self, path_prefix: &str, count: u32, fault: Fault) {
        self.add(path_prefix, When::Next(count), fault);
    }

    /// Lets the next `count` calls fail that write: all but `GET`.
    pub fn next_writes(&self, path_prefix: &str, count: u32, fault: Fault) {
        self.lock().rules.push(Rule {
            prefix: path_prefix.to_owned(),
            writes_only: true,
            when: When::Next(count),
            seen: 0,
            fault,
        });
    }

    /// Lets every `nth` call fail, until [`Self::clear`]; with 1, all calls fail.
    pub fn every(&self, path_prefix: &str, nth: u64, fault: Fault) {
        self.add(path_prefix, When::Share { of: 1, among: nth.max(1) }, fault);
    }

    /// Lets this percentage of the calls fail, evenly spread, until [`Self::clear`]: with 80, four of five calls fail.
    pub fn percent(&self, path_prefix: &str, percent: u64, fault: Fault) {
        self.add(path_prefix, When::Share { of: percent.min(100), among: 100 }, fault);
    }

    /// Lets every call fail whose path matches, until [`Self::clear`]. A `*` in the pattern stands for one part of the
    /// path: `/inventory/v1/items/*` matches details, but not the list.
    pub fn matching(&self, pattern: &str, fault: Fault) {
        self.add(pattern, When::Share { of: 1, among: 1 }, fault);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// Returns the number of calls that a fault has affected so far.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// Returns the fault of this call, if a rule applies.
    pub(super) fn take(&self, method: &str, path: &str) -> Option<Fault> {
        self.lock().take(method, path)
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        lock(&self.0)
    }

    fn add(&self, prefix: &str, when: When, fault: Fault) {
        self.lock().rules.push(Rule { prefix: prefix.to_owned(), writes_only: false, when, seen: 0, fault });
    }
}

/// The active rules.
#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    struck: u64,
}

struct Rule {
    prefix: String,
    writes_only: bool,
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
    /// Returns the fault of this call, if a rule applies.
    fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let mut concerned = self.rules.iter_mut().filter(|rule| rule.concerns(method, path));
        let fault = concerned.find_map(Rule::strike)?;
        self.rules.retain(|rule| !rule.is_over());
        self.struck += 1;
        Some(fault)
    }
}

impl Rule {
    fn is_over(&self) -> bool {
        match self.when {
            When::Next(left) => left == 0,
            When::Share { .. } => false,
        }
    }

    fn concerns(&self, method: &str, path: &str) -> bool {
        if self.writes_only && method == "GET" {
            return false;
        }
        if !self.prefix.contains('*') {
            return matches(path, &self.prefix);
        }
        let (parts, wanted) = (path.split('/'), self.prefix.split('/'));
        parts.clone().count() == wanted.clone().count()
            && parts.zip(wanted).all(|(part, wanted)| wanted == "*" || part == wanted)
    }

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

/// Returns true if a path begins with the prefix, with or without the product's base.
pub(super) fn matches(path: &str, prefix: &str) -> bool {
    let relative = path.strip_prefix("/books/v3").or_else(|| path.strip_prefix("/inventory/v1"));
    path.starts_with(prefix) || relative.is_some_and(|relative| relative.starts_with(prefix))
}
