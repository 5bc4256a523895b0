//! The checks that rest on the queue, the inbox and the server's own answers.

use tds_core::measures::{AnswerTimes, Coverage, DeadLetterFigures, DelayFigures, DeliveryFigures};
use time::{Duration, OffsetDateTime, macros::format_description};

use super::{
    Check,
    Verdict::{self, Fail, Pass, Unknown},
};

/// The time over which everything is measured.
pub(super) const WEEK: Duration = Duration::days(7);
/// Fewer measurements than this say nothing about a mean or a share.
const ENOUGH: u64 = 20;

const SECONDS: f64 = 30.0;
const PERCENT: f64 = 99.0;
const MILLISECONDS: f64 = 200.0;

/// Judges the mean time from the arrival of work to its end.
pub(super) fn sync_delay(delays: &DelayFigures, now: OffsetDateTime) -> Check {
    let lack = lack(delays.since, Some(delays.completed), "items", now);
    let webhooks = delays.webhook_mean.map(|mean| format!("{mean:.1} s for webhooks, ")).unwrap_or_default();
    let p99 = delays.p99.map(|p99| format!("99 % within {p99:.1} s, ")).unwrap_or_default();
    let so_far = format!("{webhooks}{p99}{} items.", whole(delays.completed));
    let (status, hint) = verdict(delays.mean.map(|mean| mean < SECONDS), lack, &so_far, || {
        "GET /api/zoho/sync/stats names the entity types and what is deferred. More TDS_WORKERS help where work is \
         due and waits; a short budget of calls shows in tds-server plan. A large full sync counts too, and leaves the \
         week after 7 days."
            .to_owned()
    });
    Check {
        name: "sync_delay".to_owned(),
        status,
        value: delays.mean.map(rounded),
        unit: "s",
        target: "< 30 s on average over 7 days",
        hint,
    }
}

/// Judges the share of deliveries that were completed.
pub(super) fn webhook_success(
    deliveries: &DeliveryFigures,
    coverage: &[Coverage],
    now: OffsetDateTime,
) -> Check {
    let ended = deliveries.completed + deliveries.failed;
    let share = (ended > 0).then(|| ratio(deliveries.completed, ended) * 100.0);
    let lack = lack(deliveries.since, Some(deliveries.received), "deliveries", now);
    let so_far =
        format!("{} of {} deliveries failed.{}", deliveries.failed, whole(ended), announced(coverage));
    let (status, hint) = verdict(share.map(|share| share > PERCENT), lack, &so_far, || {
        "tds-server inbox list --status failed shows why; tds-server inbox replay ID processes a delivery again."
            .to_owned()
    });
    Check {
        name: "webhook_success".to_owned(),
        status,
        value: share.map(rounded),
        unit: "%",
        target: "> 99 % over 7 days",
        hint,
    }
}

/// Says how many changes were announced by a delivery.
fn announced(coverage: &[Coverage]) -> String {
    let changes: u64 = coverage.iter().map(|row| row.changes).sum();
    let delivered: u64 = coverage.iter().map(|row| row.delivered).sum();
    if changes == 0 {
        return String::new();
    }
    let share = ratio(delivered, changes) * 100.0;
    format!(" Zoho announced {share:.1} % of {} changes (tds-server report).", whole(changes))
}

/// Judges whether every accepted event reached an end state.
pub(super) fn no_loss(deliveries: &DeliveryFigures, now: OffsetDateTime) -> Check {
    let lack = lack(deliveries.since, None, "deliveries", now);
    let slowest =
        deliveries.slowest.map(|slowest| format!(" The slowest took {slowest:.1} s.")).unwrap_or_default();
    let so_far = if deliveries.late > 0 {
        let oldest = deliveries.oldest_open.unwrap_or_default() / 60.0;
        format!(
            "{} events of the inbox have no end state; the oldest waits for {oldest:.0} min.",
            deliveries.late
        )
    } else {
        format!("Every event that is older than 15 minutes reached an end state.{slowest}")
    };
    let is_good = deliveries.since.map(|_| deliveries.late == 0);
    let (status, hint) = verdict(is_good, lack, &so_far, || {
        "tds-server inbox list --status pending --older-than 15m shows them. They wait while their entity type is \
         paused (tds-server resume ENTITY), while Zoho refuses calls (/health says why), or behind a backlog."
            .to_owned()
    });
    Check {
        name: "no_loss".to_owned(),
        status,
        value: deliveries.since.map(|_| number(deliveries.late)),
        unit: "",
        target: "0 events without an end state",
        hint,
    }
}

