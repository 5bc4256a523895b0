//! Tests of the judge at work: faults that show only while the system works are planted too, and must be reported.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tds_zoho::testkit::Module;
use tokio::time::{Instant, sleep};

use crate::{
    crowd,
    database::operate,
    journal::{report, rules},
    letters,
    monkey::close,
    operators, planted, processes, senders,
    world::{CONNECTIONS, DATABASE, World},
};

const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until exactly these rules were violated since the first `before` faults of the journal; returns the present
/// number of faults.
async fn reported(world: &World, before: usize, wanted: &[&str], mut look: impl AsyncFnMut()) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        look().await;
        let faults = world.journal.faults();
        let since = &faults[before..];
        if rules(since) == wanted {
            return faults.len();
        }
        assert!(Instant::now() < deadline, "wanted: {wanted:?}; reported:\n{}", report(since));
        sleep(Duration::from_millis(50)).await;
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect("an administrator may");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_without_a_disturbance_are_reported() {
    let world = World::open(9, 0).await;
    let before = everybody_is_refused(&world, 0).await;
    let before = there_are_too_many_connections(&world, before).await;
    let before = an_operator_ends_in_a_deadlock(&world, before).await;
    a_process_is_gone(&world, before).await;
    close(world).await;
}

/// Plants a database that refuses all writes, as when all requests wait behind one locked row until they time out.
async fn everybody_is_refused(world: &World, before: usize) -> usize {
    let mut admin = world.cluster.connect("postgres", "monkey").await;
    execute(&mut admin, &format!("ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'tds'";
    execute(&mut admin, end).await;
    let id = &world.source.zoho.ids(Module::ITEMS)[0];
    let change = world.source.update(Module::ITEMS, "products", id).expect("the item is there");
    let letter = letters::plain(&world.source, &change);
    let broken = ["a webhook is refused in calm conditions", "the API fails in calm conditions"];
    let path = "/api/zoho/sync/queue/retry";
    let refused = async || {
        assert!(!senders::send(world, 0, &letter).await, "the database takes no writes");
        let since = world.journal.now();
        let answered = world.processes[0].post(path, json!({"status": "dead_letter"})).await;
        operators::judge(world, 0, since, path, answered);
    };
    let now = reported(world, before, &broken, refused).await;
    execute(&mut admin, &format!("ALTER DATABASE {DATABASE} RESET default_transaction_read_only")).await;
    now
}

/// Plants too many connections, as when the connection that listens is not counted.
async fn there_are_too_many_connections(world: &World, before: usize) -> usize {
    let mut others = Vec::new();
    for _ in 0..=2 * CONNECTIONS {
        others.push(world.cluster.connect(DATABASE, "tds").await);
    }
    let now =
        reported(world, before, &["more connections than allowed"], async || crowd::look(world).await).await;
    for other in others {
        other.close().await.expect("it closes");
    }
    now
}

/// Plants a deadlock, as when workers lock rows in another order than an operator's statement.
async fn an_operator_ends_in_a_deadlock(world: &Arc<World>, before: usize) -> usize {
    let cluster = &world.cluster;
    let rows = "CREATE TABLE monkey.two (id integer PRIMARY KEY, n integer);
                INSERT INTO monkey.two VALUES (1, 0), (2, 0)";
    cluster.run(DATABASE, rows).await;
    // The worker does not check for deadlocks itself, so that PostgreSQL reports the deadlock to the operator.
    let mut worker = cluster.connect(DATABASE, "monkey-works").await;
    execute(&mut worker, "SET deadlock_timeout = '1min'; BEGIN; UPDATE monkey.two SET n = 1 WHERE id = 1")
        .await;
    let mut gate = cluster.connect(DATABASE, "monkey-gate").await;
    execute(&mut gate, "SELECT pg_advisory_lock(7)").await;
    let operator = tokio::spawn({
        let world = Arc::clone(world);
        async move {
            let statement = "DO $$ BEGIN
                UPDATE monkey.two SET n = 2 WHERE id = 2;
                PERFORM pg_advisory_lock(7);
                UPDATE monkey.two SET n = 2 WHERE id = 1;
              END $$";
            operate(&world, "monkey-operates", statement).await;
        }
    });
    planted::until_it_waits(cluster, DATABASE, "monkey-operates").await;
    let worker = tokio::spawn(async move {
        execute(&mut worker, "UPDATE monkey.two SET n = 1 WHERE id = 2; COMMIT").await;
    });
    planted::until_it_waits(cluster, DATABASE, "monkey-works").await;
    execute(&mut gate, "SELECT pg_advisory_unlock(7)").await;
    let now = reported(world, before, &["an operator's statement fails"], async || ()).await;
    operator.await.expect("the operator was told");
    worker.await.expect("the worker continues");
    now
}

async fn a_process_is_gone(world: &World, before: usize) {
    world.processes[0].signal("KILL").await;
    processes::back(world, 0).await;
    reported(world, before, &["a process ends by itself"], async || ()).await;
}
