//! Retries inside a run. A run waits while the source or the store is unavailable; only a verdict on its list ends it.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    error::{Error, ErrorKind, Result, Retry},
    hint::Wording,
    retry::RetryPolicy,
    runs::RunId,
};

/// The back-off between attempts.
const WAITS: RetryPolicy =
    RetryPolicy { max_attempts: u32::MAX, base: Duration::from_millis(500), max: Duration::from_secs(60) };
/// The number of answers that contradict the protocol after which the contradiction is accepted as a verdict.
const CONTRADICTIONS: u32 = 6;
/// The number of times that the store may fail to understand a statement before the run fails. Such a failure is a
/// fault of this program, or of a schema that is being changed.
const MISUNDERSTOOD: u32 = 12;
/// The number of times that the source or a place of files may fail for one record.
const TRIES: u32 = 3;
/// The number of times that the source may fail for one of many records that are read together.
const TRIES_OF_MANY: u32 = 6;

/// The retries of one run. Only the caller ends a wait early: it drops the future at the shutdown signal, at a
/// cancellation or if the lease is lost.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Patience {
    run: RunId,
    wording: Wording,
}

impl Patience {
    pub(in crate::engine) fn of(run: RunId, wording: Wording) -> Self {
        Self { run, wording }
    }

    /// Asks the source until it answers, until its error is permanent, or until it has contradicted its protocol too
    /// often.
    pub(in crate::engine) async fn source<T, F>(self, doing: &str, ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let most = |error: &Error| match (error.retry(), error.kind()) {
            (Retry::Permanent, _) => Some(1),
            (Retry::Transient { .. }, ErrorKind::Protocol) => Some(CONTRADICTIONS),
            _ => None,
        };
        self.wait(doing, ask, most).await
    }

    /// Asks the source for one record until it answers, or until the failure is a verdict on this record. If the source
    /// answers nobody, it is waited for at most this long.
    pub(super) async fn record<T, F>(
        self,
        doing: &str,
        longest: Duration,
        ask: impl FnMut() -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let began = Instant::now();
        let most = |error: &Error| match error.retry() {
            Retry::Permanent => Some(1),
            Retry::Transient { .. } => Some(TRIES),
            Retry::Throttled { .. } | Retry::AuthPaused { .. } => (began.elapsed() >= longest).then_some(1),
        };
        self.wait(doing, ask, most).await
    }

    /// Asks the source for many records until there is an answer for each of them. A record has its own error as its
    /// answer if the error is permanent, or after a few errors. While the source answers nobody, it is waited for.
    /// `ask` takes the positions of the records that have no answer yet, and returns one answer for each of them.
    pub(in crate::engine) async fn records<T, F>(
        self,
        doing: &str,
        count: usize,
        mut ask: impl FnMut(Vec<usize>) -> F,
    ) -> Vec<Result<T>>
    where
        F: Future<Output = Vec<Result<T>>>,
    {
        let mut answers: Vec<Option<Result<T>>> = (0..count).map(|_| None).collect();
        let (mut tries, mut failures) = (vec![0_u32; count], 0);
        let unanswered = || Err(Error::internal("the source gave no answer for a record"));
        loop {
            let open: Vec<usize> = (0..count).filter(|place| answers[*place].is_none()).collect();
            if open.is_empty() {
                return answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect();
            }
            let mut given = ask(open.clone()).await.into_iter();
            let mut waits = None;
            for place in open {
                let answer = given.next().unwrap_or_else(unanswered);
                let is_final = match answer.as_ref().err().map(Error::retry) {
                    None | Some(Retry::Permanent) => true,
                    // The source answers nobody, which is not the fault of the record.
                    Some(Retry::Throttled { .. } | Retry::AuthPaused { .. }) => false,
                    Some(Retry::Transient { .. }) => {
                        tries[place] += 1;
                        tries[place] >= TRIES_OF_MANY
                    }
                };
                match answer {
                    Err(error) if !is_final => waits = Some(error),
                    answer => answers[place] = Some(answer),
                }
            }
            if let Some(error) = waits {
                failures += 1;
                self.pause(doing, failures, &error).await;
            }
        }
    }

    /// Asks a place of files until it answers, at most a few times.
    pub(super) async fn place<T, F>(self, doing: &str, ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let most = |error: &Error| if error.retry() == Retry::Permanent { Some(1) } else { Some(TRIES) };
        self.wait(doing, ask, most).await
    }

