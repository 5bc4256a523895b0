//! The checks that rest on verifications.

use std::collections::{BTreeMap, BTreeSet};

use tds_core::{
    measures::MoneyPoint,
    runs::RunStatus,
    verify::{DriftClass, VerifiedRun},
};
use tds_zoho::entities::Descriptor;
use time::{Date, Duration, OffsetDateTime};

use super::{
    Check,
    Verdict::{self, Fail, Pass, Unknown},
    figures::{WEEK, day_time, whole},
};

/// Verifications on this number of different days are enough for a week.
const ENOUGH: usize = 5;
/// The time from the first verification until now. A daily schedule has seven verifications in six days.
const SPAN: Duration = Duration::days(6);
/// The newest verification must not be older than this.
const FRESH: Duration = Duration::days(2);

const COMMAND: &str = "TDS_VERIFY_EVERY (default 24h) starts verifications, and so does tds-server verify";

/// Judges the verifications of one entity type.
pub(super) fn check(entity: &Descriptor, runs: &[VerifiedRun], now: OffsetDateTime) -> Check {
    let of_type = || runs.iter().map(|run| &run.report).filter(|report| report.entity == *entity.entity());
    let ended = |status| matches!(status, RunStatus::Completed | RunStatus::CompletedWithErrors);
    let complete: Vec<_> = of_type().filter(|report| ended(report.status)).collect();
    let week: Vec<_> =
        complete.iter().filter(|report| report.completed_at.is_some_and(|at| at > now - WEEK)).collect();
    let found: u64 = week.iter().flat_map(|report| report.found.values()).sum();
    let compared: u64 = week.iter().map(|report| report.counts.compared).sum();
    let times: Vec<OffsetDateTime> = complete.iter().filter_map(|report| report.completed_at).collect();
    let contents = contents(entity);
    let (status, hint) = if found > 0 {
        let mut classes: BTreeMap<DriftClass, u64> = BTreeMap::new();
        let mut fields: BTreeMap<&str, u64> = BTreeMap::new();
        for report in &week {
            report.found.iter().for_each(|(class, count)| *classes.entry(*class).or_default() += count);
            report.by_field.iter().for_each(|(field, count)| *fields.entry(field).or_default() += count);
        }
        let repaired: u64 = week.iter().map(|report| report.repaired).sum();
        let classes: Vec<String> =
            classes.iter().map(|(class, count)| format!("{count} {}", class.as_str())).collect();
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let fields: Vec<&str> = fields.iter().take(3).map(|(field, _)| *field).collect();
        let of =
            if fields.is_empty() { String::new() } else { format!(" (most often {})", fields.join(", ")) };
        let hint = format!(
            "{} of {} comparisons differed in the last 7 days: {}{of}; {repaired} are equal again. Look at them with \
             tds-server verify --entity {name} --json, find the cause with tds-server explain {name} ZOHO_ID, and \
             repair with tds-server verify --entity {name} --repair. The check passes 7 days after the last \
             difference.",
            whole(found),
            whole(compared),
            classes.join(", "),
            name = entity.name()
        );
        (Fail, hint)
    } else if let Some(lack) = lack(&times, now) {
        let failure = of_type().next_back().filter(|report| report.status == RunStatus::Failed);
        let failure = failure.map(|report| {
            let error = report.error.as_deref().unwrap_or("see tds-server runs list");
            format!(" The last verification failed: {error}")
        });
        (Unknown, format!("{lack} {COMMAND}.{}", failure.unwrap_or_default()))
    } else {
        let bound = week.iter().map(|report| report.counts.sampled).max().filter(|sampled| *sampled > 0);
        let bound = bound.map(|sampled| format!(", {sampled} whole records as a sample")).unwrap_or_default();
        (Pass, format!("{} comparisons in {} verifications, {contents}{bound}.", whole(compared), week.len()))
    };
    Check {
        name: format!("{}_verified", entity.name()),
        status,
        value: (!week.is_empty()).then(|| count(found)),
        unit: "",
        target: "0 differences in 7 days",
        hint,
    }
}

