//! The cost of an idle server: a migrated database, all tasks running, and no schedule due.

use std::time::Duration;

use crate::{
    cluster::{Cluster, count},
    report::{Report, median},
    server::{Server, cpu_seconds, memory_mb},
};

const STARTS: usize = 5;
const WATCHED: Duration = Duration::from_secs(20);

/// The number of transactions of the database so far. A single statement counts as one transaction. The transaction of
/// this query is subtracted below.
const TRANSACTIONS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";

pub(crate) async fn run(report: &mut Report) {
    // Autovacuum's transactions on the newly created tables would be counted, so autovacuum is off.
    let mut cluster = Cluster::start_with(&[("autovacuum", "off")]).await;
    let url = cluster.migrated().await;
    let server = Server::start(&url, &[]).await;
    // After this time, the statements of the start have ended and are counted: an idle connection reports its counts
    // after ten seconds.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (transactions, cpu) = (count(&url, TRANSACTIONS).await, cpu_seconds(server.pid()));
    tokio::time::sleep(WATCHED).await;
    let spent = cpu_seconds(server.pid()) - cpu;
    let asked = count(&url, TRANSACTIONS).await - transactions - 1;
    let seconds = WATCHED.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    report.figure("idle_queries_per_s", asked as f64 / seconds, "transactions/s");
    report.figure("idle_cpu_percent", spent / seconds * 100.0, "%");
    report.figure("idle_rss_mb", memory_mb(server.pid(), "VmRSS"), "MB");
    server.stop().await;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let server = Server::start(&url, &[]).await;
        starts.push(server.start.as_secs_f64() * 1_000.0);
        server.stop().await;
    }
    report.figure("start_ms", median(starts), "ms");
    cluster.stop().await;
}
