//! Makes one call: the permit, the token, the tries, and the report of a failure.

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    limits::budget::{CallFault, OutageCause},
    lock::lock,
};
use tokio::time::{Instant, sleep};

use super::{Failure, Inner, NotDone, Pulse, Unwritten, Why, ZohoClient, failures::identity, send::Sent};
use crate::{
    answer::{Answer, Call},
    error::{About, Fault, Limit, Words, throttled},
    limits::{
        budget::{HeaderHints, waits},
        tries::{LONGEST_WAIT, Tries},
    },
};

impl ZohoClient {
    /// Makes one call with its repeats. If `renew` is true, a refused token is replaced once by a new one.
    pub(super) async fn ask(&self, call: &Call, renew: bool) -> std::result::Result<Answer, Failure> {
        let inner = &*self.inner;
        let mut tries = Tries::new();
        let (mut replaced, mut is_fresh, place) = (!renew, false, call.place());
        // A probe whose token was refused remains the probe when the call is repeated with another token.
        let mut probes = false;
        loop {
            let is_probe = probes || inner.budget.pass(&place).await?;
            // Without a token there is no reason to wait for a permit. The token is read again after the wait,
            // because the wait may take longer than a token lives.
            inner.tokens.token().await?;
            let permit = inner.budget.acquire(call.lane).await?;
            // The place may have gone down while the call waited for its permit. The call then asks for passage
            // again, instead of failing at the place itself.
            if !is_probe && inner.budget.pool.is_shut(&place) {
                continue;
            }
            let token = inner.tokens.token().await?;
            let issued_at = permit.issued_at();
            // Getting the token took too long. The permit is given back, and the loop asks for another permit.
            let Some(permit) = permit.start() else { continue };
            let began = Instant::now();
            let Sent { outcome, hints, left } = inner.sender.send(permit, &token, call).await;
            let result = outcome.as_ref().map_or_else(Fault::name, |_| "ok");
            inner.budget.count(call, result);
            inner.watch.ended(call, result, began.elapsed());
            let fault = match outcome {
                Ok(answer) => {
                    inner.succeeded(call, issued_at, &hints).await;
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            tracing::debug!(
                lane = call.lane.as_str(),
                path = call.path,
                fault = fault.name(),
                "Zoho call failed"
            );
            // Only a call that certainly had no effect is made again, if it writes.
            let in_doubt = call.write.is_some() && left && !fault.is_refusal();
            if is_fresh && matches!(fault, Fault::Token(_)) {
                inner.access.is_fruitless(token.number);
            }
            match (fault.about(), &fault) {
                (About::Limit, Fault::Limit(limit, words)) => {
                    let hints =
                        HeaderHints { retry_after: hints.retry_after.or(words.named_wait()), ..hints };
                    let pause = inner.budget.refused(*limit, call.lane, issued_at, &hints).await;
                    // A day that is spent is not over in a moment, although calls for operators are not held back.
                    let is_spent = *limit == Limit::Day;
                    let named = hints.retry_after.or(hints.reset).filter(|_| is_spent).unwrap_or_default();
                    if is_spent || pause > LONGEST_WAIT || tries.next_wait(None).is_none() {
                        return Err(throttled(*limit, words, pause.max(named)).into());
                    }
                }
                (_, Fault::Token(_)) if !replaced && !in_doubt && !inner.access.is_denied(call) => {
                    (replaced, is_fresh, probes) = (true, true, is_probe);
                    inner.tokens.replace(&token).await?;
                }
                (About::Connection, passing) => {
                    let repeats = !is_probe && !in_doubt && passing.is_passing();
                    match tries.next_wait(hints.retry_after).filter(|_| repeats) {
                        Some(wait) => sleep(wait).await,
                        None => return Err(Failure::Fell { fault, issued_at, hints, in_doubt }),
                    }
                }
                (About::Account { .. }, _) => {
                    return Err(Failure::Fell { fault, issued_at, hints, in_doubt });
                }
                (About::Record | About::Limit, fault) => {
                    inner.succeeded(call, issued_at, &hints).await;
                    let error = Error::new(fault.kind(), Retry::Permanent, fault.to_string());
                    return Err(if in_doubt { Failure::Doubtful(error) } else { error.into() });
                }
            }
        }
    }

    /// Makes a call on which nothing depends. If Zoho refuses the call, the result is the reason in one line, and
    /// nothing waits because of it: neither other calls, nor the health of the client.
    ///
    /// # Errors
    /// Those of limits and of a missing token.
    pub(crate) async fn ask_in_passing(&self, call: &Call) -> Result<std::result::Result<Answer, String>> {
        super::send::check(call)?;
        match self.ask(call, true).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(Failure::Known(error)) if error.retry() == Retry::Permanent => Ok(Err(error.to_string())),
            Err(Failure::Known(error) | Failure::Doubtful(error)) => Err(error),
            Err(Failure::Fell { fault: Fault::Token(words), .. }) if words.are_zohos() => {
                Ok(Err(self.inner.lacks_scope(call, &words)))
            }
            Err(Failure::Fell { fault: Fault::WrongAddress(words), .. }) => Ok(Err(words.to_string())),
            Err(Failure::Fell { fault, .. }) => Ok(Err(fault.to_string())),
        }
    }

    /// Makes a call that concerns no record and on which nothing else depends, whether it reads or writes. Zoho's refusal
    /// is a result: no other call waits because of it. A token that is refused is replaced once, as for any other call.
    ///
    /// # Errors
    /// Those of limits, of the connection and of a missing token. `InDoubt`: the call writes, and may have taken effect or
    /// may still do so.
    pub(crate) async fn ask_apart(
        &self,
        call: &Call,
    ) -> std::result::Result<std::result::Result<Answer, NotDone>, Unwritten> {
        super::send::check(call).map_err(Unwritten::Refused)?;
        let refused = |reason, why| Ok(Err(NotDone { reason, why }));
        match self.ask(call, true).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(Failure::Known(error)) if error.retry() == Retry::Permanent => {
                let is_gone = error.kind() == ErrorKind::NotFound;
                refused(error.to_string(), if is_gone { Why::Gone } else { Why::Other })
            }
            Err(Failure::Known(error)) => Err(Unwritten::Refused(error)),
            Err(Failure::Doubtful(error)) => Err(Unwritten::InDoubt(error)),
            Err(Failure::Fell { fault: Fault::Token(words), in_doubt: false, .. }) if words.are_zohos() => {
                refused(self.inner.lacks_scope(call, &words), Why::Other)
            }
            Err(Failure::Fell { fault, in_doubt: false, .. })
                if matches!(fault.about(), About::Account { .. }) =>
            {
                let is_organization = matches!(fault, Fault::Organization(_));
                refused(fault.to_string(), if is_organization { Why::Organization } else { Why::Other })
            }
            Err(Failure::Fell { fault, in_doubt, .. }) => {
                let doubt = if in_doubt { "; it is not known whether the call took effect" } else { "" };
                let retry = Retry::Transient { retry_after: None };
                let error = Error::new(fault.kind(), retry, format!("{fault}{doubt}"));
                Err(if in_doubt { Unwritten::InDoubt(error) } else { Unwritten::Refused(error) })
            }
        }
    }

