//! What schedules and pushed events cost in calls a day: a pure function of what is known about each list.

use std::time::Duration;

use time::OffsetDateTime;

use super::{
    History,
    choice::{PROBE, Question, choose, pages, probe_pays},
};
use crate::{
    closed_set::closed_set,
    limits::budget::PastUsage,
    queue::Lane,
    record::EntityType,
    runs::{RunHistory, RunType},
    source::{Capability, SourceProfile},
};

/// The length of a day, in seconds.
const DAY: f64 = 86_400.0;
/// The overlap of two windows, as the engine reads it by default.
const OVERLAP: Duration = Duration::from_secs(300);
/// The share of the records that is assumed to change in a day, if no runs show it.
const ASSUMED_CHANGES: f64 = 0.002;
/// The number of changed records from which their runs show what a change costs.
const ENOUGH: i64 = 20;

/// Everything that the costs of a day are computed from.
#[derive(Clone, Debug)]
pub struct Load {
    /// The time now.
    pub now: OffsetDateTime,
    /// The lists that are read.
    pub lists: Vec<ListLoad>,
    /// How long the result of a probe is valid; `None` if lists are not probed.
    pub probe_every: Option<Duration>,
    /// The number of records that a comparison reads whole as a random sample.
    pub sample: u64,
    /// The calls of the last complete days.
    pub past: PastUsage,
    /// Costs that belong to no list, such as questions for the quota.
    pub further: Vec<Cost>,
}

/// What is known about one list.
#[derive(Clone, Debug)]
pub struct ListLoad {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The profile of the source.
    pub profile: SourceProfile,
    /// What the list can do.
    pub capability: Capability,
    /// The runs of the entity type.
    pub history: RunHistory,
    /// The number of live records in the target; `None` if it is not known.
    pub live: Option<u64>,
    /// The schedules of the entity type.
    pub schedules: Vec<Period>,
    /// The number of pushed events a day. `None` if no event was received yet.
    pub events: Option<f64>,
    /// The entity types whose values follow changes of these records, and which are read again because of them.
    pub followers: Vec<EntityType>,
}

/// A schedule of one entity type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The type of the runs.
    pub run_type: RunType,
    /// The time from one run to the next.
    pub every: Duration,
}

closed_set! {
    /// What calls are made for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Cause {
        /// Full syncs read whole lists, and records that no list shows.
        FullSync = "full_sync",
        /// Incremental syncs read the changes of a list.
        IncrementalSync = "incremental_sync",
        /// Whole records are read because a list shows that they changed.
        Changes = "changes",
        /// Whole records are read again because of their age.
        Aged = "aged",
        /// Comparisons read whole lists, and whole records as far as calls with many records show them, or as a sample.
        Verification = "verification",
        /// Probes find out what a list can do.
        Probes = "probes",
        /// Whole records are read because of pushed events.
        Events = "events",
        /// Records are read again because the source derives their values from records that changed.
        Derived = "derived",
        /// The source is asked how many calls are left.
        Quota = "quota",
        /// The calls of the last days, if no formula predicts them.
        Measured = "measured",
    }
}

/// One cost in calls a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// The lane whose budget pays.
    pub lane: Lane,
    /// The entity type of the records; `None` if the calls belong to no single entity type.
    pub entity: Option<EntityType>,
    /// What the calls are made for.
    pub cause: Cause,
    /// The expected number of calls a day.
    pub calls: f64,
    /// The number of these calls that are made while nothing changes and nothing is pushed.
    pub idle: f64,
    /// Where the numbers come from, as one sentence.
    pub reason: String,
    /// Whether the number of calls rests on an assumption. The reason states the assumption.
    pub assumed: bool,
}

/// The costs of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneCost {
    /// The lane.
    pub lane: Lane,
    /// The expected number of calls a day.
    pub calls: f64,
    /// The number of these calls that are made while nothing changes.
    pub idle: f64,
    /// Why the lane costs nothing; `None` if it costs something.
    pub reason: Option<&'static str>,
}

/// The costs of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct DailyCost {
    /// The costs of each lane of the engine, most urgent first.
    pub lanes: Vec<LaneCost>,
    /// The single costs.
    pub costs: Vec<Cost>,
}

