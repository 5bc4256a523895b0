//! Gets a token: the one that other processes share, or a new one when it is this process's turn to mint.

use std::{sync::Arc, time::Duration};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tds_core::{
    error::Error,
    limits::credentials::{Claim, Cooldown, Credential, RenewalResult, RenewalRule},
    retry::doubled,
};
use tokio::time::{Instant, sleep};

use super::{
    Inner, MintFault, Token,
    domain::Domain,
    mint::{Minted, NoToken, TIMEOUT, mint},
    refreshes::TokenRefresh,
    seal::Seal,
};
use crate::limits::jitter::{chance, up_to};

/// Zoho creates ten tokens in ten minutes, and then blocks further requests (OAuth, "token limits").
pub(super) const RULE: RenewalRule = RenewalRule {
    most: 10,
    within: Duration::from_secs(600),
    // The time covers a mint, and the report of its end.
    time: Duration::from_secs(TIMEOUT.as_secs() + 10),
};
/// A token is renewed this long before it expires, or a tenth of its life before, if that is less.
const AHEAD: Duration = Duration::from_secs(300);

/// The result of getting a token: the token, or the fault and the time for which no other attempt may start.
pub(super) type Renewed = Result<Arc<Token>, (MintFault, Duration)>;

/// Waits for this process's turn, or for the process whose turn it is.
pub(super) async fn renew(inner: &Inner, mut rejected: Option<u64>) -> Renewed {
    let rule = &RenewalRule { most: inner.config.most_mints.min(RULE.most), ..RULE };
    let give_up = Instant::now() + RULE.time + Duration::from_secs(5);
    let mut looks = 0;
    loop {
        let turn = inner.leases.claim(&inner.name, rule, inner.seal.is_some(), rejected).await;
        match turn.map_err(|error| unknown(&error))? {
            Claim::Yours(ticket) => return renew_now(inner, ticket).await,
            Claim::Ready(credential) => match open(inner.seal.as_ref(), &credential) {
                Some(token) => return Ok(Arc::new(token)),
                // The credential was sealed with another key, or has the form of another version. It is treated as
                // missing.
                None => rejected = Some(credential.number),
            },
            Claim::Another(_) if Instant::now() > give_up => {
                let reason = "another process has not finished its token refresh".to_owned();
                return Err((MintFault::Passing(reason), Duration::from_secs(1)));
            }
            Claim::Another(wait) => {
                sleep(patience(wait, looks, chance())).await;
                looks += 1;
            }
            Claim::TooOften(wait) => {
                let reason = if rule.most < RULE.most {
                    format!(
                        "{} of the {} access tokens that Zoho allows in 10 minutes were minted, or requested without \
                         an answer; the rest is left to servers",
                        rule.most, RULE.most
                    )
                } else {
                    format!(
                        "{} access tokens were minted in 10 minutes, or requested without an answer, which is Zoho's \
                         limit",
                        RULE.most
                    )
                };
                return Err((MintFault::TooMany(reason), wait));
            }
            Claim::Blocked(block) => return Err((MintFault::of_block(&block), block.wait)),
        }
    }
}

async fn renew_now(inner: &Inner, ticket: u64) -> Renewed {
    let minted = mint(&inner.http, &inner.config).await;
    inner.lock().requested.add(TokenRefresh::of(minted.as_ref().err().map(|none| &none.fault)));
    let (outcome, token) = match minted {
        Ok(minted) => {
            let renew_in = minted.expires_in - AHEAD.min(minted.expires_in / 10);
            let sealed = inner.seal.as_ref().and_then(|seal| sealed(seal, &minted));
            let expires_in = minted.expires_in;
            let token = token(ticket, minted.value, minted.domain, renew_in, expires_in);
            (RenewalResult::Renewed { sealed, renew_in, expires_in }, Ok(Arc::new(token)))
        }
        Err(NoToken { fault, counts }) => {
            let (first, longest) = pauses(&fault, inner.config.outage_probe);
            (RenewalResult::Failed { cooldown: fault.block(first), longest, counts }, Err(fault))
        }
    };
    let reported = inner.leases.finish(&inner.name, &RULE, ticket, outcome).await;
    let pause = reported.unwrap_or_else(|error| {
        // The lease ends without a report, and this process has its token in any case.
        tracing::warn!(error = %error.chain(), "the end of a token refresh could not be reported to other processes");
        None
    });
    token.map_err(|fault| {
        let pause = pause.unwrap_or_else(|| fault.pause());
        (fault, pause)
    })
}

