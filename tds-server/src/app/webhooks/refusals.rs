//! Logs refused webhooks: enough to correct a wrong setting, but only a few lines however many webhooks are refused.

use std::{sync::Mutex, time::Duration};

use tds_core::lock::lock;
use tds_zoho::webhook::{Mismatch, SIGNATURE_HEADER, diagnose};
use tokio::time::Instant;

use super::{Cause, Delivery, NotKept, authentic::text};
use crate::config::WebhookConfig;

/// The length of the window for which lines are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// The most lines about refused webhooks in one window. Further refusals are counted, and the next line reports their
/// number.
const LINES: u32 = 10;

/// The state of the log of refused webhooks.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Logged>);

#[derive(Default)]
struct Logged {
    since: Option<Instant>,
    lines: u32,
    unlogged: u64,
    diagnosed: bool,
}

/// The actions allowed for one refused webhook.
struct Turn {
    line: bool,
    diagnosis: bool,
    unlogged: u64,
}

impl Refusals {
    /// Logs that a delivery is not authentic. Why a signature does not match is diagnosed at most once in ten seconds,
    /// and separately from the request: a client that sends forged webhooks learns nothing and causes little work.
    pub(super) fn log(&self, refused: &NotKept, config: &WebhookConfig, delivery: &Delivery) {
        let NotKept::NotAuthentic { reason, cause } = refused else { return };
        let turn = self.turn(*cause == Cause::Signature, Instant::now());
        if turn.line {
            let path = delivery.uri.path();
            tracing::warn!(reason, path, unlogged_before = turn.unlogged, "a webhook was refused");
        }
        if turn.diagnosis {
            look_into(config, delivery);
        }
    }

    fn turn(&self, mismatch: bool, now: Instant) -> Turn {
        let mut logged = lock(&self.0);
        if logged.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            *logged = Logged { since: Some(now), unlogged: logged.unlogged, ..Logged::default() };
        }
        let turn = Turn {
            line: logged.lines < LINES,
            diagnosis: mismatch && !logged.diagnosed,
            unlogged: logged.unlogged,
        };
        logged.diagnosed |= turn.diagnosis;
        if turn.line {
            logged.lines += 1;
            logged.unlogged = 0;
        } else {
            logged.unlogged += 1;
        }
        turn
    }
}

/// Logs which known change in transit, or which other secret, would explain the signature.
fn look_into(config: &WebhookConfig, delivery: &Delivery) {
    let Some(signature) = text(&delivery.headers, SIGNATURE_HEADER).map(str::to_owned) else { return };
    let content_type = text(&delivery.headers, "content-type").map(str::to_owned);
    let (uri, body) = (delivery.uri.clone(), delivery.body.clone());
    let (secrets, keys) = (config.secrets.clone(), config.keys.clone());
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || {
        let hint = diagnose(&Mismatch {
            secrets: &secrets,
            webhook_keys: &keys,
            path: uri.path(),
            query: uri.query(),
            content_type: content_type.as_deref(),
            body: &body,
            signature: &signature,
        });
        span.in_scope(|| match hint {
            Some(hint) => tracing::warn!(
                hint = hint.as_ref(),
                "the signature of the refused webhook can be explained (ZOHO_WEBHOOK_SECRET is the configured secret, \
                 TDS_WEBHOOK_KEY the webhook key)"
            ),
            None => tracing::warn!(
                "no known change on the way explains the signature of the refused webhook, so it was made with \
                 another secret; compare ZOHO_WEBHOOK_SECRET with the secret in Zoho's webhook"
            ),
        });
    });
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{LINES, Refusals, WINDOW};

    #[test]
    fn a_flood_of_forged_webhooks_makes_a_few_log_lines_and_one_diagnosis() {
        let (refusals, mut now) = (Refusals::default(), Instant::now());
        for window in 0..3 {
            let turns: Vec<_> = (0..50_000).map(|_| refusals.turn(true, now)).collect();
            assert_eq!(turns.iter().filter(|turn| turn.line).count(), LINES as usize);
            assert_eq!(turns.iter().filter(|turn| turn.diagnosis).count(), 1);
            let before = if window == 0 { 0 } else { 50_000 - u64::from(LINES) };
            assert_eq!(
                turns.first().map(|turn| turn.unlogged),
                Some(before),
                "what was not logged is logged later"
            );
            now += WINDOW;
        }
    }

    #[test]
    fn a_missing_signature_does_not_use_up_the_diagnosis() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        assert!(!refusals.turn(false, now).diagnosis);
        assert!(refusals.turn(true, now).diagnosis);
    }
}
