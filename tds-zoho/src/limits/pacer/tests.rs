use std::time::Duration;

use proptest::prelude::*;
use tds_core::limits::budget::Pacer as _;
use tokio::time::{Instant, advance, sleep};

use super::{Pacer, shape};

/// Takes a permit whenever the pacer allows one, with the given idle times. Returns the times of the permits.
async fn drive(pace: &mut Pacer, steps: &[(u64, u32)]) -> Vec<Duration> {
    let start = Instant::now();
    let mut times = Vec::new();
    for &(idle_milliseconds, calls) in steps {
        advance(Duration::from_millis(idle_milliseconds)).await;
        for _call in 0..calls {
            while let Err(wait) = pace.take() {
                sleep(wait).await;
            }
            times.push(start.elapsed());
        }
    }
    times
}

fn most_in_a_window(times: &[Duration]) -> usize {
    let window = |(index, first): (usize, &Duration)| {
        times[index..].iter().take_while(|time| **time <= *first + super::WINDOW).count()
    };
    times.iter().enumerate().map(window).max().unwrap_or(0)
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_window_of_60_seconds_sees_more_than_the_ceiling(
        ceiling in 1_u32..150, concurrency in 1_usize..12, steps in proptest::collection::vec((0_u64..90_000, 0_u32..120), 1..6)
    ) {
        let times = paused().block_on(async { drive(&mut Pacer::new(ceiling, concurrency), &steps).await });
        prop_assert!(most_in_a_window(&times) <= usize::try_from(ceiling)?);
    }

    #[test]
    fn burst_and_refill_leave_room_for_the_calls_in_flight(ceiling in 10_u32..10_000, concurrency in 1_usize..10) {
        let (burst, period) = shape(ceiling, concurrency);
        let refill = u32::try_from(super::WINDOW.as_nanos() / period.as_nanos())?;
        prop_assert!(burst.get() + refill + u32::try_from(concurrency)?.min(ceiling / 10) <= ceiling + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn with_work_waiting_most_of_the_ceiling_is_used_and_never_all_of_it() {
    for concurrency in [5, 10] {
        let times = drive(&mut Pacer::new(100, concurrency), &[(0, 900)]).await;
        let minutes = times[899].as_secs_f64() / 60.0;
        assert!(900.0 / minutes >= 85.0, "{} a minute", 900.0 / minutes);
        assert!(most_in_a_window(&times) < 100 - concurrency + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_window_has_left_is_known() {
    let mut pace = Pacer::new(100, 5);
    assert_eq!(pace.left(), 100);
    drive(&mut pace, &[(0, 5)]).await;
    assert_eq!(pace.left(), 95);
    advance(Duration::from_secs(61)).await;
    assert_eq!(pace.left(), 100);
}
