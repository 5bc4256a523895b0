//! The claim is a range scan of the ready index, however many items wait.

use sqlx::Row as _;

use super::CLAIM;
use crate::testkit::TestDatabase;

const FILL: &str = "
INSERT INTO tds_queue_live (entity_type, zoho_entity_id, priority)
SELECT 'products', n::text, (ARRAY[20, 30, 40])[n % 3 + 1] FROM generate_series($1::int + 1, $2::int) AS n";

async fn plan(database: &TestDatabase) -> String {
    let explain = format!("EXPLAIN (COSTS OFF) {CLAIM}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(explain))
        .bind(100_i64)
        .bind(50_i16)
        .bind("worker")
        .bind(60.0_f64)
        .fetch_all(database.database())
        .await
        .expect("explained");
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_scans_the_ready_index_and_sorts_nothing_whatever_the_depth() {
    let database = TestDatabase::new().await;
    let mut filled = 0_i32;
    for depth in [0_i32, 1_000, 100_000] {
        sqlx::query(FILL).bind(filled).bind(depth).execute(database.database()).await.expect("filled");
        filled = depth;
        // Before and after the statistics of this depth are known.
        for statement in ["SELECT 1", "ANALYZE tds_queue_live"] {
            sqlx::query(statement).execute(database.database()).await.expect("done");
            let plan = plan(&database).await;
            assert!(
                plan.contains("Index Scan using tds_queue_ready"),
                "at {depth} rows, {statement}:\n{plan}"
            );
            assert!(!plan.contains("Sort"), "at {depth} rows, {statement}:\n{plan}");
        }
    }
}
