//! Verifications in memory.

use std::{
    collections::{BTreeMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore,
    state::{RunState, State},
};
use crate::{
    error::Result,
    guard::is_ahead,
    mirror::MirrorSchema,
    record::{EntityType, RecordId, RecordKey},
    runs::{RunId, RunStatus, RunType},
    verify::{
        EntityReport, Finding, LocalRecord, Look, MoneyDifference, Suspect, VerificationReport, VerifiedRun,
        VerifyCounts, VerifyOperator, VerifyStore,
    },
};

/// What is kept of verifications.
#[derive(Default)]
pub(super) struct Verifications {
    suspects: BTreeMap<(RunId, RecordId), Watched>,
    counts: BTreeMap<RunId, VerifyCounts>,
    complete: BTreeMap<RunId, (OffsetDateTime, Vec<MoneyDifference>)>,
}

/// A record that looked different once.
struct Watched {
    looks: u16,
    /// `None` until a look decided.
    decided: Option<Decided>,
}

enum Decided {
    Clean,
    InFlight,
    Drift(Finding),
}

impl Verifications {
    fn of(&self, run: RunId) -> impl Iterator<Item = (&RecordId, &Watched)> {
        self.suspects.iter().filter(move |((of, _), _)| *of == run).map(|((_, id), watched)| (id, watched))
    }

    fn drift(&self, run: RunId) -> impl Iterator<Item = &Finding> {
        self.of(run).filter_map(|(_, watched)| match &watched.decided {
            Some(Decided::Drift(finding)) => Some(finding),
            _ => None,
        })
    }
}

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
        let mut live: Vec<LocalRecord> = match schema.head {
            Some(_) => state.live_rows(&schema.entity),
            None => state.owners(schema),
        };
        let run = state.runs.get(&run);
        for record in &mut live {
            record.listed = run.is_some_and(|run| run.listed.contains_key(&record.id));
            let key = RecordKey::new(schema.entity.clone(), record.id.clone());
            record.seen_since = run.is_some_and(|run| state.was_seen_since(run, &key));
        }
        live.retain(|record| after.is_none_or(|after| record.id > *after));
        live.sort_by(|one, other| one.id.cmp(&other.id));
        live.truncate(limit);
        Ok(live)
    }

    async fn in_work(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        let state = self.state();
        let is_in_work = |id: &&RecordId| {
            let key = RecordKey::new(entity.clone(), (*id).clone()).into();
            state.live.contains_key(&key) || state.dead.get(&key).is_some_and(|items| !items.is_empty())
        };
        Ok(ids.iter().filter(is_in_work).cloned().collect())
    }

    async fn suspect(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        let mut state = self.state();
        for id in ids {
            let new = Watched { looks: 0, decided: None };
            state.verifications.suspects.entry((run, id.clone())).or_insert(new);
        }
        Ok(())
    }

    async fn suspects(&self, run: RunId, limit: usize) -> Result<Vec<Suspect>> {
        let state = self.state();
        let open = state.verifications.of(run).filter(|(_, watched)| watched.decided.is_none());
        let mut open: Vec<Suspect> =
            open.map(|(id, watched)| Suspect { id: id.clone(), looks: watched.looks }).collect();
        open.sort_by(|one, other| (one.looks, &one.id).cmp(&(other.looks, &other.id)));
        open.truncate(limit);
        Ok(open)
    }

    async fn looked(&self, run: RunId, looks: &[(RecordId, Look)]) -> Result<()> {
        let mut state = self.state();
        let now = state.now.0;
        for (id, look) in looks {
            let watched = state.verifications.suspects.get_mut(&(run, id.clone()));
            let Some(watched) = watched.filter(|watched| watched.decided.is_none()) else { continue };
            watched.looks += 1;
            watched.decided = match look {
                Look::Again => None,
                Look::Clean => Some(Decided::Clean),
                Look::InFlight => Some(Decided::InFlight),
                Look::Drift { class, fields } => Some(Decided::Drift(Finding {
                    id: id.clone(),
                    class: *class,
                    fields: fields.clone(),
                    looked_at: now,
                    repaired_at: None,
                })),
            };
        }
        Ok(())
    }

    async fn sample(&self, run: RunId, size: usize) -> Result<Vec<RecordId>> {
        let state = self.state();
        let Some(listed) = state.runs.get(&run).map(|run| &run.listed) else { return Ok(Vec::new()) };
        let mut ids: Vec<(u64, RecordId)> = listed.keys().map(|id| (place(run, id), id.clone())).collect();
        ids.sort();
        Ok(ids.into_iter().take(size).map(|(_, id)| id).collect())
    }

    async fn count(&self, run: RunId, counts: VerifyCounts) -> Result<()> {
        self.state().verifications.counts.insert(run, counts);
        Ok(())
    }

    async fn differing(&self, run: RunId) -> Result<Vec<RecordId>> {
        let state = self.state();
        let open = state.verifications.drift(run).filter(|finding| finding.repaired_at.is_none());
        Ok(open.map(|finding| finding.id.clone()).collect())
    }
}

