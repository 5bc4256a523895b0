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
mod tests;
