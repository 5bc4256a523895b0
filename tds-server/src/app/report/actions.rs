//! What to look at: a ranked list of concrete actions.

use super::Report;
use crate::app::readiness::{Check, Verdict, counted, whole};

tds_core::closed_set! {
    /// How soon something has to be looked at.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) enum Urgency {
        /// Data may be wrong or missing.
        Now = "now",
        /// Something will become a problem.
        Soon = "soon",
        /// Something is worth knowing.
        Note = "note",
    }
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) urgency: Urgency,
    /// What was found, and what to do.
    pub(crate) text: String,
}

/// Fewer changes than this say little about the share of webhooks that arrive.
const FEW: u64 = 20;
/// A smaller share of changes that were announced is a sign of a missing rule.
const ANNOUNCED: f64 = 99.0;
/// A greater share of the calls of a day leaves little for an unusual one.
const SPENT: f64 = 80.0;
/// The part of an organization's calls that is for TDS, in percent.
const ALLOWANCE: u64 = 80;

/// Returns what to look at, most urgent first.
pub(super) fn actions(report: &Report) -> Vec<Action> {
    let mut actions: Vec<Action> = report.readiness.checks.iter().filter_map(of_check).collect();
    let single = [
        unparsed(report),
        conflicts(report),
        in_doubt(report),
        unverified(report),
        budget(report),
        growth(report),
        history(report),
    ];
    actions.extend(single.into_iter().flatten());
    actions.extend(missed(report));
    actions.extend(fields(report));
    actions.sort_by_key(|action| action.urgency);
    actions
}

/// A failing check says what to do.
fn of_check(check: &Check) -> Option<Action> {
    let urgency = match check.status {
        Verdict::Fail => match check.name.as_str() {
            "sync_delay" | "api_response_time" => Urgency::Soon,
            _ => Urgency::Now,
        },
        Verdict::Pass | Verdict::Unknown => return None,
    };
    Some(Action { urgency, text: format!("{}: {}", check.name, check.hint) })
}

fn unparsed(report: &Report) -> Option<Action> {
    let count = report.figures.unparsed;
    (count > 0).then(|| Action {
        urgency: Urgency::Now,
        text: format!(
            "{} could not be understood: tds-server inbox list --status failed, then tds-server inbox show \
             ID. Replay them when the cause is mended.",
            counted(count, "delivery", "deliveries")
        ),
    })
}

fn conflicts(report: &Report) -> Option<Action> {
    let count: u64 = report.outbox.values().map(|counts| counts.conflicts).sum();
    (count > 0).then(|| Action {
        urgency: Urgency::Now,
        text: format!(
            "{} for a person: tds-server conflicts list shows both versions, and tds-server conflicts resolve decides.",
            counted(count, "conflict waits", "conflicts wait")
        ),
    })
}

fn in_doubt(report: &Report) -> Option<Action> {
    let count: u64 = report.outbox.values().map(|counts| counts.in_doubt).sum();
    (count > 0).then(|| Action {
        urgency: Urgency::Note,
        text: format!(
            "{} sent to Zoho without an answer: TDS looks for them before it sends them again. Do not enter them in \
             Zoho by hand.",
            counted(count, "new record was", "new records were")
        ),
    })
}

fn unverified(report: &Report) -> Option<Action> {
    report.runs.is_empty().then(|| Action {
        urgency: Urgency::Soon,
        text:
            "Nothing was verified in these days: run tds-server verify, and let TDS_VERIFY_EVERY repeat it."
                .to_owned(),
    })
}

/// Zoho announces fewer changes of an entity type than there are.
fn missed(report: &Report) -> Vec<Action> {
    let mut entities: Vec<_> = report.coverage.iter().map(|row| row.entity.clone()).collect();
    entities.sort();
    entities.dedup();
    let of = |entity: &_| {
        let rows = report.coverage.iter().filter(|row| row.entity == *entity);
        rows.fold((0, 0), |(changes, delivered), row| (changes + row.changes, delivered + row.delivered))
    };
    let low = entities.into_iter().filter_map(|entity| {
        let (changes, delivered) = of(&entity);
        let share = percent(delivered, changes);
        (changes >= FEW && share < ANNOUNCED).then(|| Action {
            urgency: if delivered == 0 { Urgency::Now } else { Urgency::Soon },
            text: format!(
                "{entity}: Zoho announced {share:.1} % of {} changes. Look at the workflow rules and the workflow logs \
                 in Zoho (docs/zoho-setup.md, section 5); until then, syncs bring the rest later.",
                whole(changes)
            ),
        })
    });
    low.collect()
}

fn history(report: &Report) -> Option<Action> {
    let again: u64 = report.history.iter().map(|check| check.read_again).sum();
    (again > 0).then(|| Action {
        urgency: Urgency::Note,
        text: format!(
            "Zoho reported failed webhooks of {}, read again since. Was the server unreachable, or did a \
             proxy refuse them?",
            counted(again, "record", "records")
        ),
    })
}

fn budget(report: &Report) -> Option<Action> {
    let allowance = u64::from(report.day_limit?) * ALLOWANCE / 100;
    let most = report.figures.days.iter().max_by_key(|day| day.calls_total())?;
    let share = percent(most.calls_total(), allowance);
    (allowance > 0 && share > SPENT).then(|| Action {
        urgency: Urgency::Soon,
        text: format!(
            "{} took {share:.0} % of the {} calls of a day for TDS: tds-server plan says what costs them.",
            most.day,
            whole(allowance)
        ),
    })
}

fn fields(report: &Report) -> Option<Action> {
    let since = report.at - time::Duration::days(i64::from(report.days));
    let new = report.figures.unknown_fields.iter().filter(|field| field.first_seen_at > since).count();
    let new = u64::try_from(new).unwrap_or(u64::MAX);
    (new > 0).then(|| Action {
        urgency: Urgency::Note,
        text: format!(
            "Zoho sends {} that no column takes: their values are in the column raw (docs/views.md).",
            counted(new, "new field", "new fields")
        ),
    })
}

fn growth(report: &Report) -> Option<Action> {
    let database = report.figures.tables.first()?;
    let before = database.bytes_before.filter(|before| *before > 0)?;
    let days = (report.at.date() - database.before?).whole_days().max(1).unsigned_abs();
    let grown = database.bytes.saturating_sub(before);
    (percent(grown, before) > 20.0 && grown > 1_000_000_000).then(|| Action {
        urgency: Urgency::Soon,
        text: format!(
            "The database grew by {:.0} % in {days} days: look at the tables below, and at TDS_RETENTION.",
            percent(grown, before)
        ),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
