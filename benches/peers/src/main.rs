//! The drain of TDS and of other queues on PostgreSQL, in one run on one durable cluster.
//!
//! Each queue handles 100,000 items with a handler that does nothing. There are three rounds, and the queues take
//! turns. In addition, TDS keeps at most one live item per record and direction, leases, fencing tokens, and an
//! archive.

#[path = "../../load/cluster.rs"]
mod cluster;
#[path = "../../load/report.rs"]
mod report;
#[path = "../../load/work.rs"]
mod work;

mod apalis;
mod awa;
mod graphile;
mod pgmq;

use report::{Report, median, say};

const ROUNDS: usize = 3;
const ITEMS: i64 = 100_000;

/// The interval at which the bench checks whether a queue is drained.
const LOOK: std::time::Duration = std::time::Duration::from_millis(5);

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut report = Report::default();
    runtime.block_on(run(&mut report));
    println!("{}", if json { report.json() } else { report.text() });
    if report.misses() {
        std::process::exit(1);
    }
}

async fn run(report: &mut Report) {
    let mut cluster = cluster::Cluster::start().await;
    let mut rates: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        let url = cluster.migrated().await;
        work::fill(&url, ITEMS).await;
        rates[0].push(work::drain(&url, ITEMS).await);
        rates[1].push(graphile::drain(&cluster.empty().await, ITEMS).await);
        rates[2].push(apalis::drain(&cluster.empty().await, ITEMS).await);
        rates[3].push(pgmq::drain(&cluster.empty().await, ITEMS).await);
        rates[4].push(awa::drain(&cluster.empty().await, ITEMS).await);
        say(&format!("ours, graphile_worker, apalis, pgmq, awa: {rates:.0?} items/s"));
    }
    let [ours, graphile, apalis, pgmq, awa] = rates.map(median);
    report.at_least("drain_vs_graphile_worker", ours / graphile, 1.0);
    report.at_least("drain_vs_apalis", ours / apalis, 3.0);
    report.at_least("drain_vs_pgmq", ours / pgmq, 0.8);
    report.at_least("drain_vs_awa", ours / awa, 5.0);
    cluster.stop().await;
}

/// Returns the items per second.
fn rate(items: i64, began: tokio::time::Instant) -> f64 {
    items as f64 / began.elapsed().as_secs_f64()
}
