//! The second look: what looked different once is read from the source before it is reported.

use std::{collections::HashSet, time::Duration};

use time::OffsetDateTime;

use super::{
    Verifying,
    position::{Phase, Position},
};
use crate::{
    error::Result,
    guard::SyncState,
    mirror::{Difference, FieldDifference, Presence},
    record::{Content, Observed, Read, RecordId, same_value},
    runs::RunEnd,
    verify::{DriftClass, Look, Suspect},
};

/// The number of suspects that are looked at together.
const BATCH: usize = 100;
/// A record that is still changing at its sixth look is reported as such.
const LOOKS: u16 = 6;
/// The number of unreadable records that the run names.
const MESSAGES: usize = 3;
/// The number of waits after which a change is no longer young.
pub(super) const WAITS: u32 = 4;

impl Verifying<'_> {
    /// Looks at every suspect until it is decided. Returns what is next.
    pub(super) async fn look(&self, position: &Position) -> Result<Phase> {
        if self.is_too_many(position) {
            self.relist(position).await?;
        }
        let mut waited_for = 0;
        loop {
            let mut batch = self.suspects(BATCH).await?;
            let Some(looks) = batch.first().map(|suspect| suspect.looks) else { break };
            // One wait is enough for all suspects with as many looks.
            if looks > waited_for {
                tokio::time::sleep(self.verifier.settings.quiet / WAITS).await;
                waited_for = looks;
            }
            batch.retain(|suspect| suspect.looks == looks);
            self.look_at(&batch).await?;
        }
        // Before the repairs are enqueued, which may fail too.
        if let Some((failed, reason)) = self.unreadable().await? {
            let end = RunEnd::RecordsFailed { failed, reason };
            let store = || self.verifier.runs.end_run(self.lease.run.id, self.lease.token, end.clone());
            self.patience().store("storing which records cannot be read", store).await?;
        }
        Ok(Phase::Repair)
    }

    /// Returns the number of records that cannot be read, and what went wrong.
    pub(super) async fn unreadable(&self) -> Result<Option<(usize, String)>> {
        let look = || self.verifier.store.unreadable(self.lease.run.id, MESSAGES);
        let (count, first) = self.patience().store("reading which records cannot be read", look).await?;
        if count == 0 {
            return Ok(None);
        }
        let first: Vec<String> = first.into_iter().map(|(id, error)| format!("{id}: {error}")).collect();
        let reason = format!(
            "{count} records of {} could not be compared, because they could not be read from the source: {}",
            self.lease.run.entity_type,
            first.join("; ")
        );
        Ok(Some((usize::try_from(count).unwrap_or(usize::MAX), reason)))
    }

    async fn suspects(&self, limit: usize) -> Result<Vec<Suspect>> {
        let next = || self.verifier.store.suspects(self.lease.run.id, limit);
        self.patience().store("reading the records to look at again", next).await
    }

    /// Reads suspects from the source, and stores what was found.
    async fn look_at(&self, suspects: &[Suspect]) -> Result<()> {
        let ids: Vec<RecordId> = suspects.iter().map(|suspect| suspect.id.clone()).collect();
        let (before, in_work_before) = (self.states(&ids).await?, self.in_work(&ids).await?);
        let found = self.read_and_compare(&ids).await?;
        let (states, in_work) = (self.states(&ids).await?, self.in_work(&ids).await?);
        // A record that was written between its read and the comparison differs from the read without being wrong.
        let is_moving = |id: &RecordId| {
            in_work_before.contains(id) || in_work.contains(id) || before.get(id) != states.get(id)
        };
        let now = self.verifier.clock.now();
        let looks: Vec<(Suspect, Look)> = found
            .into_iter()
            .zip(suspects)
            .map(|((id, found), suspect)| {
                let look = match found {
                    Err(error) => Look::Unreadable { error: error.explain(self.verifier.wording) },
                    Ok((_, None)) => Look::Clean,
                    Ok((read, Some(difference))) => {
                        let moment = Moment {
                            state: states.get(&id),
                            is_moving: is_moving(&id),
                            suspect,
                            now,
                            quiet: self.verifier.settings.quiet,
                        };
                        moment.judge(&read, difference)
                    }
                };
                (suspect.clone(), look)
            })
            .collect();
        self.store(&looks).await
    }

    pub(super) async fn in_work(&self, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        let entity = &self.lease.run.entity_type;
        let ask = || self.verifier.store.in_work(entity, ids);
        self.patience().store("looking for work on records", ask).await
    }

    pub(super) async fn store(&self, looks: &[(Suspect, Look)]) -> Result<()> {
        let (run, schema) = (self.lease.run.id, self.source.schema());
        let store = || self.verifier.store.looked(run, schema, looks);
        self.patience().store("storing what a look showed", store).await
    }
}

/// What is known about a suspect at the moment of a look.
pub(super) struct Moment<'a> {
    pub(super) state: Option<&'a SyncState>,
    /// The queue has work on the record, or the record was written during the look.
    pub(super) is_moving: bool,
    /// The record, with what the look before showed.
    pub(super) suspect: &'a Suspect,
    pub(super) now: OffsetDateTime,
    pub(super) quiet: Duration,
}

impl Moment<'_> {
    /// Decides on a record that differs from a whole read.
    pub(super) fn judge(&self, read: &Read, difference: Difference) -> Look {
        let is_young = |version: OffsetDateTime| self.now - version < self.quiet;
        let version = match &read.content {
            Content::Present(record) => record.version,
            Content::Absent => None,
        };
        let seen_later = |state: &SyncState| match read.observed {
            Observed::Call(seen) => state.observed.interval().ended >= seen.began,
            Observed::Push(_) => false,
        };
        let changes = self.is_moving || version.is_some_and(is_young) || self.state.is_some_and(seen_later);
        // The source moves volatile values, and deletes records, without a version that tells when. The change may be on
        // its way, so two looks have to show the same difference.
        let is_timed = version.is_some() && shows_timed(read, &difference);
        let is_seen_twice = || self.suspect.looks > 0 && are_equal(&self.suspect.fields, &difference.fields);
        if !changes && (is_timed || is_seen_twice()) {
            Look::Drift { class: self.class(read, &difference), fields: difference.fields }
        } else if self.suspect.looks + 1 >= LOOKS {
            Look::InFlight
        } else {
            Look::Again { fields: difference.fields }
        }
    }

    fn class(&self, read: &Read, difference: &Difference) -> DriftClass {
        let Content::Present(record) = &read.content else { return DriftClass::MissingRemote };
        match (difference.presence, self.state) {
            (Presence::Missing | Presence::Deleted, _) => DriftClass::MissingLocal,
            (Presence::Live, Some(state)) if record.version > state.version => DriftClass::Stale,
            (Presence::Live, _) => DriftClass::FieldDiff,
        }
    }
}

/// Returns true if two looks showed the same values. The store may spell the values of the earlier look differently.
fn are_equal(earlier: &[FieldDifference], now: &[FieldDifference]) -> bool {
    let is_same = |(one, other): (&FieldDifference, &FieldDifference)| {
        one.field == other.field
            && same_value(&one.source, &other.source)
            && same_value(&one.target, &other.target)
    };
    earlier.len() == now.len() && earlier.iter().zip(now).all(is_same)
}

/// Returns true if a difference is in a value that changes together with the version.
fn shows_timed(read: &Read, difference: &Difference) -> bool {
    let Content::Present(record) = &read.content else { return false };
    difference.presence != Presence::Live
        || difference.fields.iter().any(|field| !record.volatile.contains_key(&field.field))
}
