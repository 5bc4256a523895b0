//! The parts of the report: what each of them shows of the figures.

mod cost;
mod proof;
mod work;

use super::document::{Document, Section, Tile, Tone, number, text};
use crate::app::{
    readiness::{Check, Verdict, day_time, whole},
    report::{Report, Urgency},
};

/// Returns the report as a document.
pub(crate) fn document(report: &Report, organization: Option<&str>) -> Document {
    let of = organization.map(|id| format!(" of organization {id}")).unwrap_or_default();
    let first = report.figures.days.first().map(|day| day.day.to_string()).unwrap_or_default();
    Document {
        title: "TDS report".to_owned(),
        subtitle: format!(
            "{} days{of}, {first} to {}; written on {}. Days are days of UTC, and today is not complete.",
            report.days,
            report.at.date(),
            day_time(report.at)
        ),
        tiles: tiles(report),
        sections: vec![
            look_at(report),
            readiness(report),
            work::volume(report),
            work::delays(report),
            work::failures(report),
            work::dead_letters(report),
            work::local_changes(report),
            proof::drift(report),
            proof::money(report),
            proof::missed(report),
            cost::calls(report),
            cost::answers(report),
            cost::unknown_fields(report),
            cost::growth(report),
        ],
    }
}

fn tiles(report: &Report) -> Vec<Tile> {
    let whole_figures = &report.figures.whole;
    let passed = report.readiness.checks.iter().filter(|check| check.status == Verdict::Pass).count();
    let failed = report.readiness.checks.iter().any(|check| check.status == Verdict::Fail);
    let drift: u64 = report.runs.iter().flat_map(|run| run.report.found.values()).sum();
    let days = report.figures.days.iter();
    let zero_is_good = |count: u64| if count == 0 { Tone::Good } else { Tone::Bad };
    vec![
        Tile {
            name: "Ready",
            value: format!("{passed} of {} checks", report.readiness.checks.len()),
            tone: match (report.readiness.is_ready(), failed) {
                (true, _) => Tone::Good,
                (false, true) => Tone::Bad,
                (false, false) => Tone::Warn,
            },
        },
        Tile {
            name: "Webhooks",
            value: whole(days.clone().map(|day| day.deliveries).sum()),
            tone: Tone::Plain,
        },
        Tile {
            name: "Records changed",
            value: whole(days.clone().map(|day| day.changed).sum()),
            tone: Tone::Plain,
        },
        Tile { name: "Mean delay", value: seconds(whole_figures.delays.mean), tone: Tone::Plain },
        Tile {
            name: "Dead letters now",
            value: whole(whole_figures.dead_letters.now),
            tone: zero_is_good(whole_figures.dead_letters.now),
        },
        Tile {
            name: "Differences found",
            value: if report.runs.is_empty() { "not verified".to_owned() } else { whole(drift) },
            tone: if report.runs.is_empty() { Tone::Warn } else { zero_is_good(drift) },
        },
        Tile {
            name: "Calls to Zoho",
            value: whole(days.map(tds_core::measures::DayFigures::calls_total).sum()),
            tone: Tone::Plain,
        },
    ]
}

fn look_at(report: &Report) -> Section {
    let actions = report.actions();
    let paragraphs =
        if actions.is_empty() { vec!["Nothing needs attention.".to_owned()] } else { Vec::new() };
    let tone = |urgency| match urgency {
        Urgency::Now => Tone::Bad,
        Urgency::Soon => Tone::Warn,
        Urgency::Note => Tone::Plain,
    };
    let list = actions.into_iter().map(|action| (tone(action.urgency), action.text)).collect();
    Section { title: "What to look at", paragraphs, list, ..Section::default() }
}

fn readiness(report: &Report) -> Section {
    let row = |check: &Check| {
        vec![
            check.name.clone(),
            check.status.as_str().to_owned(),
            check.shown(),
            check.target.to_owned(),
            check.hint.clone(),
        ]
    };
    let table = super::document::Table {
        caption: "",
        heads: vec![
            text("check"),
            text("status"),
            number("value"),
            text("target"),
            text("what was measured, and what to do"),
        ],
        rows: report.readiness.checks.iter().map(row).collect(),
    };
    let verdict = if report.readiness.is_ready() {
        "Every check is passed: the mirror can be relied upon."
    } else {
        "Not every check is passed. Unknown means that there is not enough data yet."
    };
    Section {
        title: "Readiness",
        paragraphs: vec![format!(
            "{verdict} The checks are about the last 7 days, whatever the report covers."
        )],
        tables: vec![table],
        ..Section::default()
    }
}

/// Returns the labels of the days in charts: `11-28`.
fn labels(report: &Report) -> Vec<String> {
    let of_day = |day: time::Date| format!("{:02}-{:02}", u8::from(day.month()), day.day());
    report.figures.days.iter().map(|day| of_day(day.day)).collect()
}

/// Formats a time in seconds.
fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1_000.0),
        Some(seconds) if seconds < 120.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Formats a share in percent.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{share:.1} %"))
}

#[expect(clippy::cast_precision_loss, reason = "a chart needs no more than a float has")]
fn value(count: u64) -> Option<f64> {
    Some(count as f64)
}