#[async_trait]
impl VerifyOperator for MemoryStore {
    async fn report(&self, id: Option<RunId>, examples: usize) -> Result<Option<VerificationReport>> {
        let state = self.state();
        let newest = || state.runs.values().filter_map(verification_of).max();
        let Some(id) = id.or_else(newest) else { return Ok(None) };
        let runs: Vec<&RunState> =
            state.runs.values().filter(|run| verification_of(run) == Some(id)).collect();
        let Some(first) = runs.first() else { return Ok(None) };
        let complete = state.verifications.complete.get(&id);
        let entities: Vec<EntityReport> = runs.iter().map(|run| state.report_on(run, examples)).collect();
        let worst = [RunStatus::Failed, RunStatus::Cancelled, RunStatus::CompletedWithErrors]
            .into_iter()
            .find(|status| entities.iter().any(|entity| entity.status == *status));
        let ended = worst.unwrap_or(RunStatus::Completed);
        Ok(Some(VerificationReport {
            id,
            status: if complete.is_some() { ended } else { RunStatus::Running },
            requested_by: first.row.requested_by.clone(),
            created_at: first.row.created_at,
            started_at: entities.iter().filter_map(|entity| entity.started_at).min(),
            completed_at: complete.map(|(at, _)| *at),
            money: complete.map(|(_, money)| money.clone()).unwrap_or_default(),
            entities,
        }))
    }

    async fn current(&self) -> Result<Vec<EntityReport>> {
        let state = self.state();
        let mut newest: BTreeMap<&EntityType, &RunState> = BTreeMap::new();
        for run in state.runs.values() {
            let is_whole =
                matches!(run.row.status, RunStatus::Completed | RunStatus::CompletedWithErrors);
            if run.row.run_type == RunType::Verify && is_whole {
                newest.insert(&run.row.entity_type, run);
            }
        }
        Ok(newest.into_values().map(|run| state.report_on(run, 0)).collect())
    }

    async fn unfinished(&self) -> Result<Vec<RunId>> {
        let state = self.state();
        let mut open: BTreeMap<RunId, bool> = BTreeMap::new();
        for run in state.runs.values() {
            if let Some(id) = verification_of(run) {
                *open.entry(id).or_default() |= run.row.status.is_active();
            }
        }
        open.retain(|id, is_active| !*is_active && !state.verifications.complete.contains_key(id));
        Ok(open.into_keys().collect())
    }

    async fn repaired(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        let mut state = self.state();
        let now = state.now.0;
        for id in ids {
            let watched = state.verifications.suspects.get_mut(&(run, id.clone()));
            if let Some(Decided::Drift(finding)) = watched.and_then(|watched| watched.decided.as_mut()) {
                finding.repaired_at.get_or_insert(now);
            }
        }
        Ok(())
    }

    async fn finish(&self, id: RunId, money: &[MoneyDifference]) -> Result<()> {
        let mut state = self.state();
        let now = state.now.0;
        state.verifications.complete.entry(id).or_insert_with(|| (now, money.to_vec()));
        Ok(())
    }

