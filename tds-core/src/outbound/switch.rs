//! The switch of an entity type to another mode: the whole procedure, which refuses while anything differs.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use super::{ConflictStatus, EntityMode, Mode, ModeChange, Modes, OutboxOperator};
use crate::{
    closed_set::closed_set,
    error::{Error, Result},
    queue::QueueOperator,
    record::EntityType,
    runs::RunStatus,
    verify::VerificationReport,
};

/// How often the procedure looks whether everything is drained.
const LOOK: Duration = Duration::from_millis(250);

closed_set! {
    /// The steps of a switch, in order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum SwitchStep {
        /// Nothing waits for a person: no dead letter and no open conflict.
        Check = "check",
        /// Every captured change is settled.
        Drain = "drain",
        /// Both sides are compared.
        Verify = "verify",
        /// The sums of money are compared.
        Money = "money",
        /// Items of the entity type wait, and nothing is left that was captured in the meantime.
        Pause = "pause",
        /// The mode changes, and a new epoch begins.
        Flip = "flip",
        /// Items of the entity type are processed again.
        Resume = "resume",
    }
}

/// The switch of entity types to other modes.
///
/// The procedure may end at any step: until the flip the old mode holds, and afterwards the new one. If the process ends
/// between pause and resume, the entity type stays paused, which operators see and end.
pub struct ModeSwitch<'a> {
    /// The modes.
    pub modes: &'a dyn Modes,
    /// The conflicts.
    pub outbox: &'a dyn OutboxOperator,
    /// The queue.
    pub queue: &'a dyn QueueOperator,
    /// How long the procedure waits for what is under way.
    pub patience: Duration,
}

impl ModeSwitch<'_> {
    /// Switches an entity type. `verify` compares both sides of the entity type and returns the report. `progress` is
    /// called when a step begins.
    ///
    /// # Errors
    /// `Conflict`: something waits for a person, differs or does not end, and the message says what and what to do.
    /// Nothing was switched then. Any other kind: a store cannot be reached, or the comparison failed.
    pub async fn run<V>(
        &self,
        entity: &EntityType,
        mode: Mode,
        verify: impl FnOnce() -> V + Send,
        progress: &(dyn Fn(SwitchStep) + Sync),
    ) -> Result<EntityMode>
    where
        V: Future<Output = Result<VerificationReport>> + Send,
    {
        let current = self.mode(entity).await?;
        if current.mode == mode {
            return Err(Error::conflict(format!("{entity} has this mode already")));
        }
        progress(SwitchStep::Check);
        self.check(entity).await?;
        progress(SwitchStep::Drain);
        self.drain(entity).await?;
        progress(SwitchStep::Verify);
        let report = verify().await?;
        agrees(entity, &report)?;
        progress(SwitchStep::Money);
        balances(&report)?;
        progress(SwitchStep::Pause);
        let was_paused = self.queue.paused().await?.contains_key(entity);
        self.queue.set_paused(entity, true).await?;
        let flipped = self.flip(entity, mode, &current, progress).await;
        if !was_paused {
            progress(SwitchStep::Resume);
            self.queue.set_paused(entity, false).await?;
        }
        flipped
    }

    async fn mode(&self, entity: &EntityType) -> Result<EntityMode> {
        let modes = self.modes.modes().await?;
        let set = modes.into_iter().find(|mode| mode.entity == *entity);
        Ok(set.unwrap_or_else(|| EntityMode::initial(entity.clone())))
    }

    async fn check(&self, entity: &EntityType) -> Result<()> {
        let dead = self.queue.stats().await?.by_entity.get(entity).map_or(0, |counts| counts.dead_letter);
        if dead > 0 {
            let text =
                format!("{dead} dead letters of {entity} wait for a person: retry or discard them first");
            return Err(Error::conflict(text));
        }
        let open = self.outbox.conflicts(Some(ConflictStatus::Open), Some(entity), None, 1).await?;
        if !open.items.is_empty() {
            let text = format!("conflicts of {entity} are open: resolve them first");
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    /// Waits until every captured change is settled. Work in the other direction never ends in a busy shop; the
    /// comparison judges it.
    async fn drain(&self, entity: &EntityType) -> Result<()> {
        let until = Instant::now() + self.patience;
        loop {
            let pending = self.modes.pending(entity).await?;
            if pending == 0 {
                return Ok(());
            }
            if Instant::now() >= until {
                let text = format!(
                    "{pending} local changes of {entity} are still under way: look whether the server works and what \
                     the outbox shows, and switch again"
                );
                return Err(Error::conflict(text));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn flip(
        &self,
        entity: &EntityType,
        mode: Mode,
        current: &EntityMode,
        progress: &(dyn Fn(SwitchStep) + Sync),
    ) -> Result<EntityMode> {
        let pending = self.modes.pending(entity).await?;
        if pending > 0 {
            let text =
                format!("{pending} local changes of {entity} were made during the switch: switch again");
            return Err(Error::conflict(text));
        }
        progress(SwitchStep::Flip);
        let change = ModeChange {
            entity: entity.clone(),
            mode: Some(mode),
            policy: None,
            fields: None,
            epoch: Some(current.epoch),
        };
        self.modes.set_mode(&change).await
    }
}

/// Refuses a comparison that found drift or that is not complete.
fn agrees(entity: &EntityType, report: &VerificationReport) -> Result<()> {
    let drift = report.drift_total();
    if drift > 0 {
        let text = format!(
            "{drift} records of {entity} differ (verification {}): look at them, repair them, and switch again",
            report.id
        );
        return Err(Error::conflict(text));
    }
    if report.status != RunStatus::Completed {
        let text = format!(
            "verification {} ended as {}: look at its run, and switch again",
            report.id, report.status
        );
        return Err(Error::conflict(text));
    }
    let in_flight: u64 = report.entities.iter().map(|entity| entity.in_flight).sum();
    if in_flight > 0 {
        let text =
            format!("{in_flight} records of {entity} were changing during the comparison: switch again");
        return Err(Error::conflict(text));
    }
    Ok(())
}

/// Refuses sums of money that differ.
fn balances(report: &VerificationReport) -> Result<()> {
    let failing: Vec<&str> =
        report.money.iter().filter(|row| !row.holds).map(|row| row.check.as_str()).collect();
    if failing.is_empty() {
        return Ok(());
    }
    let text = format!(
        "the sums of money differ ({}): verification {} names the records; mend them, and switch again",
        failing.join(", "),
        report.id
    );
    Err(Error::conflict(text))
}
