//! Registers what is missing. An install that was interrupted looks again at what Zoho then shows, and goes on from
//! there. So nothing is registered twice, whatever the interrupted call did.

use std::{collections::BTreeSet, time::Duration};

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    queue::Lane,
};
use tds_zoho::{
    ZohoClient,
    rules::{Destination, Pace, Plan, Step, StepOutcome},
};
use tokio::time::Instant;

use super::{Before, Look, Rules};
use crate::hint::command;

/// How many times an install begins.
const ATTEMPTS: u32 = 3;
/// How many times the steps of one attempt are taken: what replaces something is registered, then what it replaces is
/// deleted, then nothing is left.
const ROUNDS: u32 = 3;
/// The shortest wait before an install goes on.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest wait. Zoho's refusals because of the rate last one minute, then two. Nobody waits at a terminal for longer
/// ones.
const LONGEST: Duration = Duration::from_secs(130);
/// The time for which a creation that was not answered may still take effect.
const LATE: Duration = Duration::from_secs(60);

/// What an install has done so far, whether it ends well or not.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// True if there was something to do.
    pub(crate) has_changed: bool,
    /// The paths whose deliveries come from other webhooks now.
    pub(crate) switched: BTreeSet<String>,
    /// A creation was not answered, and may still take effect.
    pub(crate) is_in_doubt: bool,
}

/// What became of the steps of some plans.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The steps that Zoho took.
    pub(crate) taken: usize,
    /// Those that it refused.
    pub(crate) refused: usize,
    /// The paths whose deliveries come from other webhooks now.
    switched: BTreeSet<String>,
}

/// Something that shows lines to people.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(&str) + Send);

impl Rules {
    /// Looks as [`Rules::look`]. If something does not answer, or Zoho refuses calls because of its limits, it waits and
    /// looks again, as an install does.
    ///
    /// # Errors
    /// Those of [`Rules::look`], after the last attempt or if the wait would be long.
    pub(crate) async fn look_patiently(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        before: &Before,
        tell: Tell<'_>,
        sleep: impl AsyncFn(Duration),
    ) -> Result<(Look, Pace)> {
        let mut attempt = 1;
        loop {
            let mut pace = Pace::new(self.config.pace);
            let error = match self.look(zoho, destination, before, Lane::Operator, &mut pace).await {
                Ok(look) => return Ok((look, pace)),
                Err(error) => error,
            };
            let Some(wait) = wait_after(&error).filter(|_| attempt < ATTEMPTS) else { return Err(error) };
            attempt += 1;
            tell(&format!("{}; continuing in {:.0} s", error.explain(command), wait.as_secs_f64()));
            sleep(wait).await;
        }
    }

    /// Takes the steps that `look` found. If something does not answer, or Zoho refuses calls because of its limits, the
    /// install waits and goes on by itself, a few times. `tell` gets one line for each step and each wait. `pace` is that
    /// of the look. Returns what is registered then.
    ///
    /// # Errors
    /// Those of [`Rules::look`], after the last attempt or if the wait would be long. The install can begin again at any
    /// time.
    pub(crate) async fn install(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        (look, mut pace): (Look, Pace),
        tell: Tell<'_>,
        sleep: impl AsyncFn(Duration),
        progress: &mut Progress,
    ) -> Result<Look> {
        let (mut before, mut known, mut attempt) = (look.before.clone(), Some(look), 1);
        let mut doubted: Option<Instant> = None;
        loop {
            let ended = match known.take() {
                Some(look) => self.attempt(zoho, destination, look, &mut pace, tell, progress).await,
                None => match self.look(zoho, destination, &before, Lane::Operator, &mut pace).await {
                    Ok(look) => self.attempt(zoho, destination, look, &mut pace, tell, progress).await,
                    Err(error) => Err(error),
                },
            };
            if pace.is_in_doubt() {
                (doubted, progress.is_in_doubt) = (Some(Instant::now()), true);
            }
            let wait = match ended {
                Ok(look) => {
                    let Some(at) = doubted.take() else { return Ok(look) };
                    progress.is_in_doubt = false;
                    before = look.before;
                    let wait = LATE.saturating_sub(at.elapsed());
                    tell(&format!(
                        "a creation was not answered; looking again in {:.0} s, because it may still take effect",
                        wait.as_secs_f64()
                    ));
                    wait
                }
                Err(error) => {
                    let Some(wait) = wait_after(&error).filter(|_| attempt < ATTEMPTS) else {
                        return Err(error);
                    };
                    attempt += 1;
                    tell(&format!("{}; continuing in {:.0} s", error.explain(command), wait.as_secs_f64()));
                    wait
                }
            };
            sleep(wait).await;
            pace = Pace::new(self.config.pace);
        }
    }

