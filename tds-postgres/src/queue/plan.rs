//! Tests that claims and completions read little more than the rows of their items, however many items wait and
//! whatever the statistics say.

use sqlx::{PgConnection, Row as _};
use tds_core::queue::Lane;

use super::{
    claim::{CLAIM, ClaimCursors},
    settle::COMPLETE,
};
use crate::testkit::TestDatabase;

/// The number of rows that may be read for each claimed item: to find, to lock and to change the item, with a margin.
const READS: i64 = 5;
const MOST: i64 = 100;

const FILL: &str = "
INSERT INTO tds_queue_live (entity_type, zoho_entity_id, priority)
SELECT 'products', n::text, (ARRAY[20, 30, 40])[n % 3 + 1] FROM generate_series($1::int + 1, $2::int) AS n";

const RUNNING_COUNTS: &str = "
SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'tds_queue_live'";

async fn run(connection: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(connection).await.expect("done");
}

async fn reads(connection: &mut PgConnection) -> i64 {
    sqlx::query(RUNNING_COUNTS).fetch_one(connection).await.expect("counted").get(0)
}

/// Returns how many items a claim takes, how many rows it reads for them, and how many rows completing them reads.
/// The transaction is rolled back.
async fn claim(connection: &mut PgConnection) -> (usize, i64, i64) {
    run(connection, "BEGIN").await;
    // The server may not have reported the reads of earlier transactions yet.
    let before = reads(connection).await;
    let range = ClaimCursors::default().range(Lane::Verify);
    let claim = sqlx::query(CLAIM).bind(MOST).bind(range.priorities).bind(range.ats).bind(range.ids);
    let claim = claim.bind(range.below).bind("worker").bind(60.0_f64);
    let taken = claim.fetch_all(&mut *connection).await.expect("claimed");
    let to_claim = reads(connection).await - before;
    let column = |name: &str| taken.iter().map(|row| row.get(name)).collect::<Vec<i64>>();
    let complete =
        sqlx::query(COMPLETE).bind(column("id")).bind(column("lease_token")).bind(column("generation"));
    let outcomes = vec!["applied"; taken.len()];
    let ended = complete.bind(outcomes).fetch_all(&mut *connection).await.expect("completed").len();
    assert_eq!(ended, taken.len(), "all are completed");
    let to_complete = reads(connection).await - before - to_claim;
    run(connection, "ROLLBACK").await;
    (taken.len(), to_claim, to_complete)
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_completions_read_little_more_than_they_take_whatever_the_depth_and_the_statistics() {
    let database = TestDatabase::new().await;
    let mut session = database.database().pool().acquire().await.expect("a session");
    // The worst knowledge about a full queue: the statistics and the cached plans of an empty queue.
    run(&mut session, "ANALYZE tds_queue_live").await;
    for _ in 0..10 {
        assert_eq!(claim(&mut session).await, (0, 0, 0));
    }
    let mut filled = 0;
    for depth in [1_000, 1_000_000] {
        sqlx::query(FILL).bind(filled).bind(depth).execute(&mut *session).await.expect("filled");
        filled = depth;
        for statistics in ["SELECT 'old'", "ANALYZE tds_queue_live"] {
            run(&mut session, statistics).await;
            let (taken, to_claim, to_complete) = claim(&mut session).await;
            assert_eq!(taken, 100, "{depth} rows, {statistics}");
            let read = to_claim.max(to_complete);
            assert!(read <= READS * MOST, "{to_claim} and {to_complete} rows read of {depth}, {statistics}");
        }
    }
}