impl DailyCost {
    /// Returns the expected number of calls a day.
    #[must_use]
    pub fn calls(&self) -> f64 {
        sum(self.lanes.iter().map(|lane| lane.calls))
    }

    /// Returns the number of calls a day while nothing changes and nothing is pushed.
    #[must_use]
    pub fn idle(&self) -> f64 {
        sum(self.lanes.iter().map(|lane| lane.idle))
    }
}

/// Computes what the schedules and the pushed events cost in a day. Lanes that nothing predicts cost what they cost in
/// the last days.
#[must_use]
pub fn daily_cost(load: &Load) -> DailyCost {
    let mut costs: Vec<Cost> = Vec::new();
    for list in &load.lists {
        let list =
            Priced { list, load, records: list.records(), history: History::of(&list.history.completed) };
        costs.extend(list.costs());
    }
    costs.extend(load.further.iter().cloned());
    for lane in Lane::ALL {
        if !costs.iter().any(|cost| cost.lane == lane) {
            costs.extend(measured(lane, &load.past));
        }
    }
    costs.retain(|cost| cost.calls > 0.0);
    let of_lane = |lane: Lane| {
        let own = || costs.iter().filter(move |cost| cost.lane == lane);
        let (calls, idle) = (sum(own().map(|cost| cost.calls)), sum(own().map(|cost| cost.idle)));
        LaneCost { lane, calls, idle, reason: own().next().is_none().then_some("off") }
    };
    DailyCost { lanes: Lane::ALL.map(of_lane).into(), costs }
}

/// Returns what a lane cost in the last days.
fn measured(lane: Lane, past: &PastUsage) -> Option<Cost> {
    let calls = past.a_day(lane, None)?;
    let reason =
        format!("{}: {} on average over the {} last days with calls", lane.as_str(), round(calls), past.days);
    Some(Cost { lane, entity: None, cause: Cause::Measured, calls, idle: 0.0, reason, assumed: false })
}

impl ListLoad {
    /// Returns the number of records and where it comes from.
    fn records(&self) -> Option<(u64, &'static str)> {
        let listed = self.history.last_full_count.and_then(|count| u64::try_from(count).ok());
        let listed = listed.map(|count| (count, "in the last full list"));
        listed.or_else(|| Some((self.live.filter(|live| *live > 0)?, "in the target")))
    }
}

/// A list, with the figures that several costs need.
struct Priced<'a> {
    list: &'a ListLoad,
    load: &'a Load,
    records: Option<(u64, &'static str)>,
    history: History,
}