/// Judges the dead letters. They count for seven days, whatever became of them.
pub(super) fn dead_letters(dead: &DeadLetterFigures, delays: &DelayFigures, now: OffsetDateTime) -> Check {
    let count = dead.now.max(dead.made);
    let lack = lack(delays.since, None, "items", now);
    let last = dead.last_at.map(|at| format!(", the last on {}", day_time(at))).unwrap_or_default();
    let so_far = match (dead.now, dead.made) {
        (0, 0) => "No item was given up.".to_owned(),
        (waiting, made) => format!("{waiting} wait now; {made} arose in the last 7 days{last}."),
    };
    let is_good = delays.since.map(|_| count == 0).or_else(|| (count > 0).then_some(false));
    let (status, hint) = verdict(is_good, lack, &so_far, || {
        if dead.now > 0 {
            "tds-server queue list --status dead_letter shows the reasons; retry what is mended, discard the rest."
                .to_owned()
        } else {
            "None waits any more; the check passes 7 days after the last one.".to_owned()
        }
    });
    Check {
        name: "dead_letters".to_owned(),
        status,
        value: is_good.map(|_| number(count)),
        unit: "",
        target: "0 items in 7 days",
        hint,
    }
}

/// Judges the mean time of the server's own answers.
pub(super) fn api_response_time(
    answers: &AnswerTimes,
    since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Check {
    let mean = answers.mean_ms();
    let lack = lack(since, Some(answers.answers), "answers", now);
    let p99 = answers.at_most_ms(0.99).map(|p99| format!(", 99 % within {p99} ms")).unwrap_or_default();
    let so_far = format!("{} answers{p99}, {} of them faults.", whole(answers.answers), answers.faults);
    let (status, hint) = verdict(mean.map(|mean| mean < MILLISECONDS), lack, &so_far, || {
        "The database is usually the cause: see /health and docs/operations/runbook.md, \"When the database is slow\"; \
         tds_http_request_duration_seconds of /metrics names the slow addresses."
            .to_owned()
    });
    Check {
        name: "api_response_time".to_owned(),
        status,
        value: mean.map(rounded),
        unit: "ms",
        target: "< 200 ms on average over 7 days",
        hint,
    }
}

/// Decides a check. A bad value fails at once; a good value passes if the data suffices.
fn verdict(
    is_good: Option<bool>,
    lack: Option<String>,
    so_far: &str,
    what_to_do: impl FnOnce() -> String,
) -> (Verdict, String) {
    match (is_good, lack) {
        (Some(false), _) => (Fail, format!("{so_far} {}", what_to_do())),
        (Some(true), None) => (Pass, so_far.to_owned()),
        (Some(true), Some(lack)) => (Unknown, format!("{lack} So far: {so_far}")),
        (None, lack) => (Unknown, lack.unwrap_or_else(|| so_far.to_owned())),
    }
}

/// Says what is missing to judge a week. A mean or a share needs a number of measurements.
fn lack(
    since: Option<OffsetDateTime>,
    measured: Option<u64>,
    what: &str,
    now: OffsetDateTime,
) -> Option<String> {
    let Some(since) = since else { return Some(format!("There are no {what} yet.")) };
    if since > now - WEEK {
        return Some(format!(
            "TDS measures since {}: 7 days are needed (and a TDS_RETENTION of more than 7 days).",
            day_time(since)
        ));
    }
    let few = measured.filter(|measured| *measured < ENOUGH)?;
    Some(format!("Only {few} {what} in the last 7 days: at least {ENOUGH} are needed."))
}

/// Formats a moment to the minute.
pub(crate) fn day_time(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

/// Formats a count with separators.
pub(crate) fn whole(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a count with its noun: `1 delivery`, `2 deliveries`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", whole(count), if count == 1 { one } else { many })
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than a float has")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "a count of single events needs no more than a float has")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-28 06:00 UTC);
    const LONG_AGO: Option<OffsetDateTime> = Some(datetime!(2026-11-20 06:00 UTC));
    const YESTERDAY: Option<OffsetDateTime> = Some(datetime!(2026-11-27 06:00 UTC));

    fn delays(since: Option<OffsetDateTime>, completed: u64, mean: f64) -> DelayFigures {
        DelayFigures { since, completed, mean: Some(mean), p99: Some(9.0), webhook_mean: Some(0.4) }
    }

    fn deliveries(since: Option<OffsetDateTime>, completed: u64, failed: u64, late: u64) -> DeliveryFigures {
        let (oldest_open, slowest) = ((late > 0).then_some(3_600.0), Some(2.0));
        let received = completed + failed + late;
        DeliveryFigures { since, received, completed, failed, late, oldest_open, slowest }
    }

    #[test]
    fn the_mean_delay_is_judged_after_a_week_of_enough_work() {
        let status = |since, completed, mean| sync_delay(&delays(since, completed, mean), NOW).status;
        assert_eq!(status(LONG_AGO, 20, 29.9), Pass);
        assert_eq!(status(LONG_AGO, 20, 30.0), Fail);
        assert_eq!(status(LONG_AGO, 19, 1.0), Unknown);
        assert_eq!(status(YESTERDAY, 20_000, 1.0), Unknown);
        assert_eq!(status(YESTERDAY, 20, 31.0), Fail, "a bad value needs no week");
        let fresh = sync_delay(&DelayFigures::default(), NOW);
        assert_eq!((fresh.status, fresh.value), (Unknown, None));
        let hint = sync_delay(&delays(YESTERDAY, 1_234, 1.0), NOW).hint;
        assert!(hint.contains("since 2026-11-27 06:00 UTC") && hint.contains("1,234 items"), "{hint}");
    }

    #[test]
    fn deliveries_have_to_succeed_and_to_end() {
        let success = |figures: &DeliveryFigures| webhook_success(figures, &[], NOW);
        assert_eq!(success(&deliveries(LONG_AGO, 9_901, 99, 0)).status, Pass);
        let check = success(&deliveries(LONG_AGO, 99, 1, 0));
        assert_eq!((check.status, check.value), (Fail, Some(99.0)), "99 % is not above 99 %");
        assert_eq!(success(&deliveries(LONG_AGO, 10, 0, 0)).status, Unknown);
        assert_eq!(success(&DeliveryFigures::default()).value, None);
        let loss = |figures: &DeliveryFigures| no_loss(figures, NOW);
        assert_eq!(loss(&deliveries(LONG_AGO, 1, 0, 0)).status, Pass);
        let check = loss(&deliveries(YESTERDAY, 100, 0, 2));
        assert_eq!((check.status, check.value), (Fail, Some(2.0)));
        assert!(check.hint.contains("60 min") && check.hint.contains("--older-than"), "{}", check.hint);
        assert_eq!(loss(&deliveries(YESTERDAY, 100, 0, 0)).status, Unknown);
        assert_eq!(loss(&DeliveryFigures::default()).value, None);
    }

    #[test]
    fn dead_letters_count_for_a_week_even_if_they_were_discarded() {
        let judge = |now, made, since| {
            let last_at = (made > 0).then_some(datetime!(2026-11-25 06:00 UTC));
            dead_letters(&DeadLetterFigures { now, made, last_at }, &delays(since, 100, 1.0), NOW)
        };
        assert_eq!((judge(0, 0, LONG_AGO).status, judge(0, 0, LONG_AGO).value), (Pass, Some(0.0)));
        let discarded = judge(0, 3, LONG_AGO);
        assert_eq!((discarded.status, discarded.value), (Fail, Some(3.0)));
        assert!(
            discarded.hint.contains("7 days after") && discarded.hint.contains("2026-11-25"),
            "{}",
            discarded.hint
        );
        assert_eq!(judge(2, 0, YESTERDAY).status, Fail);
        assert_eq!((judge(0, 0, YESTERDAY).status, judge(0, 0, None).status), (Unknown, Unknown));
        assert_eq!(judge(1, 1, None).status, Fail, "a dead letter is known whatever else is");
    }

    #[test]
    fn the_mean_of_the_answers_is_judged() {
        let judge = |since, answers: u64, seconds| {
            let times = AnswerTimes { answers, seconds, ..AnswerTimes::default() };
            api_response_time(&times, since, NOW)
        };
        assert_eq!((judge(LONG_AGO, 100, 1.0).status, judge(LONG_AGO, 100, 1.0).value), (Pass, Some(10.0)));
        assert_eq!(judge(LONG_AGO, 100, 20.0).status, Fail);
        assert_eq!((judge(LONG_AGO, 3, 0.1).status, judge(YESTERDAY, 100, 1.0).status), (Unknown, Unknown));
        assert_eq!(judge(None, 0, 0.0).value, None);
    }

    #[test]
    fn counts_have_separators() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(whole), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2_000].map(|count| counted(count, "item", "items")), ["1 item", "2,000 items"]);
    }
}
