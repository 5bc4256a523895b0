//! The accounts server: it mints access tokens from the refresh token, and ends them.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

/// How long access tokens are valid.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// The time for which a token is accepted.
    pub lifetime: Duration,
    /// The value of `expires_in`, in seconds; `None` means the lifetime.
    pub stated_lifetime: Option<u64>,
    /// The number of accepted calls after which a token ends, whatever its age.
    pub calls: Option<u32>,
    /// The number of tokens that may be minted in any ten minutes; above it, the throttle answers.
    pub mints_per_ten_minutes: usize,
    /// The HTTP status of the throttle's answer. Zoho has used 400 and 200.
    pub throttle_status: u16,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(3600),
            stated_lifetime: None,
            calls: None,
            mints_per_ten_minutes: 10,
            throttle_status: 400,
        }
    }
}

/// When there are more live tokens than this, the oldest are deleted.
const LIVE_TOKENS: usize = 15;
pub(crate) const CLIENT_ID: &str = "1000.FAKECLIENT";
pub(crate) const CLIENT_SECRET: &str = "fake-client-secret";
pub(crate) const REFRESH_TOKEN: &str = "1000.fake.refresh-token";

/// The tokens of the single refresh token.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) rules: TokenRules,
    pub(crate) minted: u64,
    pub(crate) requests: u64,
    pub(crate) revoked: bool,
    pub(crate) live: VecDeque<Token>,
    recent: VecDeque<Instant>,
}

pub(crate) struct Token {
    value: String,
    expires: Instant,
    calls_left: Option<u32>,
}

impl Tokens {
    /// Answers a request of the token endpoint.
    pub(crate) fn request(
        &mut self,
        form: &HashMap<String, String>,
        domain: &str,
        now: Instant,
    ) -> (u16, Value) {
        let is = |key: &str, value: &str| form.get(key).is_some_and(|found| found == value);
        if !is("client_id", CLIENT_ID) {
            return (200, json!({"error": "invalid_client"}));
        }
        if !is("client_secret", CLIENT_SECRET) {
            return (200, json!({"error": "invalid_client_secret"}));
        }
        if self.revoked || !is("refresh_token", REFRESH_TOKEN) || !is("grant_type", "refresh_token") {
            return (200, json!({"error": "invalid_code"}));
        }
        while self.recent.front().is_some_and(|first| now.duration_since(*first) >= Duration::from_secs(600))
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.rules.mints_per_ten_minutes {
            return (self.rules.throttle_status, throttled());
        }
        self.recent.push_back(now);
        (200, self.mint(domain, now))
    }

    fn mint(&mut self, domain: &str, now: Instant) -> Value {
        self.minted += 1;
        let value = format!("1000.fake.{:06}", self.minted);
        let expires = now + self.rules.lifetime;
        self.live.push_back(Token { value: value.clone(), expires, calls_left: self.rules.calls });
        if self.live.len() > LIVE_TOKENS {
            self.live.pop_front();
        }
        let stated = self.rules.stated_lifetime.unwrap_or(self.rules.lifetime.as_secs());
        json!({"access_token": value, "api_domain": domain, "token_type": "Bearer", "expires_in": stated})
    }

    /// Returns true if a token is valid, and spends one of its calls.
    pub(crate) fn accept(&mut self, value: &str, now: Instant) -> bool {
        self.live.retain(|token| token.expires > now && token.calls_left != Some(0));
        let Some(token) = self.live.iter_mut().find(|token| token.value == value) else { return false };
        token.calls_left = token.calls_left.map(|left| left.saturating_sub(1));
        true
    }
}

fn throttled() -> Value {
    json!({
        "error_description": "You have made too many requests continuously. Please try again after some time.",
        "error": "Access Denied",
        "status": "failure",
    })
}