    async fn history(&self, since: OffsetDateTime) -> Result<Vec<VerifiedRun>> {
        let state = self.state();
        let is_meant = |run: &&RunState| {
            verification_of(run).is_some() && run.row.completed_at.is_some_and(|ended| ended >= since)
        };
        let mut runs: Vec<&RunState> = state.runs.values().filter(is_meant).collect();
        runs.sort_by_key(|run| (run.row.completed_at, run.row.id));
        let verified = |run: &RunState| {
            let repairs = state.verifications.drift(run.row.id);
            let took = repairs.filter_map(|it| Some((it.repaired_at? - it.looked_at).as_seconds_f64()));
            let slowest_repair_seconds = took.reduce(f64::max).map(|seconds| seconds.max(0.0));
            VerifiedRun { report: state.report_on(run, 0), slowest_repair_seconds }
        };
        Ok(runs.into_iter().map(verified).collect())
    }
}

impl State {
    /// Returns the live head rows. What the list and the run know of them is still open.
    fn live_rows(&self, entity: &EntityType) -> Vec<LocalRecord> {
        let rows = self.records.iter().filter(|(key, _)| key.entity == *entity);
        let live = rows.filter_map(|(key, record)| {
            let row = record.row.as_ref().filter(|row| row.deleted_at.is_none())?;
            Some(LocalRecord {
                id: key.id.clone(),
                raw: Some(row.raw.clone()),
                listed: false,
                seen_since: false,
            })
        });
        live.collect()
    }

    /// Returns the records that have child rows.
    fn owners(&self, schema: &MirrorSchema) -> Vec<LocalRecord> {
        let is_own = |table: &str| schema.children.iter().any(|child| child.table == table);
        let rows = self.children.iter().filter(|((table, _), rows)| is_own(table) && !rows.is_empty());
        let owners: HashSet<&RecordId> = rows.map(|((_, owner), _)| owner).collect();
        let record =
            |id: &RecordId| LocalRecord { id: id.clone(), raw: None, listed: false, seen_since: false };
        owners.into_iter().map(record).collect()
    }

    fn was_seen_since(&self, run: &RunState, key: &RecordKey) -> bool {
        let began = run.row.started_at.unwrap_or(run.row.created_at);
        let is_since = |time: OffsetDateTime| time >= began && !is_ahead(time, self.now.0);
        let record = self.records.get(key);
        record.is_some_and(|it| is_since(it.first_seen_at) || is_since(it.state.observed.interval().ended))
    }

    fn report_on(&self, run: &RunState, examples: usize) -> EntityReport {
        let (id, row) = (run.row.id, &run.row);
        let mut report = EntityReport {
            run: id,
            entity: row.entity_type.clone(),
            status: row.status,
            error: row.error_log.clone(),
            started_at: row.started_at,
            completed_at: row.completed_at,
            calls: row.calls,
            counts: self.verifications.counts.get(&id).copied().unwrap_or_default(),
            in_flight: 0,
            repaired: 0,
            found: BTreeMap::new(),
            drift: BTreeMap::new(),
            by_field: BTreeMap::new(),
            examples: Vec::new(),
        };
        for (_, watched) in self.verifications.of(id) {
            report.in_flight += u64::from(matches!(watched.decided, Some(Decided::InFlight)));
        }
        for finding in self.verifications.drift(id) {
            *report.found.entry(finding.class).or_default() += 1;
            match finding.repaired_at {
                Some(_) => report.repaired += 1,
                None => *report.drift.entry(finding.class).or_default() += 1,
            }
            let fields: HashSet<String> = finding.fields.iter().map(|it| without_key(&it.field)).collect();
            for field in fields {
                *report.by_field.entry(field).or_default() += 1;
            }
            report.examples.push(finding.clone());
        }
        report.examples.sort_by_key(|finding| finding.repaired_at.is_some());
        report.examples.truncate(examples);
        report
    }
}

fn verification_of(run: &RunState) -> Option<RunId> {
    run.row.verify.and_then(|part| part.verification)
}

/// Returns the name of a field without what identifies the child row.
fn without_key(field: &str) -> String {
    match (field.find('['), field.rfind(']')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &field[..from], &field[to + 1..]),
        _ => field.to_owned(),
    }
}

/// Returns a number that orders the records of a run at random.
fn place(run: RunId, id: &RecordId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (run.0, id.as_str()).hash(&mut hasher);
    hasher.finish()
}
