//! The drain by pgmq, with the SQL of its functions: `read` of a batch with a visibility timeout, and `archive` of a
//! batch. The tables and the index are those of `pgmq.create`. Four readers use batches of 100, as many places as TDS
//! has.

use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::{task::JoinSet, time::Instant};

use crate::{cluster, rate};

const READERS: usize = 4;

const TABLES: &str = "
CREATE TABLE q_bench (msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, read_ct int DEFAULT 0 NOT NULL,
  enqueued_at timestamptz DEFAULT now() NOT NULL, vt timestamptz NOT NULL, message jsonb, headers jsonb);
CREATE INDEX q_bench_vt ON q_bench (vt);
CREATE TABLE a_bench (msg_id bigint PRIMARY KEY, read_ct int DEFAULT 0 NOT NULL, enqueued_at timestamptz NOT NULL,
  archived_at timestamptz DEFAULT now() NOT NULL, vt timestamptz NOT NULL, message jsonb, headers jsonb);
CREATE INDEX a_bench_archived ON a_bench (archived_at);
";

const READ: &str = "
WITH due AS (SELECT msg_id FROM q_bench WHERE vt <= clock_timestamp() ORDER BY msg_id LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE q_bench m SET vt = clock_timestamp() + interval '60 seconds', read_ct = read_ct + 1 FROM due
 WHERE m.msg_id = due.msg_id RETURNING m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message";

const ARCHIVE: &str = "
WITH gone AS (DELETE FROM q_bench WHERE msg_id = ANY($1) RETURNING msg_id, vt, read_ct, enqueued_at, message, headers)
INSERT INTO a_bench (msg_id, vt, read_ct, enqueued_at, message, headers)
SELECT msg_id, vt, read_ct, enqueued_at, message, headers FROM gone RETURNING msg_id";

pub(crate) async fn drain(url: &str, items: i64) -> f64 {
    cluster::run(url, TABLES.to_owned()).await;
    let fill = format!(
        "INSERT INTO q_bench (vt, message) SELECT now(), jsonb_build_object('id', n) FROM generate_series(1, {items}) AS n"
    );
    cluster::run(url, fill).await;
    cluster::run(url, "VACUUM (ANALYZE)".to_owned()).await;
    let mut readers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..READERS {
        let connection = cluster::connect(url).await;
        readers.spawn(read(connection));
    }
    let archived: usize = readers.join_all().await.into_iter().sum();
    let rate = rate(items, began);
    assert_eq!(i64::try_from(archived), Ok(items), "every message is archived");
    rate
}

async fn read(mut connection: PgConnection) -> usize {
    let mut archived = 0;
    loop {
        let rows = sqlx::query(READ).bind(100_i64).fetch_all(&mut connection).await.expect("read");
        let ids: Vec<i64> = rows.iter().map(|row| row.get("msg_id")).collect();
        if ids.is_empty() {
            connection.close().await.expect("closed");
            return archived;
        }
        archived += sqlx::query(ARCHIVE).bind(ids).fetch_all(&mut connection).await.expect("archived").len();
    }
}
