//! The latency of a webhook: to its answer at 1,500 webhooks per second, and to the visible row at 500 per second.
//!
//! The load is an open loop: latency counts from the moment at which a webhook is due to be sent, whether or not the
//! client could send it then.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sqlx::Row as _;
use tds_core::clock::{Clock as _, SystemClock};
use time::OffsetDateTime;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cluster::{Cluster, connect, count},
    http::Connection,
    report::{Report, percentile, say},
    server::Server,
    webhooks,
};

const CLIENTS: u64 = 64;
const SECONDS: u64 = 10;
/// The rates of the two parts, in webhooks per second.
const ANSWERED: u64 = 1_500;
const APPLIED: u64 = 500;

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let url = cluster.migrated().await;
    let server = Server::start(&url, &[("TDS_WORKERS", "0")]).await;
    // The first second warms up connections and caches, and is not counted.
    open_loop(&server, 1_000_000, ANSWERED, 1).await;
    let mut latencies: Vec<f64> = open_loop(&server, 2_000_000, ANSWERED, SECONDS)
        .await
        .into_iter()
        .map(|sent| sent.answered_ms)
        .collect();
    say(&format!("latency: p50 {:.2} ms", percentile(&mut latencies, 0.5)));
    report.figure("ingest_p99_ms_at_1500", percentile(&mut latencies, 0.99), "ms");
    server.stop().await;
    to_row(&mut cluster, report).await;
    cluster.stop().await;
}

/// Measures the time until the row is visible, which is the commit of its last change. PostgreSQL records the commit
/// time just before it flushes the commit.
async fn to_row(cluster: &mut Cluster, report: &mut Report) {
    let url = cluster.migrated().await;
    let server = Server::start(&url, &[]).await;
    open_loop(&server, 1_000_000, APPLIED, 1).await;
    let sent = open_loop(&server, 2_000_000, APPLIED, SECONDS).await;
    let total = i64::try_from((SECONDS + 1) * APPLIED).expect("small");
    let deadline = Instant::now() + Duration::from_secs(30);
    while count(&url, "SELECT count(*) FROM tds_inbox_events WHERE outcome = 'applied'").await < total {
        assert!(Instant::now() < deadline, "not every webhook became a row");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let visible = sqlx::query("SELECT zoho_id, pg_xact_commit_timestamp(xmin) AS at FROM erp.products")
        .fetch_all(&mut connect(&url).await)
        .await
        .expect("the rows");
    let visible: HashMap<String, OffsetDateTime> =
        visible.iter().map(|row| (row.get("zoho_id"), row.get("at"))).collect();
    let mut latencies: Vec<f64> = sent
        .iter()
        .map(|sent| {
            let at = visible.get(&format!("46000000{:011}", sent.id)).expect("its row");
            (*at - sent.due).as_seconds_f64() * 1_000.0
        })
        .collect();
    say(&format!("latency: webhook to row p50 {:.2} ms", percentile(&mut latencies, 0.5)));
    report.figure("webhook_to_row_p99_ms", percentile(&mut latencies, 0.99), "ms");
    server.stop().await;
}

struct Sent {
    id: u64,
    due: OffsetDateTime,
    answered_ms: f64,
}

/// Sends webhooks at a steady rate. Every webhook must be answered 200.
async fn open_loop(server: &Server, first: u64, rate: u64, seconds: u64) -> Vec<Sent> {
    let total = rate * seconds;
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new((0..total).map(|index| webhooks::request(first + index, 0)).collect());
    let mut clients = JoinSet::new();
    let (start, clock_start) =
        (Instant::now() + Duration::from_millis(50), SystemClock.now() + Duration::from_millis(50));
    for client in 0..CLIENTS {
        let (requests, address) = (Arc::clone(&requests), server.address.clone());
        clients.spawn(async move {
            let mut connection = Connection::open(&address).await.expect("connected");
            let mut sent = Vec::new();
            for index in (client..total).step_by(usize::try_from(CLIENTS).expect("small")) {
                let after = Duration::from_nanos(index * 1_000_000_000 / rate);
                tokio::time::sleep_until(start + after).await;
                let request = &requests[usize::try_from(index).expect("small")];
                assert_eq!(connection.send(request).await.expect("an answer"), 200);
                let answered_ms = (Instant::now() - (start + after)).as_secs_f64() * 1_000.0;
                sent.push(Sent { id: first + index, due: clock_start + after, answered_ms });
            }
            sent
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}
