//! The rate from webhooks of products to rows of `erp.products`, beside PostgreSQL's fastest way to write the same
//! rows: COPY into a temporary table and one upsert.
//!
//! 20,000 webhooks of 1 kB for as many records are stored and enqueued before the clock starts. TDS decodes the body,
//! compares it with the sync state of the record, writes the row and the state, settles the item, archives it, and
//! ends the event. COPY receives finished rows. There are three rounds into empty tables, and the sides take turns.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tds_core::{
    clock::SystemClock,
    handler::{BatchHandler, MirrorHandler},
    inbox::{Inbox as _, NewEvent},
    mirror::Mirror,
    record::EntityType,
    source::Source,
};
use tds_postgres::{Database, PgMirror, PgStore, StoreSettings};
use tds_zoho::{
    DataCenter, ZohoClient, ZohoConfig,
    entities::Catalogue,
    webhook::{self, Authentic, Received},
};
use time::macros::datetime;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cluster::{self, Cluster, count},
    report::{Report, median, say},
    webhooks, work,
};

const ROUNDS: usize = 3;
const RECORDS: u64 = 20_000;
static PRODUCTS: EntityType = EntityType::from_static("products");

/// The columns that both sides write.
const COLUMNS: &str = "zoho_id, sku, name, description, unit, status, item_type, product_type, rate, purchase_rate, \
    tax_zoho_id, tax_percentage, brand, manufacturer, category_zoho_id, category_name, upc, ean, reorder_level, \
    image_document_id, image_name, group_zoho_id, custom_fields, raw, zoho_created_at, zoho_modified_at, synced_at";

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let (mut ours, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let url = cluster.migrated().await;
        let database = cluster::database(&url, 10).await;
        accept_all(&database, &PRODUCTS, (0..RECORDS).map(|id| webhooks::body(id, 0))).await;
        let records = i64::try_from(RECORDS).expect("small");
        ours.push(work::work(&database, handler(&database, &PRODUCTS), records).await);
        let applied = "SELECT count(*) FROM tds_inbox_events e WHERE outcome = 'applied' AND EXISTS (
            SELECT FROM erp.products p WHERE p.zoho_id = e.entity_id AND p.sku LIKE 'CBL-%')";
        assert_eq!(count(&url, applied).await, records, "every webhook became a row");
        let rows = copy_out(&url).await;
        database.close().await;
        copied.push(copy_in(&cluster.migrated().await, &rows).await);
        say(&format!("apply: {ours:.0?} rows/s, COPY {copied:.0?}"));
    }
    let (ours, copied) = (median(ours), median(copied));
    report.figure("apply_per_s", ours, "rows/s");
    report.at_least("apply_vs_copy", ours / copied, 0.4);
    cluster.stop().await;
}

/// Returns the handler of an entity type as Zoho has it. The handler makes no call to Zoho.
pub(crate) fn handler(database: &Database, entity: &EntityType) -> Arc<dyn BatchHandler> {
    let mirror: Arc<dyn Mirror> = Arc::new(PgMirror::new(database.clone()));
    Arc::new(MirrorHandler::new(source(entity), mirror, Arc::new(SystemClock)))
}

/// Returns the source of an entity type. Its client is never used for a call.
pub(crate) fn source(entity: &EntityType) -> Arc<dyn Source> {
    let config = ZohoConfig::new("client", "secret", "token", "60001", DataCenter::Us);
    let client = ZohoClient::new(config, Arc::new(SystemClock)).expect("a client");
    let mut sources = tds_zoho::sources(&client).into_iter();
    sources.find(|source| source.schema().entity == *entity).expect("the entity type")
}

/// Stores webhooks with these bodies, as the server does. Returns when all are stored.
pub(crate) async fn accept_all(
    database: &Database,
    entity: &'static EntityType,
    bodies: impl Iterator<Item = String>,
) {
    let store = PgStore::new(database.clone(), StoreSettings::default());
    let mut senders = JoinSet::new();
    for body in bodies {
        let store = store.clone();
        senders.spawn(async move { store.accept(event(entity, body)).await.expect("accepted") });
        if senders.len() >= 1_000 {
            senders.join_next().await;
        }
    }
    senders.join_all().await;
    store.shutdown().await;
}

fn event(entity: &'static EntityType, body: String) -> NewEvent {
    let received = Received {
        entity,
        event_type: "updated",
        organization_id: "60001",
        at: datetime!(2026-11-24 12:00 UTC),
        receipt: String::new,
    };
    let parsed = webhook::parse(&Catalogue::default(), &Authentic::unsigned(&[], body.as_bytes()), &received);
    NewEvent {
        event_id: parsed.identity,
        source_type: "zoho".to_owned(),
        entity_type: entity.clone(),
        entity_id: parsed.entity_id,
        event_type: "updated".to_owned(),
        raw_payload: body.into_bytes(),
        headers: serde_json::json!({}),
        disposition: parsed.disposition,
    }
}

/// Returns the rows in the format of COPY.
async fn copy_out(url: &str) -> Vec<u8> {
    let mut connection = cluster::connect(url).await;
    let statement = format!("COPY (SELECT {COLUMNS} FROM erp.products) TO STDOUT");
    let parts = connection.copy_out_raw(&statement).await.expect("COPY");
    let parts: Vec<_> = parts.try_collect().await.expect("the rows");
    parts.concat()
}

async fn copy_in(url: &str, rows: &[u8]) -> f64 {
    let mut connection = cluster::connect(url).await;
    let began = Instant::now();
    let execute = |sql: String| sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    // The writes of TDS that this is compared with are not captured either.
    execute("SET tds.origin = 'remote'".to_owned()).execute(&mut connection).await.expect("a setting");
    execute(format!("CREATE TEMPORARY TABLE fresh AS SELECT {COLUMNS} FROM erp.products LIMIT 0"))
        .execute(&mut connection)
        .await
        .expect("a table");
    let mut copy = connection.copy_in_raw("COPY fresh FROM STDIN").await.expect("COPY");
    copy.send(rows).await.expect("sent");
    let copied = copy.finish().await.expect("copied");
    let set: Vec<String> =
        COLUMNS.split(", ").skip(1).map(|column| format!("{column} = EXCLUDED.{column}")).collect();
    execute(format!(
        "INSERT INTO erp.products ({COLUMNS}) SELECT {COLUMNS} FROM fresh ON CONFLICT (zoho_id) DO UPDATE SET {}",
        set.join(", ")
    ))
    .execute(&mut connection)
    .await
    .expect("written");
    let elapsed = began.elapsed().as_secs_f64();
    assert_eq!(copied, RECORDS);
    assert_eq!(u64::try_from(count(url, "SELECT count(*) FROM erp.products").await).expect("small"), RECORDS);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let rate = RECORDS as f64 / elapsed;
    rate
}
