//! The report on fixed figures, in both forms.

use std::{collections::BTreeMap, time::Duration};

use tds_core::{
    measures::{
        AnswerTimes, CallsOfDay, Coverage, DayFigures, DeadLetterFigures, DeadLetters, DelayFigures,
        DeliveryFigures, EntityFigures, FailureCause, HistoryCheck, KnownUnknownField, LaneCount, MoneyPoint,
        MoneyRow, OutboxCounts, ReportFigures, ShadowFigures, TableSize, WeekFigures,
    },
    queue::Lane,
    record::EntityType,
    runs::{RunId, RunStatus},
    verify::{DriftClass, EntityReport, VerifiedRun, VerifyCounts},
};
use tds_zoho::entities::Catalogue;
use time::{OffsetDateTime, macros::datetime};

use super::{html, markdown, sections};
use crate::app::{
    readiness::{Evidence, judge},
    report::{Report, Urgency},
};

const NOW: OffsetDateTime = datetime!(2026-11-28 06:00 UTC);
const LINES: &str = "Zoho answered HTTP 400, code 1001: <b>line</b> 3 | has no item";

fn entity(name: &str) -> EntityType {
    name.parse().expect("a name")
}

fn ago(days: i64) -> OffsetDateTime {
    NOW - time::Duration::days(days)
}

fn answers(count: u64, milliseconds: u64) -> AnswerTimes {
    let mut times = AnswerTimes::default();
    (0..count).for_each(|n| times.add(Duration::from_millis(milliseconds + n % 7), n == 13));
    times
}

fn day(back: i64) -> DayFigures {
    let n = 7 - back.unsigned_abs();
    let lane = |lane, items| LaneCount { lane, items };
    let calls = |lane, calls, failed| CallsOfDay { lane, calls, failed };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let x = n as f64;
    DayFigures {
        day: ago(back).date(),
        deliveries: 900 + 130 * (n % 4),
        failed_deliveries: if back == 2 { 7 } else { 0 },
        completed: 2_400 + 310 * (n % 5),
        changed: 1_300 + 120 * (n % 3),
        lanes: vec![
            lane(Lane::Webhook, 900 + 130 * (n % 4)),
            lane(Lane::Derived, 700 + 90 * (n % 3)),
            lane(Lane::Incremental, 300 + 60 * (n % 2)),
            lane(Lane::Full, 500),
        ],
        mean: (back != 4).then_some(1.4 + 0.3 * x),
        p50: (back != 4).then_some(0.4 + 0.05 * x),
        p99: (back != 4).then_some(12.0 + 5.0 * x),
        retries: 11 + n,
        dead_letters: u64::from(back == 2) * 3,
        calls: vec![
            calls(Lane::Webhook, 610 + 70 * (n % 4), 2),
            calls(Lane::Derived, 340 + 20 * (n % 3), 0),
            calls(Lane::Incremental, 1_344, 1),
            calls(Lane::Full, 410, 0),
            calls(Lane::Verify, 355, 0),
        ],
        answers: answers(400 + 10 * n, 3),
    }
}

fn run(name: &str, back: i64, found: &[(DriftClass, u64)]) -> VerifiedRun {
    let report = EntityReport {
        run: RunId(back + 100),
        repairs: false,
        entity: entity(name),
        status: RunStatus::Completed,
        error: None,
        started_at: Some(ago(back) - time::Duration::minutes(3)),
        completed_at: Some(ago(back) - time::Duration::minutes(1)),
        calls: 33,
        counts: VerifyCounts { source_records: 2_221, target_records: 2_221, compared: 2_221, sampled: 100 },
        in_flight: 1,
        repaired: found.iter().map(|(_, count)| count).sum(),
        found: found.iter().copied().collect(),
        drift: BTreeMap::new(),
        by_field: BTreeMap::from([("rate".to_owned(), 2)]),
        examples: Vec::new(),
    };
    VerifiedRun { report, slowest_repair_seconds: (!found.is_empty()).then_some(41.5) }
}

fn money(back: i64, difference: &str) -> MoneyPoint {
    let row = |check: &str, currency: &str, difference: &str| MoneyRow {
        check: check.to_owned(),
        currency: Some(currency.to_owned()),
        source: Some("184250000.00".to_owned()),
        target: Some("184250000.00".to_owned()),
        difference: difference.to_owned(),
        holds: difference == "0.00",
        examples: Vec::new(),
    };
    let at = ago(back);
    MoneyPoint {
        verification: RunId(back + 100),
        at,
        rows: vec![row("receivables", "IQD", "0.00"), row("payables", "USD", difference)],
    }
}

fn table(name: &str, rows: u64, bytes: u64) -> TableSize {
    TableSize {
        name: name.to_owned(),
        rows,
        bytes,
        rows_before: Some(rows * 9 / 10),
        bytes_before: Some(bytes * 8 / 10),
        before: Some(ago(6).date()),
    }
}

