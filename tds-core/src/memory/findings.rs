//! What verifications found, in memory.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    mirror::FieldDifference,
    record::RecordId,
    runs::RunId,
    verify::{Finding, MoneyDifference, VerifyCounts},
};

/// What verifications keep.
#[derive(Default)]
pub(super) struct Verifications {
    pub(super) suspects: BTreeMap<(RunId, RecordId), SuspectState>,
    pub(super) counts: BTreeMap<RunId, VerifyCounts>,
    pub(super) completed: BTreeMap<RunId, (OffsetDateTime, Vec<MoneyDifference>)>,
}

#[derive(Clone, Default)]
pub(super) struct SuspectState {
    pub(super) looks: u16,
    /// The fields that differed at the last look.
    pub(super) fields: Vec<FieldDifference>,
    pub(super) decided: Option<Decided>,
}

#[derive(Clone)]
pub(super) enum Decided {
    Clean,
    InFlight,
    Unreadable(String),
    Drift(Finding),
}

impl Verifications {
    pub(super) fn of(&self, run: RunId) -> impl Iterator<Item = (&RecordId, &SuspectState)> {
        let of_run = self.suspects.iter().filter(move |((id, _), _)| *id == run);
        of_run.map(|((_, record), suspect)| (record, suspect))
    }

    pub(super) fn findings(&self, run: RunId) -> impl Iterator<Item = &Finding> {
        self.of(run).filter_map(|(_, suspect)| match &suspect.decided {
            Some(Decided::Drift(finding)) => Some(finding),
            _ => None,
        })
    }

    pub(super) fn repair(&mut self, key: (RunId, RecordId), now: OffsetDateTime) {
        if let Some(Decided::Drift(finding)) =
            self.suspects.get_mut(&key).and_then(|suspect| suspect.decided.as_mut())
        {
            finding.repaired_at = finding.repaired_at.or(Some(now));
        }
    }
}
