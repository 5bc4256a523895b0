//! Verifications in memory.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore,
    findings::{Decided, SuspectState},
    state::{RunState, State},
};
use crate::{
    error::Result,
    guard::is_ahead,
    mirror::{FieldDifference, MirrorSchema},
    queue::WorkKey,
    record::{EntityType, RecordId, RecordKey},
    runs::{Run, RunId, RunStatus, RunType},
    verify::{
        DriftClass, EntityReport, Finding, LocalRecord, Look, MoneyDifference, Suspect, VerificationReport,
        VerifiedRun, VerifyCounts, VerifyOperator, VerifyStore,
    },
};

#[async_trait]
impl VerifyStore for MemoryStore {
    async fn local_records(
        &self,
        run: RunId,
        schema: &MirrorSchema,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<LocalRecord>> {
        let state = self.state();
        let Some(run) = state.runs.get(&run) else { return Ok(Vec::new()) };
        let ids = state.live_ids(schema).into_iter();
        let rest = ids.filter(|id| after.is_none_or(|after| id > after)).take(limit);
        Ok(rest.map(|id| state.local_record(run, schema, id)).collect())
    }

    async fn in_work(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        let state = self.state();
        let is_in_work = |id: &&RecordId| {
            let key = WorkKey::from(RecordKey::new(entity.clone(), (*id).clone()));
            state.live.contains_key(&key) || state.dead.get(&key).is_some_and(|dead| !dead.is_empty())
        };
        Ok(ids.iter().filter(is_in_work).cloned().collect())
    }

    async fn suspect(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        let suspects = &mut self.state().verifications.suspects;
        for id in ids {
            suspects.entry((run, id.clone())).or_default();
        }
        Ok(())
    }

    async fn suspects(&self, run: RunId, limit: usize) -> Result<Vec<Suspect>> {
        let state = self.state();
        let open = state.verifications.of(run).filter(|(_, suspect)| suspect.decided.is_none());
        let mut open: Vec<Suspect> = open
            .map(|(id, it)| Suspect { id: id.clone(), looks: it.looks, fields: it.fields.clone() })
            .collect();
        open.sort_by_key(|suspect| suspect.looks);
        open.truncate(limit);
        Ok(open)
    }

    async fn looked(&self, run: RunId, schema: &MirrorSchema, looks: &[(Suspect, Look)]) -> Result<()> {
        let mut state = self.state();
        let looked_at = state.now.0;
        let since = state.runs.get(&run).and_then(|run| run.row.started_at);
        for (Suspect { id, looks, .. }, look) in looks {
            let key = RecordKey::new(schema.entity.clone(), id.clone());
            let is_erased = state.erasures_of(&key).any(|erasure| Some(erasure.erased_at) >= since);
            let without = is_erased.then(|| look.without_values());
            let look = without.as_ref().unwrap_or(look);
            let suspect = state.verifications.suspects.get_mut(&(run, id.clone()));
            let is_open = |suspect: &&mut SuspectState| suspect.decided.is_none() && suspect.looks == *looks;
            let Some(suspect) = suspect.filter(is_open) else { continue };
            suspect.looks += 1;
            suspect.decided = match look {
                Look::Again { fields } => {
                    suspect.fields.clone_from(fields);
                    None
                }
                Look::Clean => Some(Decided::Clean),
                Look::InFlight => Some(Decided::InFlight),
                Look::Unreadable { error } => Some(Decided::Unreadable(error.clone())),
                Look::Drift { class, fields } => Some(Decided::Drift(Finding {
                    id: id.clone(),
                    class: *class,
                    fields: fields.clone(),
                    looked_at,
                    repaired_at: None,
                })),
            };
        }
        Ok(())
    }

    async fn sample(&self, run: RunId, size: usize) -> Result<Vec<RecordId>> {
        let state = self.state();
        let Some(run) = state.runs.get(&run) else { return Ok(Vec::new()) };
        let mut listed: Vec<RecordId> = run.listed.keys().cloned().collect();
        // The order is arbitrary, and the same for each call with this run.
        listed.sort_by_key(|id| {
            crate::record::ContentHash::of_bytes(format!("{}:{id}", run.row.id).as_bytes())
        });
        listed.truncate(size);
        Ok(listed)
    }

    async fn count(&self, run: RunId, counts: VerifyCounts) -> Result<()> {
        self.state().verifications.counts.insert(run, counts);
        Ok(())
    }

    async fn unreadable(&self, run: RunId, limit: usize) -> Result<(u64, Vec<(RecordId, String)>)> {
        let state = self.state();
        let unreadable = state.verifications.of(run).filter_map(|(id, suspect)| match &suspect.decided {
            Some(Decided::Unreadable(error)) => Some((id.clone(), error.clone())),
            _ => None,
        });
        let mut unreadable: Vec<(RecordId, String)> = unreadable.collect();
        let count = u64::try_from(unreadable.len()).unwrap_or(u64::MAX);
        unreadable.truncate(limit);
        Ok((count, unreadable))
    }

    async fn differing(&self, run: RunId) -> Result<Vec<(RecordId, DriftClass)>> {
        let state = self.state();
        let open = state.verifications.findings(run).filter(|finding| finding.repaired_at.is_none());
        Ok(open.map(|finding| (finding.id.clone(), finding.class)).collect())
    }
}

#[async_trait]
impl VerifyOperator for MemoryStore {
    async fn report(&self, id: Option<RunId>, examples: usize) -> Result<Option<VerificationReport>> {
        let state = self.state();
        let newest = || state.verify_runs().rev().find_map(|run| run.row.verify?.verification);
        Ok(id.or_else(newest).and_then(|id| state.verification(id, examples)))
    }

