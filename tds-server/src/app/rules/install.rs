//! Registers what is missing. An install that was interrupted looks again at what Zoho then shows, and goes on from
//! there. So nothing is registered twice, whatever the interrupted call did.

use std::time::Duration;

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    queue::Lane,
};
use tds_zoho::{
    ZohoClient,
    rules::{Destination, Pace, Plan, StepOutcome},
};

use super::{Look, Rules};
use crate::hint::command;

/// How many times an install begins.
const ATTEMPTS: u32 = 3;
/// The shortest wait before an install goes on.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest wait. Zoho's refusals because of the rate last one minute, then two. Nobody waits at a terminal for longer
/// ones.
const LONGEST: Duration = Duration::from_secs(130);

/// What an install did.
pub(crate) struct Installed {
    /// What is registered now.
    pub(crate) look: Look,
    /// True if there was something to do.
    pub(crate) has_changed: bool,
}

impl Rules {
    /// Takes the steps that `look` found. If something does not answer, or Zoho refuses calls because of its limits, the
    /// install waits and goes on by itself, a few times. `tell` gets one line for each step and each wait. `pace` is that
    /// of the look.
    ///
    /// # Errors
    /// Those of [`Rules::look`], after the last attempt or if the wait would be long. The install can begin again at any
    /// time.
    pub(crate) async fn install(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        (look, mut pace): (Look, Pace),
        tell: &mut (dyn FnMut(&str) + Send),
        sleep: impl AsyncFn(Duration),
    ) -> Result<Installed> {
        let (mut known, mut has_changed, mut attempt) = (Some(look), false, 1);
        loop {
            let error = match self.attempt(zoho, destination, known.take(), &mut pace, tell).await {
                Ok((look, has_steps)) => {
                    return Ok(Installed { look, has_changed: has_changed || has_steps });
                }
                Err(error) => error,
            };
            let Some(wait) = wait_after(&error).filter(|_| attempt < ATTEMPTS) else { return Err(error) };
            // Only a step ends with an error after a look that is known.
            (has_changed, attempt) = (true, attempt + 1);
            tell(&format!("{}; continuing in {:.0} s", error.explain(command), wait.as_secs_f64()));
            sleep(wait).await;
            pace = Pace::new(self.config.pace);
        }
    }

    /// Takes all steps once. Returns what is registered then, and whether there were any steps.
    async fn attempt(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        known: Option<Look>,
        pace: &mut Pace,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(Look, bool)> {
        let look = match known {
            Some(look) => look,
            None => self.look(zoho, destination, Lane::Operator, pace).await?,
        };
        if look.plans.iter().all(|plan| plan.steps.is_empty()) {
            return Ok((look, false));
        }
        take_all(zoho, &look.plans, Some(destination), pace, tell).await?;
        // Zoho may have done less than it said, so the result is what it shows now.
        Ok((self.look(zoho, destination, Lane::Operator, pace).await?, true))
    }
}

/// Takes the steps of the plans. Returns how many Zoho refused.
///
/// # Errors
/// Those of [`ZohoClient::register`]. The steps that follow are not taken.
pub(crate) async fn take_all(
    zoho: &ZohoClient,
    plans: &[Plan],
    destination: Option<&Destination>,
    pace: &mut Pace,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<usize> {
    let mut refused = 0;
    for (api, step) in plans.iter().flat_map(|plan| plan.steps.iter().map(|step| (plan.api, step))) {
        let name = format!("{} {:?}", step.action(), step.name);
        let taken = zoho.register(api, step, destination, pace).await;
        match taken.map_err(|error| error.context(&name))? {
            StepOutcome::Done => tell(&format!("{name}: done")),
            StepOutcome::Skipped => tell(&format!("{name}: not tried")),
            StepOutcome::Refused(reason) => {
                refused += 1;
                tell(&format!("{name}: {reason}"));
            }
        }
    }
    Ok(refused)
}

/// Returns how long to wait after an error; `None` if waiting does not help, or takes too long.
fn wait_after(error: &Error) -> Option<Duration> {
    // Calls for an operator are tried even after the day's last one.
    if error.kind() == ErrorKind::QuotaExhausted {
        return None;
    }
    let wait = match error.retry() {
        Retry::Transient { retry_after } => retry_after.unwrap_or_default(),
        Retry::Throttled { retry_after } => retry_after,
        Retry::Permanent | Retry::AuthPaused { .. } => return None,
    };
    Some(wait.max(PAUSE)).filter(|wait| *wait <= LONGEST)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::{Arc, Mutex},
    };

    use tds_core::{clock::SystemClock, lock::lock};
    use tds_zoho::{
        entities::{Api, Catalogue},
        testkit::{FakeZoho, Fault},
    };

    use super::*;
    use crate::app::rules::tests::config;

    const BASE: &str = "https://tds.example.com";

    /// An organization without webhooks, and the waits of the installs that were made.
    struct Case {
        zoho: FakeZoho,
        waits: Mutex<Vec<Duration>>,
        lines: String,
    }

    impl Case {
        async fn new() -> Self {
            Self { zoho: FakeZoho::start().await, waits: Mutex::default(), lines: String::new() }
        }

        /// Installs as a new command does. A wait takes no time, but the clock of the limits goes on. `at_wait` is called
        /// at each wait with its number.
        async fn install(&mut self, at_wait: impl Fn(&FakeZoho, usize)) -> Result<Installed> {
            let config = config(&self.zoho);
            let catalogue = config.entities.of(&Catalogue::default()).expect("known names");
            let rules = Rules::of(&config, &catalogue);
            let client =
                ZohoClient::new(config.zoho.clone().expect("Zoho"), Arc::new(SystemClock)).expect("a client");
            let destination = rules.destination(BASE).expect("a secret");
            let mut pace = Pace::new(config.rules.pace);
            let look = rules.look(&client, &destination, Lane::Operator, &mut pace).await?;
            let (zoho, waits, lines) = (&self.zoho, &self.waits, &mut self.lines);
            let sleep = async |wait| {
                let number = {
                    let mut waits = lock(waits);
                    waits.push(wait);
                    waits.len()
                };
                at_wait(zoho, number);
                tokio::time::pause();
                tokio::time::advance(wait).await;
                tokio::time::resume();
            };
            let mut tell = |line: &str| lines.push_str(&format!("{line}\n"));
            rules.install(&client, &destination, (look, pace), &mut tell, sleep).await
        }

        /// Returns the waits in seconds, rounded: a moment of each pause has passed when it is known.
        fn waits(&self) -> Vec<u128> {
            lock(&self.waits).iter().map(|wait| (wait.as_millis() + 500) / 1_000).collect()
        }

        /// Checks that each webhook and each rule exists once.
        fn is_whole(&self) -> bool {
            let names = |rows: Vec<serde_json::Value>, key: &str| {
                let names: Vec<String> =
                    rows.iter().map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect();
                assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "doubled: {names:?}");
                names.len()
            };
            let webhooks = names(self.zoho.registered_webhooks(Api::Books), "webhook_name");
            let rules = names(self.zoho.registered_rules(Api::Books), "workflow_name");
            (webhooks, rules) == (2, 2)
        }
    }

