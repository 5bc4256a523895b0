//! Volume, delays, failures and dead letters.

use tds_core::{
    measures::{DayFigures, DeadLetters, EntityFigures, FailureCause, OutboxCounts},
    queue::Lane,
    record::EntityType,
};

use super::{labels, seconds, value};
use crate::{
    app::{
        readiness::{counted, day_time, whole},
        report::Report,
    },
    cli::report::document::{Chart, ChartKind, Section, Series, Table, number, text},
};

pub(super) fn volume(report: &Report) -> Section {
    let days = &report.figures.days;
    let items = |lane: Lane| {
        let of_day = |day: &DayFigures| {
            day.lanes.iter().find(|count| count.lane == lane).map_or(0, |count| count.items)
        };
        days.iter().map(|day| value(of_day(day))).collect::<Vec<_>>()
    };
    let lanes =
        Lane::ALL.into_iter().map(|lane| Series { name: lane.as_str().to_owned(), values: items(lane) });
    let used = |series: &Series| series.values.iter().flatten().any(|count| *count > 0.0);
    let deliveries = |of: fn(&DayFigures) -> u64| days.iter().map(|day| value(of(day))).collect::<Vec<_>>();
    let by_day = |day: &DayFigures| {
        vec![
            day.day.to_string(),
            whole(day.deliveries),
            whole(day.failed_deliveries),
            whole(day.completed),
            whole(day.changed),
        ]
    };
    let by_entity = |entity: &EntityFigures| {
        vec![
            entity.entity.to_string(),
            whole(entity.deliveries),
            whole(entity.completed),
            whole(entity.changed),
            seconds(entity.mean),
            seconds(entity.p99),
        ]
    };
    Section {
        title: "Volume",
        charts: vec![
            Chart {
                title: "Items that ended, by lane",
                unit: "",
                kind: ChartKind::Stacked,
                labels: labels(report),
                series: lanes.filter(used).collect(),
            },
            Chart {
                title: "Webhooks",
                unit: "",
                kind: ChartKind::Stacked,
                labels: labels(report),
                series: vec![
                    Series {
                        name: "received".to_owned(),
                        values: deliveries(|day| day.deliveries.saturating_sub(day.failed_deliveries)),
                    },
                    Series { name: "failed".to_owned(), values: deliveries(|day| day.failed_deliveries) },
                ],
            },
        ],
        tables: vec![
            Table {
                caption: "By day",
                heads: vec![
                    text("day"),
                    number("webhooks"),
                    number("failed"),
                    number("items"),
                    number("changed"),
                ],
                rows: days.iter().map(by_day).collect(),
            },
            Table {
                caption: "By entity type",
                heads: vec![
                    text("entity type"),
                    number("webhooks"),
                    number("items"),
                    number("changed"),
                    number("mean delay"),
                    number("99 % within"),
                ],
                rows: report.figures.entities.iter().map(by_entity).collect(),
            },
        ],
        ..Section::default()
    }
}

pub(super) fn delays(report: &Report) -> Section {
    let days = &report.figures.days;
    let series = |name: &str, of: fn(&DayFigures) -> Option<f64>| Series {
        name: name.to_owned(),
        values: days.iter().map(of).collect(),
    };
    let row =
        |day: &DayFigures| vec![day.day.to_string(), seconds(day.mean), seconds(day.p50), seconds(day.p99)];
    let webhooks = report.figures.whole.delays.webhook_mean;
    Section {
        title: "Delays",
        paragraphs: vec![format!(
            "From the arrival of work to its end. On average {}; {} for webhooks.",
            seconds(report.figures.whole.delays.mean),
            seconds(webhooks)
        )],
        charts: vec![
            Chart {
                title: "Mean and median",
                unit: "s",
                kind: ChartKind::Lines,
                labels: labels(report),
                series: vec![series("mean", |day| day.mean), series("median", |day| day.p50)],
            },
            Chart {
                title: "99th percentile",
                unit: "s",
                kind: ChartKind::Lines,
                labels: labels(report),
                series: vec![series("99 %", |day| day.p99)],
            },
        ],
        tables: vec![Table {
            caption: "",
            heads: vec![text("day"), number("mean"), number("median"), number("99 % within")],
            rows: days.iter().map(row).collect(),
        }],
        ..Section::default()
    }
}

pub(super) fn failures(report: &Report) -> Section {
    let row = |cause: &FailureCause| {
        vec![
            cause.entity.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string),
            cause.error.clone(),
            whole(cause.attempts),
            whole(cause.dead_letters),
            day_time(cause.last_at),
        ]
    };
    let rows: Vec<_> = report.figures.failures.iter().map(row).collect();
    let days = &report.figures.days;
    let retries: u64 = days.iter().map(|day| day.retries).sum();
    let dead: u64 = days.iter().map(|day| day.dead_letters).sum();
    Section {
        title: "Failures by cause",
        paragraphs: vec![format!(
            "{} failed and repeated, {}. Errors that differ only in numbers are one cause.",
            counted(retries, "attempt", "attempts"),
            counted(dead, "new dead letter", "new dead letters")
        )],
        tables: tables(Table {
            caption: "",
            heads: vec![
                text("entity type"),
                text("error"),
                number("attempts"),
                number("dead letters"),
                text("last"),
            ],
            rows,
        }),
        ..Section::default()
    }
}

pub(super) fn dead_letters(report: &Report) -> Section {
    let row = |group: &DeadLetters| {
        vec![group.entity.to_string(), group.error.clone(), whole(group.items), day_time(group.since)]
    };
    let rows: Vec<_> = report.figures.dead_letters.iter().map(row).collect();
    let now = report.figures.whole.dead_letters.now;
    let text_of = if now == 0 {
        "No dead letter waits.".to_owned()
    } else {
        format!("{} waiting: see tds-server queue list --status dead_letter.", counted(now, "item", "items"))
    };
    let unparsed = match report.figures.unparsed {
        0 => String::new(),
        count => format!(" {} could not be understood.", counted(count, "delivery", "deliveries")),
    };
    Section {
        title: "Dead letters",
        paragraphs: vec![format!("{text_of}{unparsed}")],
        tables: tables(Table {
            caption: "",
            heads: vec![text("entity type"), text("error"), number("items"), text("since")],
            rows,
        }),
        ..Section::default()
    }
}

pub(super) fn local_changes(report: &Report) -> Section {
    let row = |(entity, counts): (&EntityType, &OutboxCounts)| {
        vec![entity.to_string(), whole(counts.pending), whole(counts.conflicts), whole(counts.in_doubt)]
    };
    let rows: Vec<_> = report.outbox.iter().map(row).collect();
    let state = if rows.is_empty() {
        "No local change waits."
    } else {
        "What waits now: see tds-server outbox list and tds-server conflicts list. In doubt are creates that Zoho did not \
         answer; TDS looks for them before it sends them again."
    };
    Section {
        title: "Local changes",
        paragraphs: vec![state.to_owned()],
        tables: tables(Table {
            caption: "",
            heads: vec![text("entity type"), number("pending"), number("conflicts"), number("in doubt")],
            rows,
        }),
        ..Section::default()
    }
}

/// Returns the table if it has rows.
pub(super) fn tables(table: Table) -> Vec<Table> {
    if table.rows.is_empty() { Vec::new() } else { vec![table] }
}
