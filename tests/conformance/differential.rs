//! Runs one random history on two stores, the one in memory and the one in PostgreSQL, which must answer alike and end
//! in the same state.
//!
//! The results of the simulation, which runs the engine over the store in memory, hold for PostgreSQL as far as the
//! two stores cannot be distinguished. A failure prints the first step at which they differ, with the shortest history
//! that leads there.

mod operation;
mod picture;
mod side;

use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};

use self::{operation::Operation, side::Side};
use crate::{memory::memory, postgres::stores_of};

/// The number of histories in a test run. `TDS_DIFFERENTIAL_CASES` sets another number.
const CASES: u32 = 64;
const LENGTH: usize = 40;

const EMPTY: &str = "
TRUNCATE tds_inbox_events, tds_queue_live, tds_queue_done, tds_queue_waiters, tds_queue_attempts, tds_entity_controls,
  tds_sync_runs, tds_run_records, tds_run_kept, tds_cursors RESTART IDENTITY";

async fn compare(database: &TestDatabase, history: &[Operation]) -> Result<(), TestCaseError> {
    sqlx::raw_sql(EMPTY).execute(database.database().pool()).await.expect("emptied");
    let memory = memory().await;
    // Each history has its own `PgStore`, which keeps no state outside the database.
    let postgres = PgStore::new(database.database().clone(), StoreSettings::default());
    let mut sides = [
        Side::new(memory.stores.clone(), Some(memory.clock.clone())),
        Side::new(stores_of(&postgres, database), None),
    ];
    for (step, operation) in history.iter().enumerate() {
        let mut answers = Vec::new();
        for side in &mut sides {
            let answer = side.execute(operation).await;
            answers.push(format!("{answer}\n{}", side.picture().await));
        }
        if answers[0] != answers[1] {
            let text = format!(
                "step {step}: {operation:?}\n--- memory\n{}\n--- PostgreSQL\n{}",
                answers[0], answers[1]
            );
            return Err(TestCaseError::fail(text));
        }
    }
    let (memory, postgres) = (sides[0].details().await, sides[1].details().await);
    proptest::prop_assert_eq!(memory, postgres, "payloads and attempts at the end");
    Ok(())
}

#[test]
fn memory_and_postgresql_cannot_be_distinguished() {
    let asked = std::env::var("TDS_DIFFERENTIAL_CASES").ok().and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(TestDatabase::new());
    let config = Config {
        cases: asked.unwrap_or(CASES),
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    // By default every test run uses the same histories. With `TDS_DIFFERENTIAL_CASES`, each test run uses other ones.
    let mut runner = match asked {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let outcome = runner.run(&vec(operation::operation(), 1..LENGTH), |history| {
        runtime.block_on(compare(&database, &history))
    });
    let _context = runtime.enter();
    drop(database);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
