//! Drift, money and missed webhooks.

use std::collections::BTreeMap;

use tds_core::{
    measures::{Coverage, MoneyRow},
    record::EntityType,
    verify::{DriftClass, VerifiedRun},
};

use super::{labels, percent, seconds, value, work::tables};
use crate::{
    app::{
        readiness::{day_time, whole},
        report::Report,
    },
    cli::report::document::{Chart, ChartKind, Section, Series, Table, number, text},
};

pub(super) fn drift(report: &Report) -> Section {
    let mut entities: BTreeMap<&EntityType, Vec<&VerifiedRun>> = BTreeMap::new();
    for run in &report.runs {
        entities.entry(&run.report.entity).or_default().push(run);
    }
    let row = |(entity, runs): (&&EntityType, &Vec<&VerifiedRun>)| {
        let sum = |of: &dyn Fn(&VerifiedRun) -> u64| runs.iter().map(|run| of(run)).sum::<u64>();
        let class = |class: DriftClass| sum(&|run| run.report.found.get(&class).copied().unwrap_or(0));
        let slowest = runs.iter().filter_map(|run| run.slowest_repair_seconds).reduce(f64::max);
        let calls: i64 = runs.iter().map(|run| run.report.calls).sum();
        let mut cells =
            vec![entity.to_string(), whole(runs.len() as u64), whole(sum(&|run| run.report.counts.compared))];
        cells.extend(DriftClass::ALL.map(|one| whole(class(one))));
        cells.extend([
            whole(sum(&|run| run.report.in_flight)),
            whole(sum(&|run| run.report.repaired)),
            seconds(slowest),
            whole(u64::try_from(calls).unwrap_or(0)),
        ]);
        cells
    };
    let found = |day: time::Date| {
        let of_day = |run: &&VerifiedRun| run.report.completed_at.is_some_and(|at| at.date() == day);
        let runs: Vec<_> = report.runs.iter().filter(of_day).collect();
        let found = runs.iter().flat_map(|run| run.report.found.values()).sum();
        if runs.is_empty() { None } else { value(found) }
    };
    let heads = ["missing here", "missing in Zoho", "stale", "other values", "in flight", "repaired"];
    let mut columns = vec![text("entity type"), number("verifications"), number("comparisons")];
    columns.extend(heads.map(number));
    columns.extend([number("slowest repair"), number("calls")]);
    let charts = if report.runs.is_empty() {
        Vec::new()
    } else {
        vec![Chart {
            title: "Differences found",
            unit: "",
            kind: ChartKind::Bars,
            labels: labels(report),
            series: vec![Series {
                name: "differences".to_owned(),
                values: report.figures.days.iter().map(|day| found(day.day)).collect(),
            }],
        }]
    };
    let paragraph = if report.runs.is_empty() {
        "No verification ended: TDS_VERIFY_EVERY starts them, and so does tds-server verify.".to_owned()
    } else {
        "Each difference was looked at twice. A record is in flight if it was still changing.".to_owned()
    };
    Section {
        title: "Drift",
        paragraphs: vec![paragraph],
        charts,
        tables: tables(Table { caption: "", heads: columns, rows: entities.iter().map(row).collect() }),
        ..Section::default()
    }
}

pub(super) fn money(report: &Report) -> Section {
    let Some(newest) = report.figures.whole.money.last() else {
        let paragraphs = vec!["No verification has checked the money in these days.".to_owned()];
        return Section { title: "Money", paragraphs, ..Section::default() };
    };
    let row = |row: &MoneyRow| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
        vec![
            row.check.clone(),
            or_dash(&row.currency),
            or_dash(&row.source),
            or_dash(&row.target),
            row.difference.clone(),
            if row.holds { "holds" } else { "differs" }.to_owned(),
            row.examples.first().cloned().unwrap_or_default(),
        ]
    };
    let mut rows: Vec<&MoneyRow> = newest.rows.iter().collect();
    rows.sort_by_key(|row| row.holds);
    let failing = newest.failing().count();
    let points = &report.figures.whole.money;
    let days = points.iter().filter(|point| point.failing().next().is_some()).count();
    Section {
        title: "Money",
        paragraphs: vec![format!(
            "The last check was made on {}: {failing} of {} results differ. {days} of {} verifications found a \
             difference.",
            day_time(newest.at),
            newest.rows.len(),
            points.len()
        )],
        tables: tables(Table {
            caption: "",
            heads: vec![
                text("check"),
                text("currency"),
                number("Zoho"),
                number("ERP"),
                number("difference"),
                text("result"),
                text("example"),
            ],
            rows: rows.into_iter().map(row).collect(),
        }),
        ..Section::default()
    }
}

pub(super) fn missed(report: &Report) -> Section {
    let mut entities: BTreeMap<&EntityType, Vec<&Coverage>> = BTreeMap::new();
    for row in &report.coverage {
        entities.entry(&row.entity).or_default().push(row);
    }
    let row = |(entity, rows): (&&EntityType, &Vec<&Coverage>)| {
        let (changes, delivered) = sums(rows.iter().copied());
        let slowest =
            |of: fn(&Coverage) -> Option<f64>| rows.iter().filter_map(|row| of(row)).reduce(f64::max);
        (changes > 0).then(|| {
            vec![
                entity.to_string(),
                whole(changes),
                whole(changes.saturating_sub(delivered)),
                percent(share(changes, delivered)),
                seconds(slowest(|row| row.late_p50)),
                seconds(slowest(|row| row.late_p99)),
            ]
        })
    };
    let of_day = |day: time::Date| {
        let (changes, delivered) = sums(report.coverage.iter().filter(|row| row.day == day));
        share(changes, delivered)
    };
    let rows: Vec<_> = entities.iter().filter_map(row).collect();
    let charts = if rows.is_empty() {
        Vec::new()
    } else {
        vec![Chart {
            title: "Announced changes",
            unit: "%",
            kind: ChartKind::Bars,
            labels: labels(report),
            series: vec![Series {
                name: "announced".to_owned(),
                values: report.figures.days.iter().map(|day| of_day(day.day)).collect(),
            }],
        }]
    };
    let first = if rows.is_empty() {
        "No change of these days could be compared with a webhook."
    } else {
        "A change that Zoho did not announce reaches the mirror with the next sync. The delays are those of the worst day."
    };
    let second = match report.history.first() {
        None => "Zoho's own history of webhooks was not read yet; it is read once a day.".to_owned(),
        Some(check) if check.is_answered => {
            let read: u64 = report.history.iter().map(|check| check.read_again).sum();
            format!(
                "Zoho's own history, read on {}: {}. Records read again in these days: {}.",
                day_time(check.at),
                check.detail,
                whole(read)
            )
        }
        Some(check) => format!(
            "Zoho does not show its own history of webhooks, so nothing is known of deliveries that failed on the way ({}).",
            check.detail
        ),
    };
    Section {
        title: "Missed webhooks",
        paragraphs: vec![first.to_owned(), second],
        charts,
        tables: tables(Table {
            caption: "",
            heads: vec![
                text("entity type"),
                number("changes"),
                number("not announced"),
                number("announced"),
                number("median delay"),
                number("99 % within"),
            ],
            rows,
        }),
        ..Section::default()
    }
}

fn sums<'a>(rows: impl Iterator<Item = &'a Coverage>) -> (u64, u64) {
    rows.fold((0, 0), |(changes, delivered), row| (changes + row.changes, delivered + row.delivered))
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
fn share(changes: u64, delivered: u64) -> Option<f64> {
    (changes > 0).then(|| delivered as f64 * 100.0 / changes as f64)
}