    async fn current(&self) -> Result<Vec<EntityReport>> {
        let state = self.state();
        let mut newest: BTreeMap<EntityType, &RunState> = BTreeMap::new();
        for run in state.verify_runs().filter(|run| is_compared(&run.row)) {
            newest.insert(run.row.entity_type.clone(), run);
        }
        Ok(newest.into_values().map(|run| state.entity_report(run, 0)).collect())
    }

    async fn unfinished(&self) -> Result<Vec<RunId>> {
        let state = self.state();
        let mut open: BTreeMap<RunId, bool> = BTreeMap::new();
        for run in state.verify_runs() {
            let Some(id) = run.row.verify.and_then(|part| part.verification) else { continue };
            *open.entry(id).or_default() |= run.row.status.is_active();
        }
        let is_open =
            |(id, is_active): &(RunId, bool)| !is_active && !state.verifications.completed.contains_key(id);
        Ok(open.into_iter().filter(is_open).map(|(id, _)| id).collect())
    }

    async fn repaired(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        let mut state = self.state();
        let now = state.now.0;
        for id in ids {
            state.verifications.repair((run, id.clone()), now);
        }
        Ok(())
    }

    async fn finish(&self, id: RunId, money: &[MoneyDifference]) -> Result<()> {
        let mut state = self.state();
        let now = state.now.0;
        if state.verifications.completed.contains_key(&id) {
            return Ok(());
        }
        state.verifications.completed.insert(id, (now, money.to_vec()));
        Ok(())
    }

    async fn history(&self, since: OffsetDateTime) -> Result<Vec<VerifiedRun>> {
        let state = self.state();
        let ended = state.verify_runs().filter(|run| run.row.completed_at.is_some_and(|at| at >= since));
        let verified = |run: &RunState| {
            let slowest = state
                .verifications
                .findings(run.row.id)
                .filter_map(|finding| Some((finding.repaired_at? - finding.looked_at).as_seconds_f64()));
            VerifiedRun {
                report: state.entity_report(run, 0),
                slowest_repair_seconds: slowest.max_by(f64::total_cmp),
            }
        };
        Ok(ended.map(verified).collect())
    }
}

impl State {
    fn verify_runs(&self) -> impl DoubleEndedIterator<Item = &RunState> {
        self.runs.values().filter(|run| run.row.run_type == RunType::Verify)
    }