/// Returns the first and the longest pause of consecutive faults of this kind. A token server that cannot be reached is
/// asked at the pace of other outages.
fn pauses(fault: &MintFault, outage_probe: Duration) -> (Duration, Duration) {
    match fault {
        MintFault::Passing(_) => (outage_probe / 60, outage_probe),
        _ => (fault.pause(), fault.pause()),
    }
}

/// The leases cannot be read, so it is not known whether another mint is allowed.
fn unknown(error: &Error) -> (MintFault, Duration) {
    let reason =
        format!("Zoho was not asked, because the leases of credentials cannot be reached: {}", error.chain());
    (MintFault::Passing(reason), Duration::from_secs(1))
}

fn token(
    number: u64,
    value: SecretString,
    domain: Domain,
    renew_in: Duration,
    expires_in: Duration,
) -> Token {
    let now = Instant::now();
    Token { number, value, refresh_at: now + renew_in, expires_at: now + expires_in, domain }
}

fn sealed(seal: &Seal, minted: &Minted) -> Option<String> {
    let api_url = minted.domain.api_url.as_ref().map(Url::as_str);
    let (value, ignored) = (minted.value.expose_secret(), &minted.domain.ignored);
    let content = json!({"token": value, "api_url": api_url, "ignored_domain": ignored});
    seal.seal(&SecretString::from(content.to_string()))
}

fn open(seal: Option<&Seal>, credential: &Credential) -> Option<Token> {
    let opened = seal?.open(&credential.sealed)?;
    let content: Value = serde_json::from_str(opened.expose_secret()).ok()?;
    let value = SecretString::from(content.get("token")?.as_str()?);
    let api_url = content.get("api_url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
    let ignored = content.get("ignored_domain").and_then(Value::as_str).map(str::to_owned);
    let domain = Domain { api_url, ignored };
    Some(token(credential.number, value, domain, credential.renew_in, credential.expires_in))
}

/// Returns the wait before the next look: twice as long before every look, up to a second, and up to as much again
/// at random. A refresh that does not end soon is most likely one whose process died, and its lease may take its
/// whole time to end.
fn patience(first: Duration, looks: u32, random: u64) -> Duration {
    let wait = doubled(first, looks, Duration::from_secs(1).max(first));
    wait + up_to(wait, random)
}

impl MintFault {
    /// Returns the fault as it is stored for other processes.
    fn block(&self, wait: Duration) -> Cooldown {
        let (kind, reason) = match self {
            Self::Refused { error, words } => (format!("refused {error}"), words.clone()),
            Self::TooMany(words) => ("too many".to_owned(), words.clone()),
            Self::Passing(what) => ("passing".to_owned(), what.clone()),
        };
        Cooldown { kind, reason, wait }
    }

    /// Returns the fault that another process stored.
    fn of_block(block: &Cooldown) -> Self {
        let reason = block.reason.clone();
        match (block.kind.strip_prefix("refused "), block.kind.as_str()) {
            (Some(error), _) => Self::Refused { error: error.to_owned(), words: reason },
            (None, "too many") => Self::TooMany(reason),
            _ => Self::Passing(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_that_does_not_end_is_polled_less_and_less_often() {
        let first = Duration::from_millis(50);
        let waits = [0, 1, 2, 5, 100, u32::MAX].map(|looks| patience(first, looks, 0).as_millis());
        assert_eq!(waits, [50, 100, 200, 1_000, 1_000, 1_000]);
        assert!(patience(first, 9, u64::MAX) <= Duration::from_secs(2));
        assert_eq!(patience(Duration::from_secs(3), 1, 0), Duration::from_secs(3));
    }

    #[test]
    fn a_fault_reads_back_unchanged_in_the_other_processes() {
        for fault in [
            MintFault::Refused { error: "invalid_code".to_owned(), words: "revoked".to_owned() },
            MintFault::TooMany("wait".to_owned()),
            MintFault::Passing("HTTP 500".to_owned()),
        ] {
            assert_eq!(MintFault::of_block(&fault.block(Duration::ZERO)), fault);
        }
    }
}