impl Priced<'_> {
    fn costs(&self) -> Vec<Cost> {
        let mut costs = Vec::new();
        for period in &self.list.schedules {
            match period.run_type {
                RunType::Full => costs.push(self.full(period.every)),
                RunType::Incremental => {
                    costs.push(self.incremental(period.every));
                    costs.extend(self.probes(period.every));
                }
                RunType::Verify => costs.push(self.verify(period.every)),
                RunType::Images => {}
            }
        }
        costs.extend(self.changes());
        costs.extend(self.aged());
        costs.extend(self.events());
        costs.extend(self.derived());
        costs
    }

    fn cost(&self, lane: Lane, cause: Cause, (calls, idle): (f64, f64), reason: String) -> Cost {
        let (entity, assumed) = (Some(self.list.entity.clone()), self.records.is_none());
        Cost { lane, entity, cause, calls, idle, reason, assumed }
    }

    /// Returns the records in words.
    fn known(&self) -> String {
        match self.records {
            Some((records, place)) => format!("{records} records {place}"),
            None => "an unknown number of records, taken as one page".to_owned(),
        }
    }

    fn full(&self, every: Duration) -> Cost {
        let profile = &self.list.profile;
        let records = self.records.map_or(0, |(records, _)| records);
        let list = pages(records, profile.records_per_page);
        // If rows are ids only, each run reads these records. The last run shows how many they are.
        let reads = if profile.lists_ids {
            self.history.last_full_changes.unwrap_or(records).div_ceil(a_call(profile))
        } else {
            0
        };
        let calls = a_day(every) * count(list + reads);
        let and_reads =
            if reads > 0 { format!(" and {reads} for the records themselves") } else { String::new() };
        let reason = format!(
            "{}: {list} calls for the list{and_reads}, {} times a day",
            self.known(),
            round(a_day(every))
        );
        self.cost(RunType::Full.lane(), Cause::FullSync, (calls, calls), reason)
    }

    /// Returns the cost of the comparisons: the list, and the whole records that no list shows. Records of which one call
    /// reads many are all read; of other records a sample is.
    fn verify(&self, every: Duration) -> Cost {
        let profile = &self.list.profile;
        let records = self.records.map_or(0, |(records, _)| records);
        let list = pages(records, profile.records_per_page);
        let (reads, of) = match a_call(profile) {
            _ if !profile.reads_records() => (0, String::new()),
            1 => {
                let sample = records.min(self.load.sample);
                (sample, format!(" and {sample} for a sample of the records"))
            }
            each => (records.div_ceil(each), format!(" and {} for the records", records.div_ceil(each))),
        };
        let calls = a_day(every) * count(list + reads);
        let reason =
            format!("{}: {list} calls for the list{of}, {} times a day", self.known(), round(a_day(every)));
        self.cost(RunType::Verify.lane(), Cause::Verification, (calls, calls), reason)
    }

    fn incremental(&self, every: Duration) -> Cost {
        let busy = self.pages_of_changes(every, self.changes_a_day().0);
        let idle = self.pages_of_changes(every, 0.0);
        let (runs, known) = (a_day(every), self.known());
        let reason = format!("{known}: {busy} calls for the changes, {} times a day", round(runs));
        let calls = (runs * count(busy), runs * count(idle));
        self.cost(RunType::Incremental.lane(), Cause::IncrementalSync, calls, reason)
    }

    /// Returns the number of calls in which one incremental run reads its list.
    fn pages_of_changes(&self, every: Duration, changes_a_day: f64) -> u64 {
        let plan = choose(&self.question(every, changes_a_day));
        let chosen = plan.ways.iter().find(|cost| cost.way == plan.listing);
        chosen.and_then(|cost| cost.calls).unwrap_or(1)
    }

    fn question(&self, every: Duration, changes_a_day: f64) -> Question<'_> {
        let window = time::Duration::try_from(every + OVERLAP).unwrap_or(time::Duration::DAY);
        Question {
            run_type: RunType::Incremental,
            from: Some(self.load.now - window),
            now: self.load.now,
            profile: &self.list.profile,
            capability: self.list.capability,
            records: self.records.map(|(records, _)| records),
            history: self.history.with_changes(changes_a_day / DAY, every),
            probed: false,
        }
    }

    fn probes(&self, every: Duration) -> Option<Cost> {
        let validity = self.load.probe_every?;
        let documented = self.list.profile.documented;
        let can_change = documented.filter.is_usable() || documented.sort.is_usable();
        let pays = can_change && probe_pays(&self.question(every, self.changes_a_day().0), validity);
        let calls = count(PROBE) * a_day(validity.max(every));
        let reason = format!("{PROBE} calls for each probe of the list");
        pays.then(|| self.cost(RunType::Incremental.lane(), Cause::Probes, (calls, calls), reason))
    }

    /// Returns the number of records that change in a day, and whether it is assumed.
    fn changes_a_day(&self) -> (f64, bool) {
        match self.history.rate() {
            Some(rate) => (rate * DAY, false),
            None => (self.records.map_or(0.0, |(records, _)| count(records) * ASSUMED_CHANGES), true),
        }
    }

    /// Returns the cost of the whole records that are read because a list shows a change.
    fn changes(&self) -> Option<Cost> {
        let profile = &self.list.profile;
        let period = self.shortest()?;
        if !profile.needs_detail {
            return None;
        }
        let (changes, assumed) = self.changes_a_day();
        let (each, shown) = match self.calls_for_a_change() {
            Some(measured) => (measured, format!("{measured:.2} calls for each, as in the last runs")),
            None => {
                let runs = a_day(period.every).max(f64::MIN_POSITIVE);
                // Records that one run finds share calls.
                let together = (changes / runs).clamp(1.0, count(a_call(profile)));
                (1.0 / together, "one call for each read, as an assumption".to_owned())
            }
        };
        let calls = changes * each;
        let origin = if assumed {
            format!("{} % of the records, as an assumption", ASSUMED_CHANGES * 100.0)
        } else {
            "as in the last runs".to_owned()
        };
        let reason = format!("{} records change a day ({origin}); {shown}", round(changes));
        let cost = self.cost(period.run_type.lane(), Cause::Changes, (calls, 0.0), reason);
        Some(Cost { assumed: cost.assumed || assumed || self.calls_for_a_change().is_none(), ..cost })
    }

    /// Returns the number of calls for each changed record, besides those for the list, in the last incremental runs.
    fn calls_for_a_change(&self) -> Option<f64> {
        let runs = || {
            let completed = self.list.history.completed.iter();
            completed.filter(|run| run.run_type == RunType::Incremental && run.is_whole())
        };
        let changed: i64 = runs().map(|run| run.total_items - run.unchanged_items).sum();
        let calls: i64 = runs().map(|run| (run.calls - run.pages).max(0)).sum();
        let share = |calls: i64, changed: i64| {
            Some(f64::from(u32::try_from(calls).ok()?) / f64::from(u32::try_from(changed).ok()?))
        };
        if changed < ENOUGH { None } else { share(calls, changed) }
    }

    /// Returns the cost of the records that are read again because of their age.
    fn aged(&self) -> Option<Cost> {
        let (age, period) = (self.list.profile.detail_max_age?, self.shortest()?);
        let records = self.records.map_or(0, |(records, _)| records);
        let calls = count(records.div_ceil(a_call(&self.list.profile))) * a_day(age.max(period.every));
        let reason =
            format!("{}: each is read again at an age of {} hours", self.known(), age.as_secs() / 3_600);
        Some(self.cost(period.run_type.lane(), Cause::Aged, (calls, calls), reason))
    }

    fn shortest(&self) -> Option<Period> {
        let syncs = self.list.schedules.iter().filter(|it| matches!(it.run_type, RunType::Full | RunType::Incremental));
        syncs.copied().min_by_key(|period| period.every)
    }

    /// Returns the cost of the records that are read because of pushed events.
    fn events(&self) -> Option<Cost> {
        let (lane, past) = (Lane::Webhook, &self.load.past);
        if let Some(calls) = past.a_day(lane, Some(&self.list.entity)) {
            let reason = format!("{} on average over the {} last days with calls", round(calls), past.days);
            return Some(Cost { assumed: false, ..self.cost(lane, Cause::Events, (calls, 0.0), reason) });
        }
        let events = self.list.events.filter(|_| past.days == 0)?;
        let reason = format!("{} events a day, each read by one call, as an assumption", round(events));
        Some(Cost { assumed: true, ..self.cost(lane, Cause::Events, (events, 0.0), reason) })
    }

    /// Returns the largest cost of the reads of derived values, unless the last days show it: for each change, one call
    /// for each entity type whose values follow. The items of one change fit into a call, and a contact takes one.
    fn derived(&self) -> Option<Cost> {
        let (lane, followers) = (Lane::Derived, &self.list.followers);
        if followers.is_empty() || self.load.past.a_day(lane, None).is_some() {
            return None;
        }
        let (changes, what) = match self.list.events {
            Some(events) => (events, "events"),
            None => (self.changes_a_day().0, "changes"),
        };
        let calls = followers.iter().fold(0.0, |sum, _| sum + changes);
        let names: Vec<&str> = followers.iter().map(EntityType::as_str).collect();
        let reason = format!(
            "{} {what} a day, each followed by at most one call for each of {}, as an assumption",
            round(changes),
            names.join(", ")
        );
        Some(Cost { assumed: true, ..self.cost(lane, Cause::Derived, (calls, 0.0), reason) })
    }
}

/// Returns the sum. The sum of nothing is 0, and not the negative zero of [`Iterator::sum`].
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |sum, number| sum + number)
}

/// Returns how often something happens in a day.
fn a_day(every: Duration) -> f64 {
    DAY / every.as_secs_f64().max(1.0)
}

fn a_call(profile: &SourceProfile) -> u64 {
    u64::try_from(profile.records_per_call.max(1)).unwrap_or(1)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Returns a number with one decimal, or with none where it is whole.
fn round(number: f64) -> String {
    let tenths = (number * 10.0).round() / 10.0;
    if (tenths - tenths.round()).abs() < f64::EPSILON {
        format!("{tenths:.0}")
    } else {
        format!("{tenths:.1}")
    }
}

#[cfg(test)]
mod tests;