    /// Reports a call that was given up for a reason that its record does not cause.
    pub(super) async fn reported(
        &self,
        call: &Call,
        outcome: std::result::Result<Answer, Failure>,
    ) -> Result<Answer> {
        match outcome {
            Ok(answer) => Ok(answer),
            Err(Failure::Known(error) | Failure::Doubtful(error)) => Err(error),
            Err(Failure::Fell { fault, issued_at, hints, .. }) => {
                // If the account is refused, a call for the witness would be refused as well.
                if fault.about() == About::Connection
                    && let Some(witness) = self.inner.failures.witness(call)
                    && let Err(Failure::Fell { fault, issued_at, hints, .. }) =
                        self.ask(&witness, false).await
                {
                    self.inner.fell(&witness, &fault, issued_at, &hints).await;
                }
                Err(self.inner.fell(call, &fault, issued_at, &hints).await)
            }
        }
    }
}

impl Inner {
    /// Records that a new token was refused for a call on which nothing else depends. Returns the meaning in words.
    fn lacks_scope(&self, call: &Call, words: &Words) -> String {
        self.access.denied(call, words);
        let scope = call.needed_scope();
        format!(
            "{words}; a new token was refused too: most likely the refresh token lacks the scope {scope}, or the plan does \
             not include the product"
        )
    }

    /// Records that Zoho itself answered, within its protocol and with this token.
    async fn succeeded(&self, call: &Call, issued_at: Instant, hints: &HeaderHints) {
        self.budget.went_well(&call.place(), issued_at, hints).await;
        self.access.worked(call);
        self.failures.worked(call);
        *lock(&self.pulse) = Pulse { last_success_at: Some(self.clock.now()), failure: None };
    }

    /// Reports a call that was given up for a reason that its record does not cause. The work then waits. An
    /// attempt is spent only if Zoho fails for this record and works for others.
    async fn fell(&self, call: &Call, fault: &Fault, issued_at: Instant, hints: &HeaderHints) -> Error {
        let (cause, everywhere) = match fault.about() {
            About::Account { everywhere } => (OutageCause::Account, everywhere),
            _ => (OutageCause::Connection, false),
        };
        let reason = match fault {
            Fault::Token(words) if words.are_zohos() => self.access.denied(call, words),
            fault => fault.to_string(),
        };
        let blame = self.failures.failed(call);
        let (first, retry_after) = (self.config.outage_probe, hints.retry_after);
        let report = CallFault {
            place: call.place(),
            cause,
            everywhere,
            call: identity(call),
            issued: issued_at.elapsed(),
            retry_after,
            first_probe: first,
            reason: reason.clone(),
        };
        let shut = self.budget.pool.faulted(report).await;
        if !matches!(fault, Fault::WrongAddress(_)) {
            lock(&self.pulse).failure = Some(reason.clone());
        }
        let Some(shut) = shut else {
            if cause == OutageCause::Connection && blame.on_the_record {
                return Error::new(fault.kind(), Retry::Transient { retry_after }, reason);
            }
            let wait = match cause {
                OutageCause::Connection => {
                    blame.wait(first).max(retry_after.unwrap_or_default().min(first * 15))
                }
                OutageCause::Account => first.saturating_mul(blame.times.min(15)),
            };
            return waits(cause, fault.kind(), wait, reason);
        };
        let what = match shut.cause {
            OutageCause::Account => "Zoho refuses the account",
            OutageCause::Connection => "Zoho cannot be read",
        };
        tracing::warn!(
            place = shut.place, wait = ?shut.wait, reason,
            "{what}; only single probes are sent to it"
        );
        waits(cause, fault.kind(), shut.wait, reason)
    }
}
