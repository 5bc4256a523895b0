//! Calls to Zoho, the server's own answers, unknown fields and growth.

use tds_core::{
    measures::{AnswerTimes, DayFigures, KnownUnknownField, TableSize},
    queue::Lane,
};

use super::{labels, value, work::tables};
use crate::{
    app::{
        readiness::{counted, day_time, whole},
        report::Report,
    },
    cli::report::document::{Chart, ChartKind, Section, Series, Table, number, text},
};

/// The number of tables that the report shows.
const TABLES: usize = 16;

pub(super) fn calls(report: &Report) -> Section {
    let days = &report.figures.days;
    let calls = |day: &DayFigures, lane: Lane| {
        day.calls.iter().find(|calls| calls.lane == lane).map_or((0, 0), |calls| (calls.calls, calls.failed))
    };
    let lanes: Vec<Lane> =
        Lane::ALL.into_iter().filter(|lane| days.iter().any(|day| calls(day, *lane).0 > 0)).collect();
    let series = |lane: &Lane| Series {
        name: lane.as_str().to_owned(),
        values: days.iter().map(|day| value(calls(day, *lane).0)).collect(),
    };
    let total: u64 = days.iter().map(DayFigures::calls_total).sum();
    let row = |lane: &Lane| {
        let (sum, failed) =
            days.iter().map(|day| calls(day, *lane)).fold((0, 0), |all, day| (all.0 + day.0, all.1 + day.1));
        let most = days.iter().map(|day| calls(day, *lane).0).max().unwrap_or(0);
        vec![lane.as_str().to_owned(), whole(sum), whole(failed), whole(most)]
    };
    let changed: u64 = days.iter().map(|day| day.changed).sum();
    let most = days.iter().map(DayFigures::calls_total).max().unwrap_or(0);
    let limit = report.day_limit.map_or_else(
        || "ZOHO_DAILY_LIMIT is not set, so the plan's limit is not known here.".to_owned(),
        |limit| {
            let allowance = u64::from(limit) * 80 / 100;
            format!(
                "The plan allows {} calls a day, of which {} are for TDS.",
                whole(limit.into()),
                whole(allowance)
            )
        },
    );
    Section {
        title: "API budget",
        paragraphs: vec![format!(
            "{} calls for {} changed records; the busiest day had {}. {limit}",
            whole(total),
            whole(changed),
            whole(most)
        )],
        charts: if lanes.is_empty() {
            Vec::new()
        } else {
            vec![Chart {
                title: "Calls, by lane",
                unit: "",
                kind: ChartKind::Stacked,
                labels: labels(report),
                series: lanes.iter().map(series).collect(),
            }]
        },
        tables: tables(Table {
            caption: "",
            heads: vec![text("lane"), number("calls"), number("failed"), number("busiest day")],
            rows: lanes.iter().map(row).collect(),
        }),
        ..Section::default()
    }
}

pub(super) fn answers(report: &Report) -> Section {
    let milliseconds =
        |times: &AnswerTimes| times.mean_ms().map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
    let bound =
        |times: &AnswerTimes| times.at_most_ms(0.99).map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
    let row = |day: &DayFigures| {
        let times = &day.answers;
        vec![
            day.day.to_string(),
            whole(times.answers),
            whole(times.faults),
            milliseconds(times),
            bound(times),
        ]
    };
    let rows = report.figures.days.iter().filter(|day| day.answers.answers > 0).map(row).collect();
    Section {
        title: "Answers of TDS",
        paragraphs: vec![
            "To webhooks and to the operators' interface. Answers to monitors and the files of the dashboard do not count."
                .to_owned(),
        ],
        tables: tables(Table {
            caption: "",
            heads: vec![text("day"), number("answers"), number("faults"), number("mean"), number("99 % within")],
            rows,
        }),
        ..Section::default()
    }
}

pub(super) fn unknown_fields(report: &Report) -> Section {
    let row = |field: &KnownUnknownField| {
        vec![
            field.entity.to_string(),
            field.path.clone(),
            whole(field.occurrences),
            day_time(field.first_seen_at),
            day_time(field.last_seen_at),
        ]
    };
    let total = report.figures.unknown_fields_total;
    let shown = report.figures.unknown_fields.len() as u64;
    let more = if total > shown {
        format!(" The table shows the {shown} that were seen last.")
    } else {
        String::new()
    };
    Section {
        title: "Unknown fields",
        paragraphs: vec![match total {
            0 => "Zoho sent no field that TDS does not know.".to_owned(),
            _ => format!(
                "{} without a column; the values are in the column raw.{more}",
                counted(total, "field", "fields")
            ),
        }],
        tables: tables(Table {
            caption: "",
            heads: vec![
                text("entity type"),
                text("field"),
                number("reads"),
                text("first seen"),
                text("last seen"),
            ],
            rows: report.figures.unknown_fields.iter().map(row).collect(),
        }),
        ..Section::default()
    }
}

pub(super) fn growth(report: &Report) -> Section {
    let change = |now: u64, before: Option<u64>, of: fn(u64) -> String| match before {
        None => "–".to_owned(),
        Some(before) if now >= before => format!("+{}", of(now - before)),
        Some(before) => format!("−{}", of(before - now)),
    };
    let row = |table: &TableSize| {
        vec![
            if table.name.is_empty() { "the whole database".to_owned() } else { table.name.clone() },
            if table.name.is_empty() { String::new() } else { whole(table.rows) },
            if table.name.is_empty() { String::new() } else { change(table.rows, table.rows_before, whole) },
            bytes(table.bytes),
            change(table.bytes, table.bytes_before, bytes),
        ]
    };
    let tables_of = &report.figures.tables;
    let since = tables_of.first().and_then(|database| database.before);
    let since = since.map_or_else(
        || "Sizes are stored once a day; there are no earlier ones in these days yet.".to_owned(),
        |day| format!("Growth is counted since {day}."),
    );
    Section {
        title: "Growth",
        paragraphs: vec![format!("{since} Numbers of rows are PostgreSQL's estimates.")],
        tables: tables(Table {
            caption: "",
            heads: vec![text("table"), number("rows"), number("more rows"), number("size"), number("growth")],
            rows: tables_of.iter().take(TABLES).map(row).collect(),
        }),
        ..Section::default()
    }
}

/// Formats a size.
#[expect(clippy::cast_precision_loss, reason = "a shown size needs no more than a float has")]
fn bytes(bytes: u64) -> String {
    let size = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size / 1e6),
        _ => format!("{:.2} GB", size / 1e9),
    }
}