/// Returns a report of a shop with some trouble.
fn report() -> Report {
    let whole = WeekFigures {
        now: NOW,
        delays: DelayFigures {
            since: Some(ago(20)),
            completed: 19_000,
            mean: Some(2.35),
            p99: Some(31.0),
            webhook_mean: Some(0.8),
        },
        deliveries: DeliveryFigures {
            since: Some(ago(20)),
            received: 7_400,
            completed: 7_393,
            failed: 7,
            late: 0,
            oldest_open: None,
            slowest: Some(44.0),
        },
        dead_letters: DeadLetterFigures { now: 3, made: 3, last_at: Some(ago(2)) },
        answers: answers(3_000, 3),
        answers_since: Some(ago(20)),
        money: vec![money(3, "12.50"), money(1, "0.00")],
        shadow: ShadowFigures::default(),
    };
    let runs: Vec<VerifiedRun> = (1..=6)
        .rev()
        .flat_map(|back| {
            let found: &[_] =
                if back == 3 { &[(DriftClass::FieldDiff, 2), (DriftClass::Stale, 1)] } else { &[] };
            [run("products", back, found), run("customers", back, &[])]
        })
        .collect();
    let coverage: Vec<Coverage> = (0..7)
        .rev()
        .flat_map(|back| {
            let row = |name, changes, delivered| Coverage {
                day: ago(back).date(),
                entity: entity(name),
                changes,
                delivered,
                late_p50: (delivered > 0).then_some(1.8),
                late_p99: (delivered > 0).then_some(95.0),
            };
            [row("invoices", 120, if back < 3 { 104 } else { 120 }), row("bills", 8, 0), row("vendors", 0, 0)]
        })
        .collect();
    let catalogue = Catalogue::default();
    let entities: Vec<_> = catalogue.iter().take(3).collect();
    let readiness = judge(&Evidence { entities, week: &whole, runs: &runs, coverage: &coverage });
    let entity_figures = |name, deliveries, completed| EntityFigures {
        entity: entity(name),
        deliveries,
        completed,
        changed: completed / 2,
        mean: Some(2.1),
        p99: Some(29.5),
    };
    Report {
        at: NOW,
        days: 7,
        readiness,
        runs,
        coverage,
        history: vec![HistoryCheck {
            at: ago(0) - time::Duration::hours(5),
            is_answered: true,
            detail: "4 failed deliveries since yesterday; 3 records are read again".to_owned(),
            calls: 1,
            failed: 4,
            read_again: 3,
        }],
        outbox: BTreeMap::from([
            (entity("invoices"), OutboxCounts { pending: 12, conflicts: 2, in_doubt: 0 }),
            (entity("sales_orders"), OutboxCounts { pending: 1, conflicts: 0, in_doubt: 1 }),
        ]),
        day_limit: Some(4_000),
        figures: ReportFigures {
            whole,
            days: (0..7).rev().map(day).collect(),
            entities: vec![
                entity_figures("invoices", 4_100, 9_000),
                entity_figures("stock", 0, 5_200),
                entity_figures("products", 700, 1_900),
            ],
            failures: vec![
                FailureCause {
                    entity: Some(entity("invoices")),
                    error: LINES.to_owned(),
                    attempts: 24,
                    dead_letters: 3,
                    last_at: ago(2),
                },
                FailureCause {
                    entity: None,
                    error: "the lease was lost".to_owned(),
                    attempts: 2,
                    dead_letters: 0,
                    last_at: ago(5),
                },
            ],
            dead_letters: vec![DeadLetters {
                entity: entity("invoices"),
                error: LINES.to_owned(),
                items: 3,
                since: ago(2),
            }],
            unparsed: 1,
            unknown_fields: vec![KnownUnknownField {
                entity: entity("invoices"),
                path: "line_items[].colour".to_owned(),
                first_seen_at: ago(2),
                last_seen_at: ago(0),
                occurrences: 311,
            }],
            unknown_fields_total: 1,
            tables: vec![
                table("", 0, 1_840_000_000),
                table("tds_inbox_events", 212_000, 690_000_000),
                table("erp.invoice_lines", 143_500, 61_000_000),
            ],
        },
    }
}

#[test]
fn the_report_in_markdown_is_the_reviewed_one() {
    let document = sections::document(&report(), Some("60045678901"));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(".");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("report", markdown::render(&document)));
}

#[test]
fn the_page_has_every_section_and_chart() {
    let document = sections::document(&report(), None);
    let page = html::render(&document).expect("a page");
    for section in &document.sections {
        assert!(page.contains(&format!("<h2>{}</h2>", section.title)), "{}", section.title);
    }
    let charts: usize = document.sections.iter().map(|section| section.charts.len()).sum();
    assert_eq!(page.matches("<svg").count(), charts);
    assert!(
        page.contains("&#60;b&#62;line&#60;/b&#62;") && !page.contains("<b>line"),
        "texts of Zoho are escaped"
    );
}

#[test]
fn what_to_look_at_is_ranked() {
    let actions = report().actions();
    let urgencies: Vec<Urgency> = actions.iter().map(|action| action.urgency).collect();
    assert!(urgencies.is_sorted(), "{actions:#?}");
    let texts: Vec<&str> = actions.iter().map(|action| action.text.as_str()).collect();
    let place = |part: &str| {
        texts.iter().position(|text| text.contains(part)).unwrap_or_else(|| panic!("{part}: {texts:#?}"))
    };
    let found = [
        "products_verified: ",
        "money: ",
        "dead_letters: ",
        "could not be understood",
        "2 conflicts wait for a person",
        "bills: Zoho announced 0.0 %",
        "invoices: Zoho announced 94.3 %",
        "103 % of the 3,200 calls",
        "1 new field that no column takes",
        "1 new record was sent to Zoho without an answer",
        "3 records, read again since",
    ];
    let places: Vec<usize> = found.iter().map(|part| place(part)).collect();
    assert!(places[..6].iter().all(|place| *place < 6), "{texts:#?}");
    assert_eq!(places.len(), actions.len(), "{texts:#?}");

    let mut quiet = report();
    quiet.readiness.checks.clear();
    (quiet.figures.unparsed, quiet.day_limit) = (0, None);
    quiet.coverage.clear();
    quiet.history.clear();
    quiet.outbox.clear();
    quiet.figures.unknown_fields.clear();
    assert!(quiet.actions().is_empty());
    quiet.runs.clear();
    assert!(quiet.actions()[0].text.contains("Nothing was verified"), "silence is no proof");
}
