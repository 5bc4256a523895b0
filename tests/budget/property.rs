//! A property test: processes, which are killed at any time, call a source whose answers take any time.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use tds_core::{
    limits::{
        budget::Limits,
        shared_state::{LocalState, SharedState},
    },
    queue::Lane,
    testkit::ManualClock,
};
use tokio::time::sleep;

use crate::world::{Process, Source, virtual_time};

#[derive(Debug, Clone)]
struct Plan {
    ceiling: u32,
    concurrent: u32,
    /// The milliseconds after which a process is killed and another one is started in its place.
    lives: Vec<u64>,
    processes: usize,
    far: u64,
    slow: u64,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    let lives = proptest::collection::vec(200_u64..90_000, 1..6);
    (1_u32..160, 1_u32..10, lives, 1_usize..5, 0_u64..900, 0_u64..300, any::<u64>()).prop_map(
        |(ceiling, concurrent, lives, processes, far, slow, seed)| Plan {
            ceiling,
            concurrent,
            lives,
            processes,
            far,
            slow,
            seed,
        },
    )
}

async fn play(plan: &Plan) -> Source {
    let limits = Limits {
        per_minute: Some(plan.ceiling),
        concurrent: plan.concurrent,
        per_day: None,
        call_time: Duration::from_secs(20),
    };
    let shared: Arc<dyn SharedState> = Arc::new(LocalState::new(&(Arc::new(ManualClock::default()) as _)));
    let source = Source::new(plan.ceiling, (limits.call_time, plan.slow));
    let start = |number: u64| {
        let mut process =
            Process::start(&shared, &source, &limits, Duration::from_millis(plan.far), plan.seed ^ number);
        process.backlog(Lane::Full, 6);
        process.backlog(Lane::Webhook, 1);
        process
    };
    let mut processes: Vec<Process> = (0..plan.processes).map(|number| start(number as u64)).collect();
    for (number, life) in plan.lives.iter().enumerate() {
        sleep(Duration::from_millis(*life)).await;
        let victim = number % plan.processes;
        processes[victim] = start(100 + number as u64);
    }
    sleep(Duration::from_secs(70)).await;
    source
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_window_of_60_seconds_sees_more_arrivals_than_the_ceiling(plan in plans()) {
        let source = virtual_time().block_on(play(&plan));
        let seen = source.seen();
        prop_assert!(seen.most_in_window <= plan.ceiling as usize, "{} arrived in a window", seen.most_in_window);
        prop_assert!(seen.most_in_flight <= plan.concurrent as usize, "{} were in flight", seen.most_in_flight);
        prop_assert!(seen.total > 0);
    }
}