/// Says what the comparisons of an entity type contain.
fn contents(entity: &Descriptor) -> String {
    let known = match entity.name() {
        "products" => "with images (ids and names), descriptions and prices",
        "customers" | "vendors" => "with addresses, contact persons and balances",
        "invoices" | "bills" | "credit_notes" | "sales_orders" | "purchase_orders" | "vendor_credits" => {
            "with lines, totals and taxes"
        }
        "stock" => "in all and at every location",
        "prices" => "with items and brackets",
        "customer_payments" | "vendor_payments" => "with the documents that they pay",
        "composite_items" => "with components",
        "currencies" => "with dated rates",
        "item_groups" => "with attributes",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let children: Vec<&str> = entity.schema.children.iter().map(|child| child.table).collect();
    if children.is_empty() { "every column".to_owned() } else { format!("with {}", children.join(", ")) }
}

/// Judges the checks of money of the verifications.
pub(super) fn money(points: &[MoneyPoint], now: OffsetDateTime) -> Check {
    let failing: usize = points.iter().map(|point| point.failing().count()).sum();
    let times: Vec<OffsetDateTime> = points.iter().map(|point| point.at).collect();
    let checks: usize = points.iter().map(|point| point.rows.len()).sum();
    let last = points.iter().rev().find(|point| point.failing().next().is_some());
    let (status, hint): (Verdict, String) = if let Some(point) = last {
        let texts: Vec<String> = point
            .failing()
            .take(3)
            .map(|row| {
                let currency = row.currency.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
                let example = row.examples.first().map(|text| format!(" ({text})")).unwrap_or_default();
                format!("{}{currency} differs by {}{example}", row.check, row.difference)
            })
            .collect();
        let hint = format!(
            "{} in the verification of {}. The examples of tds-server verify --json name the records; read them \
             again with tds-server verify --repair, and correct in Zoho what is wrong there. The check passes 7 days \
             after the last difference.",
            texts.join("; "),
            day_time(point.at)
        );
        (Fail, hint)
    } else if let Some(lack) = lack(&times, now) {
        (Unknown, format!("{lack} {COMMAND}."))
    } else if checks == 0 {
        (Unknown, "The verifications of the last 7 days made no check of money.".to_owned())
    } else {
        (Pass, format!("{checks} checks in {} verifications agree to the cent.", points.len()))
    };
    Check {
        name: "money".to_owned(),
        status,
        value: (!points.is_empty()).then(|| count(failing as u64)),
        unit: "",
        target: "0 differences in 7 days",
        hint,
    }
}

/// Says what is missing to judge a week by verifications at these times, oldest first.
fn lack(times: &[OffsetDateTime], now: OffsetDateTime) -> Option<String> {
    let Some((first, last)) = times.first().zip(times.last()) else {
        return Some("No verification is complete yet.".to_owned());
    };
    let week: Vec<&OffsetDateTime> = times.iter().filter(|at| **at > now - WEEK).collect();
    let days: BTreeSet<Date> = week.iter().map(|at| at.date()).collect();
    if days.len() < ENOUGH || *first > now - SPAN {
        return Some(format!(
            "{} verifications on {} days of the last 7, the first on {}: verifications on {ENOUGH} days, over at \
             least 6 days, are needed.",
            week.len(),
            days.len(),
            day_time(*first)
        ));
    }
    (*last < now - FRESH).then(|| {
        format!("The last verification is of {}: it must not be older than 2 days.", day_time(*last))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a count of differences needs no more than a float has")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use tds_core::{
        measures::MoneyRow,
        runs::RunId,
        verify::{EntityReport, VerifyCounts},
    };
    use tds_zoho::entities::Catalogue;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-28 06:00 UTC);

    fn run(days_ago: i64, found: &[(DriftClass, u64)]) -> VerifiedRun {
        let report = EntityReport {
            run: RunId(days_ago),
            repairs: false,
            entity: "products".parse().expect("a name"),
            status: RunStatus::Completed,
            error: None,
            started_at: None,
            completed_at: Some(NOW - Duration::days(days_ago) + Duration::hours(1)),
            calls: 12,
            counts: VerifyCounts { source_records: 100, target_records: 100, compared: 100, sampled: 50 },
            in_flight: 0,
            repaired: 0,
            found: found.iter().copied().collect(),
            drift: BTreeMap::new(),
            by_field: BTreeMap::from([("rate".to_owned(), 2), ("name".to_owned(), 1)]),
            examples: Vec::new(),
        };
        VerifiedRun { report, slowest_repair_seconds: None }
    }

    fn judged(runs: &[VerifiedRun]) -> Check {
        let catalogue = Catalogue::default();
        let products = catalogue.iter().next().expect("products");
        check(products, runs, NOW)
    }

    fn daily() -> Vec<VerifiedRun> {
        (1..=8).rev().map(|days| run(days, &[])).collect()
    }

    #[test]
    fn a_week_without_differences_passes() {
        let check = judged(&daily());
        assert_eq!((check.name.as_str(), check.status, check.value), ("products_verified", Pass, Some(0.0)));
        assert!(check.hint.contains("prices") && check.hint.contains("50 whole records"), "{}", check.hint);
        // The seventh of seven daily verifications completes the week.
        assert_eq!(judged(&daily()[1..]).status, Pass);
    }

    #[test]
    fn few_days_or_an_old_verification_are_not_enough() {
        let none = judged(&[]);
        assert_eq!((none.status, none.value), (Unknown, None));
        let many_today: Vec<_> = (0..20).map(|_| run(1, &[])).chain([run(2, &[])]).collect();
        for runs in [&daily()[2..], &many_today, &daily()[..5]] {
            let check = judged(runs);
            assert_eq!((check.status, check.value), (Unknown, Some(0.0)), "{}", check.hint);
        }
    }

    #[test]
    fn a_difference_fails_for_seven_days_even_if_it_was_repaired() {
        let mut runs = daily();
        runs[2] = run(6, &[(DriftClass::FieldDiff, 2), (DriftClass::Stale, 1)]);
        let check = judged(&runs);
        assert_eq!((check.status, check.value), (Fail, Some(3.0)));
        for part in ["1 stale", "2 field_diff", "most often rate, name", "--repair", "explain products"] {
            assert!(check.hint.contains(part), "{part}: {}", check.hint);
        }
        runs[2] = run(6, &[]);
        runs[0] = run(9, &[(DriftClass::Stale, 1)]);
        assert_eq!(judged(&runs).status, Pass, "older differences no longer count");
    }

    #[test]
    fn runs_that_failed_or_belong_to_others_prove_nothing() {
        let mut runs = daily();
        for run in &mut runs {
            run.report.status = RunStatus::Failed;
            run.report.error = Some("Zoho refuses".to_owned());
        }
        let check = judged(&runs);
        assert_eq!(check.status, Unknown);
        assert!(check.hint.contains("failed: Zoho refuses"), "{}", check.hint);
        let mut runs = daily();
        runs.iter_mut().for_each(|run| run.report.entity = "bills".parse().expect("a name"));
        assert_eq!(judged(&runs).status, Unknown);
    }

    #[test]
    fn money_is_judged_by_every_verification_of_the_week() {
        let point = |days_ago: i64, holds: bool| MoneyPoint {
            verification: RunId(1),
            at: NOW - Duration::days(days_ago) + Duration::hours(1),
            rows: vec![MoneyRow {
                check: "receivables".to_owned(),
                currency: Some("IQD".to_owned()),
                source: None,
                target: None,
                difference: if holds { "0.00" } else { "12.50" }.to_owned(),
                holds,
                examples: vec!["invoices 7".to_owned()],
            }],
        };
        let mut points: Vec<_> = (1..=7).rev().map(|days| point(days, true)).collect();
        assert_eq!(money(&points, NOW).status, Pass);
        points[3] = point(4, false);
        let check = money(&points, NOW);
        assert_eq!((check.status, check.value), (Fail, Some(1.0)));
        assert!(check.hint.contains("receivables IQD differs by 12.50 (invoices 7)"), "{}", check.hint);
        assert_eq!(money(&points[5..], NOW).status, Unknown);
        assert_eq!(money(&[], NOW).value, None);
        points.iter_mut().for_each(|point| point.rows.clear());
        assert_eq!(money(&points, NOW).status, Unknown, "nothing was checked");
    }
}
