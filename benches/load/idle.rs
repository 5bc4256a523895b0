//! The cost of an idle server: a migrated database, all tasks running, and no schedule due.

use std::time::Duration;

use crate::{
    cluster::{Cluster, count},
    report::{Report, median},
    server::{Server, cpu_seconds, memory_mb},
};

const STARTS: usize = 5;
/// The time before the server is watched. The statements of the start have ended and are counted then: an idle
/// connection reports its counts after ten seconds. And the connections have prepared most of their statements, which
/// PostgreSQL counts as a transaction each.
const SETTLED: Duration = Duration::from_secs(30);
const WATCHED: Duration = Duration::from_secs(60);

/// The number of transactions of the server's database so far. A single statement counts as one transaction. The query
/// is made in another database, because a connection and a query count there.
const TRANSACTIONS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'bench_1'";

pub(crate) async fn run(report: &mut Report) {
    // Autovacuum's transactions on the newly created tables would be counted, so autovacuum is off.
    let mut cluster = Cluster::start_with(&[("autovacuum", "off")]).await;
    let url = cluster.migrated().await;
    let server = Server::start(&url, &[]).await;
    let elsewhere = url.replace("/bench_1?", "/postgres?");
    assert_ne!(elsewhere, url, "the first database of a cluster has this name");
    tokio::time::sleep(SETTLED).await;
    let (transactions, cpu) = (count(&elsewhere, TRANSACTIONS).await, cpu_seconds(server.pid()));
    tokio::time::sleep(WATCHED).await;
    let spent = cpu_seconds(server.pid()) - cpu;
    let asked = count(&elsewhere, TRANSACTIONS).await - transactions;
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
