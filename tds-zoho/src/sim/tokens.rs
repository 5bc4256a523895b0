//! The accounts server: it exchanges codes for refresh tokens, mints access tokens from them, and ends them.

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

/// How long a code of a self client can be exchanged.
const CODE_LIFE: Duration = Duration::from_secs(180);

/// The access tokens, the refresh tokens that they were minted with, and the codes that wait for their exchange.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) rules: TokenRules,
    /// The refresh tokens that codes were exchanged for, with their scopes. The known refresh token has every scope.
    granted: HashMap<String, Vec<String>>,
    codes: HashMap<String, Code>,
    numbered: u64,
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
    /// `None`: every scope.
    scopes: Option<Vec<String>>,
}

/// A code that can be exchanged once.
struct Code {
    scopes: Vec<String>,
    redirect_uri: Option<String>,
    expires: Instant,
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
        if is("grant_type", "authorization_code") {
            return (200, self.exchange(form, domain, now));
        }
        let refresh_token = form.get("refresh_token").map(String::as_str).unwrap_or_default();
        let granted = self.granted.get(refresh_token).cloned();
        let is_known = refresh_token == REFRESH_TOKEN || granted.is_some();
        if self.revoked || !is_known || !is("grant_type", "refresh_token") {
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
        (200, self.mint(granted, domain, now))
    }

    /// Makes a code with these scopes, as the API console does for a self client. A client with a redirect URI has to
    /// repeat the URI at the exchange.
    pub(crate) fn new_code(
        &mut self,
        scopes: &[&str],
        redirect_uri: Option<&str>,
        is_expired: bool,
    ) -> String {
        let now = Instant::now();
        self.numbered += 1;
        let value = format!("1000.fake.code.{:04}", self.numbered);
        let code = Code {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            redirect_uri: redirect_uri.map(str::to_owned),
            expires: if is_expired { now } else { now + CODE_LIFE },
        };
        self.codes.insert(value.clone(), code);
        value
    }

    /// Exchanges a code. A code works once: also a request that fails uses it up.
    fn exchange(&mut self, form: &HashMap<String, String>, domain: &str, now: Instant) -> Value {
        let value = form.get("code").map(String::as_str).unwrap_or_default();
        let Some(code) = self.codes.remove(value) else { return json!({"error": "invalid_code"}) };
        if code.expires <= now {
            return json!({"error": "invalid_code"});
        }
        if code.redirect_uri.as_ref() != form.get("redirect_uri") {
            return json!({"error": "invalid_redirect_uri"});
        }
        self.numbered += 1;
        let refresh_token = format!("1000.fake.granted.{:04}", self.numbered);
        self.granted.insert(refresh_token.clone(), code.scopes.clone());
        let mut answer = self.mint(Some(code.scopes.clone()), domain, now);
        answer["refresh_token"] = json!(refresh_token);
        answer["scope"] = json!(code.scopes.join(" "));
        answer
    }

    fn mint(&mut self, scopes: Option<Vec<String>>, domain: &str, now: Instant) -> Value {
        self.minted += 1;
        let value = format!("1000.fake.{:06}", self.minted);
        let expires = now + self.rules.lifetime;
        self.live.push_back(Token { value: value.clone(), expires, calls_left: self.rules.calls, scopes });
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

    /// Returns true if a valid token has a scope such as `ZohoBooks.settings.READ`.
    pub(crate) fn has_scope(&self, value: &str, scope: &str) -> bool {
        let Some(token) = self.live.iter().find(|token| token.value == value) else { return false };
        let Some(scopes) = &token.scopes else { return true };
        let parts: Vec<&str> = scope.split('.').collect();
        let [service, group, _] = parts[..] else { return false };
        let whole = format!("{service}.{group}.ALL");
        let everything = format!("{service}.fullaccess.all");
        scopes.iter().any(|known| *known == scope || *known == whole || *known == everything)
    }
}

fn throttled() -> Value {
    json!({
        "error_description": "You have made too many requests continuously. Please try again after some time.",
        "error": "Access Denied",
        "status": "failure",
    })
}