    fn nothing(_: &FakeZoho, _: usize) {}

    fn throttled(code: i64, retry_after: u32) -> Fault {
        Fault::RetryAfter429 { retry_after: retry_after.to_string(), code }
    }

    #[tokio::test]
    async fn an_install_waits_as_long_as_zoho_says_and_goes_on_without_doubling_anything() {
        for (fault, waits) in [
            (throttled(44, 45), [45, 45]),
            (throttled(43, 45), [45, 45]),
            (throttled(1_070, 30), [30, 30]),
            (Fault::Html(502), [2, 2]),
            (Fault::Status(500, 1_000, "Internal error".to_owned()), [2, 2]),
            (Fault::answer_lost(), [2, 2]),
            (Fault::failed_after_commit(504), [2, 2]),
        ] {
            let mut case = Case::new().await;
            case.zoho.faults().next_writes("/settings/", 2, fault.clone());
            let installed = case.install(nothing).await;
            let installed = installed.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert!(installed.has_changed && !installed.look.is_wrong(), "{fault:?}");
            assert_eq!(case.waits(), waits, "{fault:?}: {}", case.lines);
            assert!(case.is_whole(), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_look_that_fails_after_an_interruption_is_one_more_interruption() {
        let mut case = Case::new().await;
        case.zoho.faults().next_writes("/settings/", 1, Fault::answer_lost());
        let installed = case
            .install(|zoho, number| {
                if number == 1 {
                    zoho.faults().next("/settings/", 1, throttled(44, 20));
                }
            })
            .await;
        assert!(installed.expect("an end").has_changed);
        assert_eq!(case.waits(), [2, 20], "{}", case.lines);
        assert!(case.is_whole());
    }

    #[tokio::test]
    async fn an_install_ends_after_three_attempts_or_at_a_long_refusal_and_a_later_one_completes_it() {
        // Each of the three attempts does one step; and nobody waits for hours.
        for (fault, waits) in [
            (Fault::answer_lost(), vec![2, 2]),
            (throttled(44, 7_200), vec![]),
            (throttled(45, 7_200), vec![]),
        ] {
            let mut case = Case::new().await;
            case.zoho.faults().next_writes("/settings/", 100, fault.clone());
            let error = case.install(nothing).await.err().expect("no end").explain(command);
            assert_eq!(case.waits(), waits, "{fault:?}: {}", case.lines);
            assert!(error.contains("webhook \"TDS item "), "the error names the step: {error}");
            assert!(!case.is_whole());
            case.zoho.faults().clear();
            assert!(case.install(nothing).await.expect("an end").has_changed, "{fault:?}");
            assert!(case.is_whole(), "{fault:?}");
            assert!(!case.install(nothing).await.expect("an end").has_changed, "nothing is left to do");
            assert_eq!(case.waits(), waits, "{fault:?}: {}", case.lines);
        }
    }
}
