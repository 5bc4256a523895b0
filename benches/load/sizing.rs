//! What the database grows by: webhooks, documents, and the write-ahead log of each event.
//!
//! The figures are those of a database before any retention, so they say how much an installation needs for the days of
//! `TDS_RETENTION` and for all documents that it keeps.

use tds_core::record::EntityType;

use crate::{
    apply::{accept_all, handler},
    cluster::{self, Cluster, count},
    report::Report,
    webhooks, work,
};

static PRODUCTS: EntityType = EntityType::from_static("products");
static INVOICES: EntityType = EntityType::from_static("invoices");

/// The changes of each of 10,000 products. Each change is applied before the next one comes.
const CHANGES: u32 = 5;
const RECORDS: u64 = 10_000;
/// Invoices with five lines each.
const DOCUMENTS: u64 = 20_000;

const MIRROR: &str = "SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
   WHERE c.relnamespace = 'erp'::regnamespace AND c.relkind = 'r'";
const DATABASE: &str = "SELECT pg_database_size(current_database())";
const LOG: &str = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint";

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let events = grow(&mut cluster, &PRODUCTS, RECORDS, CHANGES, webhooks::body).await;
    report.figure("sizing_gb_per_million_webhooks", events.engine * 1e6 / 1e9, "GB");
    report.figure("sizing_wal_bytes_per_webhook_stored", events.log_stored, "bytes");
    report.figure("sizing_wal_bytes_per_webhook_applied", events.log_applied, "bytes");
    let documents = grow(&mut cluster, &INVOICES, DOCUMENTS, 1, |id, _| webhooks::invoice(id)).await;
    report.figure("sizing_gb_per_100k_documents_mirror", documents.mirror * 1e5 / 1e9, "GB");
    report.figure("sizing_gb_per_100k_documents_engine", documents.engine * 1e5 / 1e9, "GB");
    report.figure("sizing_wal_bytes_per_document_applied", documents.log_applied, "bytes");
    cluster.stop().await;
}

/// What one event adds, in bytes.
struct Growth {
    mirror: f64,
    /// The tables of the engine: the inbox, the archive of the queue, the sync states and the decisions.
    engine: f64,
    /// The write-ahead log until the event was acknowledged.
    log_stored: f64,
    /// The write-ahead log from then until the row was written and the event had ended.
    log_applied: f64,
}

/// Stores and applies `changes` events of each of `records` records in a new database.
async fn grow(
    cluster: &mut Cluster,
    entity: &'static EntityType,
    records: u64,
    changes: u32,
    body: impl Fn(u64, u32) -> String,
) -> Growth {
    let url = cluster.migrated().await;
    let database = cluster::database(&url, 10).await;
    let (mirror, whole) = (count(&url, MIRROR).await, count(&url, DATABASE).await);
    let (mut log_stored, mut log_applied) = (0, 0);
    for change in 0..changes {
        let began = count(&url, LOG).await;
        accept_all(&database, entity, (0..records).map(|id| body(id, change))).await;
        let stored = count(&url, LOG).await;
        let items = i64::try_from(records).expect("small");
        work::work(&database, handler(&database, entity), items).await;
        log_stored += stored - began;
        log_applied += count(&url, LOG).await - stored;
    }
    database.close().await;
    cluster::run(&url, "VACUUM (ANALYZE)".to_owned()).await;
    let grown = count(&url, MIRROR).await - mirror;
    let each = |bytes: i64| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let sums = (bytes as f64, records as f64);
        sums.0 / sums.1 / f64::from(changes)
    };
    Growth {
        mirror: each(grown),
        engine: each(count(&url, DATABASE).await - whole - grown),
        log_stored: each(log_stored),
        log_applied: each(log_applied),
    }
}
