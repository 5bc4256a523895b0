use time::macros::datetime;

use super::*;
use crate::{
    limits::budget::{BudgetRequest, BudgetState, DayStatus, Limits, SettledCall},
    queue::WorkerId,
};

fn status(limit: Option<u32>) -> BudgetStatus {
    BudgetStatus { day: DayStatus { limit, ..DayStatus::default() }, ..BudgetStatus::default() }
}

fn hours(done: &Forecast) -> u64 {
    done.done_in.expect("planned").as_secs() / 3_600
}

#[test]
fn without_a_limit_of_the_day_the_minute_decides() {
    let done = forecast(datetime!(2026-03-01 12:00 UTC), &status(None), 100, 12_000);
    assert_eq!(hours(&done), 2);
}

#[test]
fn an_initial_load_takes_the_days_that_its_calls_need() {
    // Full syncs may use 3,800 of 5,000 calls a day, so that 50,000 calls take thirteen days and some hours.
    let done = forecast(datetime!(2026-03-01 00:00 UTC), &status(Some(5_000)), 95, 50_000);
    let days = hours(&done) / 24;
    assert_eq!(days, 13, "{done:?}");
}

/// 50,000 invoices with their lines are read on a plan of 5,000 calls a day, in addition to 60 webhooks a day. The
/// forecast made at any time matches the time that the read really takes.
#[test]
fn the_forecast_of_a_first_load_comes_true() {
    let limits =
        Limits { per_minute: None, concurrent: 5, per_day: Some(5_000), call_time: Duration::from_secs(60) };
    let (mut state, mut now) = (BudgetState::default(), datetime!(2026-03-01 09:30 UTC));
    let (mut left, mut webhooks, mut announced) = (50_000_u64, 0_u64, Vec::new());
    while left > 0 {
        let mut request = BudgetRequest::of(WorkerId("one".to_owned()));
        request.wants[Lane::Full] = u32::try_from(left.min(20)).expect("small");
        request.wants[Lane::Webhook] = u32::from(webhooks % 24 == 0);
        webhooks += 1;
        let grant = state.exchange(now, &limits, &request);
        let mut report = BudgetRequest::of(request.holder);
        report.settled = grant
            .permits
            .iter()
            .map(|permit| SettledCall { permit: permit.number, lane: permit.lane, age: Duration::ZERO })
            .collect();
        left -= u64::try_from(grant.permits.iter().filter(|permit| permit.lane == Lane::Full).count())
            .expect("few");
        let status = state.exchange(now, &limits, &report).status;
        // The forecast is read once a day.
        if webhooks % 1_440 == 720 && left > 0 {
            announced.push((now, forecast(now, &status, 95, left).done_in.expect("planned")));
        }
        now += Duration::from_secs(60);
    }
    assert!(announced.len() >= 12, "{announced:?}");
    for (at, wait) in announced {
        let actual_hours = (now - at).as_seconds_f64() / 3_600.0;
        let forecast_hours = wait.as_secs_f64() / 3_600.0;
        assert!(
            (forecast_hours - actual_hours).abs() <= 6.0_f64.max(actual_hours * 0.03),
            "{forecast_hours:.1} h told, {actual_hours:.1} h came"
        );
    }
}

#[test]
fn nothing_to_read_is_done_at_once() {
    let done = forecast(datetime!(2026-03-01 00:00 UTC), &status(Some(5_000)), 95, 0);
    assert_eq!(done.done_in, Some(Duration::ZERO));
}