    /// Asks the store until it answers, or until it says that this process does not hold the run or that the data
    /// cannot be stored.
    pub(in crate::engine) async fn store<T, F>(self, doing: &str, ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let most = |error: &Error| match error.kind() {
            ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::NotFound => Some(1),
            ErrorKind::Internal => Some(MISUNDERSTOOD),
            _ => None,
        };
        self.wait(doing, ask, most).await
    }

    /// Repeats the call until there is an answer. `most` returns the number of errors like this one that are accepted
    /// as a verdict, or `None` if such errors are temporary.
    async fn wait<T, F>(
        self,
        doing: &str,
        mut ask: impl FnMut() -> F,
        most: impl Fn(&Error) -> Option<u32>,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (mut failures, mut counted) = (0, 0);
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(most) = most(&error) {
                counted += 1;
                if counted >= most {
                    return Err(error);
                }
            }
            failures += 1;
            self.pause(doing, failures, &error).await;
        }
    }

    /// Waits after a failure.
    async fn pause(self, doing: &str, failures: u32, error: &Error) {
        let grown = WAITS.backoff(failures, 0.5);
        let wait = match error.retry() {
            Retry::Transient { retry_after } => grown.max(retry_after.unwrap_or_default()),
            Retry::Permanent => grown,
            // A throttled source states itself when to ask again.
            Retry::Throttled { retry_after } | Retry::AuthPaused { retry_after } => retry_after,
        };
        // A long pause is waited for in steps, so that the run notices a pause that ends early.
        let wait = wait.clamp(Duration::from_millis(10), WAITS.max);
        tracing::warn!(run = %self.run, doing, error = %error.explain(self.wording), ?wait, "a run waits");
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn error(kind: ErrorKind, retry: Retry) -> Error {
        Error::new(kind, retry, "away")
    }

    /// Asks a source that fails until an hour has passed. Returns the number of calls, and the time after which the
    /// source answered.
    async fn outage(kind: ErrorKind, retry: Retry) -> Result<(u32, Duration)> {
        let (began, asked) = (Instant::now(), AtomicU32::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            let over = began.elapsed() >= Duration::from_secs(3_600);
            if over { Ok(()) } else { Err(error(kind, retry)) }
        };
        Patience::of(RunId(1), ToString::to_string).source("asking", ask).await?;
        Ok((asked.load(Ordering::SeqCst), began.elapsed()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_any_outage_is_waited_out_with_few_calls_and_ends_within_a_minute() {
        let retry_after = Duration::from_secs(5);
        for (kind, retry) in [
            (ErrorKind::Unavailable, Retry::Transient { retry_after: None }),
            (ErrorKind::Protocol, Retry::Throttled { retry_after: Duration::from_secs(60) }),
            (ErrorKind::RateLimited, Retry::Throttled { retry_after: Duration::from_secs(1_320) }),
            (ErrorKind::Unauthorized, Retry::AuthPaused { retry_after: Duration::from_secs(900) }),
            (ErrorKind::Unavailable, Retry::Throttled { retry_after }),
        ] {
            let (asked, took) = outage(kind, retry).await.expect("it ended");
            assert!(
                asked < 1_000 && took < Duration::from_secs(3_661),
                "{kind:?} {retry:?}: {asked} {took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_protocol_error_and_a_permanent_error_fail_the_run() {
        let transient = Retry::Transient { retry_after: None };
        assert!(outage(ErrorKind::Protocol, transient).await.is_err());
        assert!(outage(ErrorKind::Invalid, Retry::Permanent).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_waits_for_the_store_after_every_error_except_a_lost_lease_or_a_bug() {
        let store = |kind: ErrorKind, retry: Retry| async move {
            let began = Instant::now();
            let ask = || async move {
                let over = began.elapsed() >= Duration::from_secs(3_600);
                if over { Ok(()) } else { Err(error(kind, retry)) }
            };
            Patience::of(RunId(1), ToString::to_string).store("asking", ask).await.map(|()| began.elapsed())
        };
        let transient = Retry::Transient { retry_after: None };
        assert!(store(ErrorKind::Unavailable, transient).await.is_ok());
        assert!(store(ErrorKind::Config, Retry::Permanent).await.is_ok(), "a password is being changed");
        assert!(store(ErrorKind::Conflict, Retry::Permanent).await.is_err());
        assert!(store(ErrorKind::Internal, transient).await.is_err());
    }
}
