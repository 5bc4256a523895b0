//! The queue drained by one, two and four processes on one PostgreSQL. Only one process works on a record at a time.

use std::process::Stdio;

use tokio::{process::Command, task::JoinSet, time::Instant};

use crate::{
    cluster::{self, Cluster, count},
    report::{Report, say},
    work,
};

const ITEMS: i64 = 100_000;

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let one = drain(&mut cluster, 1).await;
    let two = drain(&mut cluster, 2).await;
    let four = drain(&mut cluster, 4).await;
    say(&format!("scale: {one:.0}, {two:.0}, {four:.0} items/s with 1, 2, 4 processes"));
    report.figure("drain_2_processes_vs_1", two / one, "times");
    report.figure("drain_4_processes_vs_1", four / one, "times");
    cluster.stop().await;
}

async fn drain(cluster: &mut Cluster, processes: usize) -> f64 {
    let url = cluster.migrated().await;
    work::fill(&url, ITEMS).await;
    let mut running = JoinSet::new();
    let began = Instant::now();
    for _ in 0..processes {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["child", "drain", &url]).stdin(Stdio::null()).kill_on_drop(true);
        running.spawn(async move { command.status().await.expect("a process").success() });
    }
    assert!(running.join_all().await.into_iter().all(|good| good), "every process succeeded");
    let elapsed = began.elapsed().as_secs_f64();
    assert_eq!(count(&url, "SELECT count(*) FROM tds_queue_live").await, 0, "nothing is left");
    // An item that two processes settled would be in the archive twice, or one settlement would have been refused by
    // its fencing token.
    assert_eq!(count(&url, "SELECT count(DISTINCT id) FROM tds_queue_done").await, ITEMS, "each ended once");
    let lost = count(&url, "SELECT count(*) FROM tds_queue_attempts WHERE result = 'lease_lost'").await;
    assert_eq!(lost, 0, "no lease was lost");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let rate = ITEMS as f64 / elapsed;
    rate
}

/// One of the processes. It works until the queue is empty.
pub(crate) async fn child(url: &str) {
    let database = cluster::database(url, 10).await;
    work::work_until_empty(&database).await;
    database.close().await;
}