    /// Takes all steps, and then those that waited for them. Returns what is registered then.
    async fn attempt(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        mut look: Look,
        pace: &mut Pace,
        tell: Tell<'_>,
        progress: &mut Progress,
    ) -> Result<Look> {
        for round in 0..ROUNDS {
            // After the first round, only what it replaced or doubled is left to be deleted. Something that Zoho still
            // does not show would be created for ever.
            let is_due = |step: &Step| !step.waits && (round == 0 || step.is_removal());
            if !look.plans.iter().flat_map(|plan| &plan.steps).any(is_due) {
                break;
            }
            progress.has_changed = true;
            let mut done = Done::default();
            let taken =
                take_all(zoho, &look.plans, Some(destination), pace, tell, (&is_due, &mut done)).await;
            progress.switched.append(&mut done.switched);
            taken?;
            if round > 0 && done.taken == 0 {
                break;
            }
            // Zoho may have done less than it said, so the result is what it shows now.
            look = self.look(zoho, destination, &look.before, Lane::Operator, pace).await?;
        }
        Ok(look)
    }
}

/// Takes the steps of the plans that are due.
///
/// # Errors
/// Those of [`ZohoClient::register`]. The steps that follow are not taken.
pub(crate) async fn take_all(
    zoho: &ZohoClient,
    plans: &[Plan],
    destination: Option<&Destination>,
    pace: &mut Pace,
    tell: Tell<'_>,
    (is_due, done): (&(dyn Fn(&Step) -> bool + Sync), &mut Done),
) -> Result<()> {
    let steps = plans.iter().flat_map(|plan| plan.steps.iter().map(move |step| (plan, step)));
    for (plan, step) in steps.filter(|(_, step)| is_due(step)) {
        let name = format!("{} {:?}", step.action(), step.name);
        let taken = zoho.register(plan.api, step, destination, pace).await;
        match taken.map_err(|error| error.context(&name))? {
            StepOutcome::Done => {
                done.taken += 1;
                let of_step = plan.states.iter().filter(|state| state.target.rule_name() == step.group);
                if step.switches() {
                    done.switched.extend(of_step.map(|state| state.target.path.clone()));
                }
                tell(&format!("{name}: done"));
            }
            StepOutcome::Skipped => tell(&format!("{name}: not tried")),
            StepOutcome::Refused(reason) => {
                done.refused += 1;
                tell(&format!("{name}: {reason}"));
            }
        }
    }
    Ok(())
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
        sim::AutomationLimits,
        testkit::{FakeZoho, Fault},
    };

    use super::*;
    use crate::app::rules::tests::config_with;

    const BASE: &str = "https://tds.example.com";

    struct Installed {
        look: Look,
        has_changed: bool,
        switched: BTreeSet<String>,
    }

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
            self.install_with(&[], &Before::default(), at_wait).await
        }

        /// Installs with further settings.
        async fn install_with(
            &mut self,
            settings: &[(&str, &str)],
            before: &Before,
            at_wait: impl Fn(&FakeZoho, usize),
        ) -> Result<Installed> {
            let config = config_with(&self.zoho, settings);
            let catalogue = config.entities.of(&Catalogue::default()).expect("known names");
            let rules = Rules::of(&config, &catalogue);
            let client =
                ZohoClient::new(config.zoho.clone().expect("Zoho"), Arc::new(SystemClock)).expect("a client");
            let destination = rules.destination(BASE).expect("a secret");
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
            let looked = rules.look_patiently(&client, &destination, before, &mut tell, sleep).await?;
            let mut progress = Progress::default();
            let look = rules.install(&client, &destination, looked, &mut tell, sleep, &mut progress).await?;
            Ok(Installed { look, has_changed: progress.has_changed, switched: progress.switched })
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
            (throttled(44, 45), vec![45, 45]),
            (throttled(43, 45), vec![45, 45]),
            (throttled(1_070, 30), vec![30, 30]),
            // A creation that was not answered may still take effect later.
            (Fault::Html(502), vec![2, 2, 58]),
            (Fault::Status(500, 1_000, "Internal error".to_owned()), vec![2, 2, 58]),
            (Fault::answer_lost(), vec![2, 2, 58]),
            (Fault::failed_after_commit(504), vec![2, 2, 58]),
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
        assert_eq!(case.waits(), [2, 20, 38], "{}", case.lines);
        assert!(case.is_whole());
    }

    #[tokio::test]
    async fn a_refusal_at_the_first_look_is_waited_for_as_well() {
        let mut case = Case::new().await;
        case.zoho.faults().next("/settings/", 1, throttled(44, 45));
        assert!(case.install(nothing).await.expect("an end").has_changed);
        assert_eq!(case.waits(), [45], "{}", case.lines);
        assert!(case.is_whole());
    }

    #[tokio::test]
    async fn a_creation_that_takes_effect_late_is_deleted_again() {
        let mut case = Case::new().await;
        // Zoho does nothing at first, and what it was asked for when the install is over.
        case.zoho.faults().next_writes("/settings/workflows", 1, Fault::Html(502));
        let installed = case.install(|zoho, number| {
            if number == 2 {
                let rule = zoho.registered_rules(Api::Books).remove(0);
                zoho.enter_registered(Api::Books, rule);
            }
        });
        assert!(!installed.await.expect("an end").look.is_wrong());
        assert_eq!(case.waits(), [2, 58], "{}", case.lines);
        assert!(case.is_whole() && case.lines.contains("delete rule"), "{}", case.lines);
    }

    #[tokio::test]
    async fn a_moved_module_is_deleted_after_the_other_product_shows_what_replaces_it() {
        let mut case = Case::new().await;
        case.install(nothing).await.expect("an end");
        let moved = [("TDS_WEBHOOK_MODULES", "products=inventory:item")];
        let names = |case: &Case| {
            let count =
                |api| (case.zoho.registered_webhooks(api).len(), case.zoho.registered_rules(api).len());
            (count(Api::Books), count(Api::Inventory))
        };
        // Inventory refuses everything with code 57, or the new name is refused.
        for (limits, faulty) in [(None, true), (Some(vec!["contact".to_owned()]), false)] {
            if faulty {
                case.zoho.faults().every("/inventory/v1/settings/", 1, Fault::not_authorized(Some(57)));
            }
            if let Some(modules) = limits {
                case.zoho.set_automation_limits(AutomationLimits { modules, ..AutomationLimits::default() });
            }
            let Installed { look, .. } =
                case.install_with(&moved, &Before::default(), nothing).await.expect("an end");
            assert_eq!(names(&case), ((2, 2), (0, 0)), "{}", case.lines);
            let left = look.plans.iter().flat_map(|plan| &plan.steps).count();
            assert_eq!((look.unreadable.len(), left > 0), (usize::from(faulty), !faulty), "{}", case.lines);
            case.zoho.faults().clear();
            case.zoho.set_automation_limits(AutomationLimits::default());
        }
        let Installed { look, switched, .. } =
            case.install_with(&moved, &Before::default(), nothing).await.expect("an end");
        assert_eq!(names(&case), ((0, 0), (2, 2)), "{}", case.lines);
        assert!(!look.is_wrong() && switched.contains("products"));
    }

    #[tokio::test]
    async fn webhooks_whose_deliveries_are_refused_are_created_again_once() {
        let mut case = Case::new().await;
        case.install(nothing).await.expect("an end");
        let ids = |case: &Case| {
            let webhooks = case.zoho.registered_webhooks(Api::Books);
            webhooks.iter().map(|one| one["webhook_id"].to_string()).collect::<HashSet<_>>()
        };
        let first = ids(&case);
        let refused = BTreeSet::from(["products".to_owned()]);
        let before = Before { refused: refused.clone(), ..Before::default() };
        let installed = case.install_with(&[], &before, nothing).await.expect("an end");
        assert!(!installed.look.is_wrong() && installed.switched == refused);
        assert!(case.is_whole() && ids(&case).is_disjoint(&first), "{}", case.lines);
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
