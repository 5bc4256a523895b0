//! The switch of an entity type to another mode, with the commands that help where it refuses.

use std::{sync::Mutex, time::Duration};

use tds_core::{
    error::{Error, ErrorKind, Result as CoreResult},
    lock::lock,
    outbound::{Mode, ModeSwitch, SwitchStep},
    record::EntityType,
    verify::VerificationReport,
};
use tds_zoho::write::contract_of;

use super::{Directions, ModeView, mode_name};
use crate::app::{refusal::Refusal, services::OutboundPorts};

/// The request to switch an entity type to another mode.
pub(crate) struct Switch<'a> {
    pub(crate) entity: &'a EntityType,
    pub(crate) mode: Mode,
    /// How long the procedure waits for what is under way.
    pub(crate) patience: Duration,
}

impl Directions {
    /// Switches an entity type to another mode: the whole procedure. `verify` compares both sides of the entity type.
    /// `progress` is told what begins.
    ///
    /// # Errors
    /// Something differs, waits for a person or does not end. The error says what, and which commands help. Nothing was
    /// switched.
    pub(crate) async fn switch<V>(
        &self,
        switch: &Switch<'_>,
        verify: impl FnOnce() -> V + Send,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<ModeView, Refusal>
    where
        V: Future<Output = CoreResult<VerificationReport>> + Send,
    {
        let Switch { entity, mode, patience } = *switch;
        self.check(entity, Some(mode), None)?;
        let OutboundPorts { modes, operator } = self.outbound()?;
        let procedure =
            ModeSwitch { modes: &**modes, outbox: &**operator, queue: &*self.ports.queue, patience };
        let reached = Mutex::new(None);
        let step = |step: SwitchStep| {
            *lock(&reached) = Some(step);
            progress(&begins(step, mode));
        };
        match procedure.run(entity, mode, verify, &step).await {
            Ok(mode) => Ok(ModeView { mode, is_writable: contract_of(entity).is_some() }),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let step = *lock(&reached);
                let commands = step.map(|step| commands(step, entity)).unwrap_or_default();
                let text = format!("{entity} was not switched to {}: {error}{commands}", mode_name(mode));
                Err(Refusal::Store(Error::conflict(text)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Says what a step of a switch does.
fn begins(step: SwitchStep, mode: Mode) -> String {
    let what = match step {
        SwitchStep::Check => "looking for dead letters and open conflicts",
        SwitchStep::Drain => "waiting for local changes that are under way",
        SwitchStep::Verify => "comparing both sides",
        SwitchStep::Money => "checking the sums of money",
        SwitchStep::Pause => "paused; looking for changes that were made in the meantime",
        SwitchStep::Flip => return format!("{step}: changing the mode to {}", mode_name(mode)),
        SwitchStep::Resume => "processing continues",
    };
    format!("{step}: {what}")
}

/// Returns the commands that help if a switch ended at this step.
fn commands(step: SwitchStep, entity: &EntityType) -> String {
    let commands: &[&str] = match step {
        SwitchStep::Check => &["queue list --status dead_letter", "conflicts list --status open"],
        SwitchStep::Drain | SwitchStep::Pause => &["outbox list --status pending"],
        SwitchStep::Verify => &["verify --repair"],
        // The money has no command of its own, and what the last two steps refuse says everything.
        SwitchStep::Money => return "; docs/operations/money.md says how".to_owned(),
        SwitchStep::Flip | SwitchStep::Resume => return String::new(),
    };
    let commands: Vec<String> =
        commands.iter().map(|command| format!("`tds-server {command} --entity {entity}`")).collect();
    format!("; {}", commands.join(", "))
}