    /// Returns the ids of the live records in order.
    fn live_ids(&self, schema: &MirrorSchema) -> Vec<RecordId> {
        let mut ids: Vec<RecordId> = match schema.head {
            Some(_) => {
                let of_type = self.records.iter().filter(|(key, _)| key.entity == schema.entity);
                let live = of_type
                    .filter(|(_, known)| known.row.as_ref().is_some_and(|row| row.deleted_at.is_none()));
                live.map(|(key, _)| key.id.clone()).collect()
            }
            None => {
                let is_own = |table: &str| schema.children.iter().any(|child| child.table == table);
                let own = self.children.iter().filter(|((table, _), rows)| is_own(table) && !rows.is_empty());
                own.map(|((_, owner), _)| owner.clone()).collect()
            }
        };
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn local_record(&self, run: &RunState, schema: &MirrorSchema, id: RecordId) -> LocalRecord {
        let known = self.records.get(&RecordKey::new(schema.entity.clone(), id.clone()));
        let began = run.row.started_at.unwrap_or(run.row.created_at);
        let since = |at: OffsetDateTime| at >= began && !is_ahead(at, self.now.0);
        LocalRecord {
            raw: known.and_then(|known| known.row.as_ref()).map(|row| row.raw.clone()),
            listed: run.listed.contains_key(&id),
            seen_since: known.is_some_and(|known| {
                known
                    .state
                    .as_ref()
                    .is_some_and(|state| since(known.first_seen_at) || since(state.observed.interval().ended))
            }),
            id,
        }
    }

    fn verification(&self, id: RunId, examples: usize) -> Option<VerificationReport> {
        let is_part = |run: &&RunState| run.row.verify.is_some_and(|part| part.verification == Some(id));
        let runs: Vec<&RunState> = self.verify_runs().filter(is_part).collect();
        let first = runs.first()?;
        let completed = self.verifications.completed.get(&id);
        let worst = |statuses: &[RunStatus]| {
            statuses.iter().find(|status| runs.iter().any(|run| run.row.status == **status)).copied()
        };
        let status = match completed {
            None => RunStatus::Running,
            Some(_) => worst(&[RunStatus::Failed, RunStatus::Cancelled, RunStatus::CompletedWithErrors])
                .unwrap_or(RunStatus::Completed),
        };
        Some(VerificationReport {
            id,
            status,
            requested_by: first.row.requested_by.clone(),
            created_at: first.row.created_at,
            started_at: runs.iter().filter_map(|run| run.row.started_at).min(),
            completed_at: completed.map(|(at, _)| *at),
            money: completed.map_or_else(Vec::new, |(_, money)| money.clone()),
            entities: runs.iter().map(|run| self.entity_report(run, examples)).collect(),
        })
    }

    fn entity_report(&self, run: &RunState, examples: usize) -> EntityReport {
        let (row, verifications) = (&run.row, &self.verifications);
        let mut findings: Vec<Finding> = verifications.findings(row.id).cloned().collect();
        findings.sort_by_key(|finding| finding.repaired_at.is_some());
        let count = |chosen: &dyn Fn(&Finding) -> bool| {
            let mut classes = BTreeMap::new();
            for finding in findings.iter().filter(|finding| chosen(finding)) {
                *classes.entry(finding.class).or_insert(0) += 1;
            }
            classes
        };
        let mut by_field = BTreeMap::new();
        for finding in &findings {
            // A finding counts once for each field, in however many child rows the field differs.
            let fields: BTreeSet<String> = finding.fields.iter().map(column_of).collect();
            fields.into_iter().for_each(|field| *by_field.entry(field).or_insert(0) += 1);
        }
        let in_flight = verifications.of(row.id);
        let is_unknown =
            |it: &SuspectState| matches!(it.decided, Some(Decided::InFlight | Decided::Unreadable(_)));
        let in_flight = in_flight.filter(|(_, suspect)| is_unknown(suspect)).count();
        let repaired = findings.iter().filter(|finding| finding.repaired_at.is_some()).count();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        EntityReport {
            run: row.id,
            repairs: row.verify.is_some_and(|part| part.repair),
            entity: row.entity_type.clone(),
            status: row.status,
            error: row.error_log.clone(),
            started_at: row.started_at,
            completed_at: row.completed_at,
            calls: row.calls,
            counts: verifications.counts.get(&row.id).copied().unwrap_or_default(),
            in_flight: number(in_flight),
            repaired: number(repaired),
            found: count(&|_| true),
            drift: count(&|finding| finding.repaired_at.is_none()),
            by_field,
            examples: findings.iter().take(examples).cloned().collect(),
        }
    }
}

/// Returns true if a run has compared all records.
fn is_compared(run: &Run) -> bool {
    matches!(run.status, RunStatus::Completed | RunStatus::CompletedWithErrors)
}

/// Returns the name under which the differences of a field are counted: `table[id].column` counts as `table.column`.
fn column_of(field: &FieldDifference) -> String {
    match (field.field.split_once('['), field.field.split_once(']')) {
        (Some((table, _)), Some((_, column))) => format!("{table}{column}"),
        _ => field.field.clone(),
    }
}
