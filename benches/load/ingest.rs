//! Webhooks per second, from the socket to the commit, compared with one commit per webhook and with pgbench.
//!
//! The load is a closed loop: each of 64 connections sends its next webhook (1 kB, signed) when the previous one was
//! answered. The server is a separate process without workers. There are three rounds, and the sides of a ratio take
//! turns.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    cluster::{Cluster, count},
    http::Connection,
    pgbench,
    report::{Report, median, say},
    server::Server,
    webhooks,
};

const ROUNDS: usize = 3;
const CLIENTS: usize = 64;
/// The number of webhooks in a round, which is large enough for a steady rate on either side.
const GROUPED: usize = 40_000;
const SINGLE: usize = 12_000;

/// The two inserts of a webhook, in one transaction.
const TWO_INSERTS: &str = r#"\set id random(1, 1000000000000)
BEGIN;
INSERT INTO tds_inbox_events (event_id, source_type, entity_type, entity_id, event_type, raw_payload, headers, open_items)
 VALUES (md5(random()::text) || md5(random()::text), 'zoho', 'products', :id::text, 'updated', convert_to('@BODY@', 'UTF8'),
   '{"host": "bench", "content-type": "application/json"}', 1);
INSERT INTO tds_queue_live (entity_type, zoho_entity_id, priority, version, payload, shape, pushed, observed_began, observed_ended)
 VALUES ('products', :id::text, 20, '2026-09-14', '@BODY@', 'webhook', true, now(), now())
 ON CONFLICT DO NOTHING;
COMMIT;
"#;

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let (grouped_url, single_url, bench_url) =
        (cluster.migrated().await, cluster.migrated().await, cluster.migrated().await);
    // The best setting for one commit per webhook: more connections than this do not help on few cores.
    let single = [("TDS_WORKERS", "0"), ("TDS_COMMIT_EVENTS", "1"), ("TDS_COMMITTERS", "16")];
    let grouped = Server::start(&grouped_url, &[("TDS_WORKERS", "0")]).await;
    let single = Server::start(&single_url, &single).await;
    let (mut ours, mut by_row, mut by_bench) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(burst(&grouped, &grouped_url, round, GROUPED).await);
        by_row.push(burst(&single, &single_url, round, SINGLE).await);
        by_bench.push(pgbench::run(&bench_url, &script(), CLIENTS, SINGLE).await);
        say(&format!("ingest: {:.0?} grouped, {:.0?} one by one, {:.0?} pgbench", ours, by_row, by_bench));
    }
    grouped.stop().await;
    single.stop().await;
    let (ours, by_row, by_bench) = (median(ours), median(by_row), median(by_bench));
    report.figure("ingest_per_s", ours, "webhooks/s");
    report.at_least("ingest_vs_row_per_commit", ours / by_row, 3.0);
    report.at_least("ingest_vs_pgbench", ours / by_bench, 2.0);
    cluster.stop().await;
}

/// Sends new webhooks as fast as they are answered. Every webhook must be stored and enqueued.
async fn burst(server: &Server, url: &str, round: usize, total: usize) -> f64 {
    let requests: Vec<Vec<u8>> =
        (0..total).map(|index| webhooks::request((round * total + index) as u64, 0)).collect();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Connection::open(&server.address).await.expect("connected"));
    }
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for mut connection in connections {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        clients.spawn(async move {
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                assert_eq!(connection.send(request).await.expect("an answer"), 200);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ended without a panic");
    }
    let rate = total as f64 / began.elapsed().as_secs_f64();
    let stored = count(
        url,
        "SELECT least((SELECT count(*) FROM tds_inbox_events), (SELECT count(*) FROM tds_queue_live),
                      (SELECT count(*) FROM tds_queue_waiters))",
    );
    let sent = i64::try_from((round + 1) * total).expect("small");
    assert_eq!(stored.await, sent, "every webhook is stored and queued");
    rate
}

fn script() -> String {
    let body = webhooks::body(1, 0).replace(['\n', '\''], "").replace(':', ": ");
    TWO_INSERTS.replace("@BODY@", &body)
}
