//! What the capture of local changes costs the program that makes them: transactions that write 100 rows, on tables with the
//! triggers and on the same tables without them, in turns.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::Instant;

use crate::{
    cluster::{self, Cluster, connect},
    report::{Report, median, say},
};

const PRODUCTS: i64 = 20_000;
const ROWS: i64 = 100;
/// The number of transactions of each kind and side. The first tenth is not counted.
const TRANSACTIONS: i64 = 400;

const TABLES: [&str; 3] = ["products", "invoices", "invoice_lines"];

const FILL: &str = "
SET tds.origin = 'remote';
INSERT INTO erp.products (zoho_id, sku, name, description, unit, status, rate, custom_fields, raw, zoho_modified_at, synced_at)
SELECT (460000000000 + n)::text, 'SKU-' || n, 'Product ' || n, repeat('d', 60), 'pcs', 'active', n, '{\"cf_shelf\": \"A\"}',
  (SELECT jsonb_object_agg('key' || k, 'value ' || n * k) FROM generate_series(1, 60) AS k), now(), now()
  FROM generate_series(1, $1) AS n;
INSERT INTO tds_modes (entity_type, mode) VALUES ('products', 'bidirectional'), ('invoices', 'bidirectional');
CREATE SCHEMA plain;
";

/// A transaction of the ERP.
#[derive(Clone, Copy)]
enum Kind {
    /// 100 statements, each of which changes one product.
    Updates,
    /// An invoice, and 99 statements, each of which inserts a line.
    Lines,
    /// An invoice, and one statement that inserts 99 lines.
    Batch,
}

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let url = cluster.migrated().await;
    cluster::run(&url, FILL.replace("$1", &PRODUCTS.to_string())).await;
    for table in TABLES {
        let copy = format!(
            "CREATE TABLE plain.{table} (LIKE erp.{table} INCLUDING ALL);
             INSERT INTO plain.{table} OVERRIDING SYSTEM VALUE SELECT * FROM erp.{table}"
        );
        cluster::run(&url, copy).await;
    }
    cluster::run(&url, "VACUUM (ANALYZE)".to_owned()).await;
    let mut connection = connect(&url).await;
    for (name, kind) in
        [("capture_updates", Kind::Updates), ("capture_lines", Kind::Lines), ("capture_batch", Kind::Batch)]
    {
        let (mut plain, mut captured) = (Vec::new(), Vec::new());
        for turn in 0..TRANSACTIONS {
            let without = transaction(&mut connection, "plain", kind, turn).await;
            let with = transaction(&mut connection, "erp", kind, turn).await;
            if turn >= TRANSACTIONS / 10 {
                plain.push(without);
                captured.push(with);
            }
        }
        let (plain, captured) = (median(plain), median(captured));
        say(&format!("{name}: {:.2} ms without, {:.2} ms with", plain * 1e3, captured * 1e3));
        report.at_most(name, captured / plain, 1.15);
    }
    let entries = cluster::count(&url, "SELECT count(*) FROM tds_outbox").await;
    assert!(entries >= TRANSACTIONS * (ROWS + 2), "{entries} changes were captured");
    connection.close().await.expect("closed");
    cluster.stop().await;
}

/// Executes a transaction with prepared statements and returns the seconds that it took.
async fn transaction(connection: &mut PgConnection, schema: &str, kind: Kind, turn: i64) -> f64 {
    let update = format!("UPDATE {schema}.products SET rate = rate + 1 WHERE id = $1");
    let head = format!(
        "INSERT INTO {schema}.invoices (number, customer_id, date, currency_code, total)
         VALUES ('INV-' || $1, 5, '2026-01-01', 'USD', 990) RETURNING id"
    );
    let lines = format!(
        "INSERT INTO {schema}.invoice_lines (document_id, position, product_id, name, quantity, rate, total)
         SELECT $1, k, k + 1, 'line', 2, 5, 10 FROM generate_series($2, $3) AS k"
    );
    let began = Instant::now();
    let mut tx = connection.begin().await.expect("a transaction");
    if let Kind::Updates = kind {
        for row in 0..ROWS {
            let id = 1 + (turn * ROWS + row) % PRODUCTS;
            let updated = sqlx::query(AssertSqlSafe(update.clone())).bind(id).execute(&mut *tx).await;
            assert_eq!(updated.expect("updated").rows_affected(), 1);
        }
    } else {
        let id = sqlx::query_scalar(AssertSqlSafe(head)).bind(turn).fetch_one(&mut *tx).await;
        let id: i64 = id.expect("an invoice");
        let step = if let Kind::Batch = kind { ROWS - 1 } else { 1 };
        let mut first = 1;
        while first < ROWS {
            let insert =
                sqlx::query(AssertSqlSafe(lines.clone())).bind(id).bind(first).bind(first + step - 1);
            insert.execute(&mut *tx).await.expect("inserted");
            first += step;
        }
    }
    tx.commit().await.expect("committed");
    began.elapsed().as_secs_f64()
}
