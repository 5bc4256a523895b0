//! An upgrade without a pause: the program of the previous release and the present one work beside each other on one
//! database, under a load of webhooks, while the schema is migrated and the servers are replaced in turn.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module, demo};
use tokio::process::Command;

use crate::{
    process::{count, until_count},
    replicas::{Load, Replica, all_ended},
    shop::{FEW, program, settings},
};

/// The variable that turns this test off, because it needs the program of another commit.
const SWITCH: &str = "PREVIOUS_RELEASE";
/// The webhooks that each server accepts in each situation.
const WEBHOOKS: u64 = 40;
/// Child rows that name a record only by its id at the source, although the record is there.
const WITHOUT_LOCAL_IDS: &str =
    "(SELECT 1 FROM erp.invoice_lines l JOIN erp.invoices i ON i.zoho_id = l.document_zoho_id
     WHERE l.document_id IS NULL
   UNION ALL SELECT 1 FROM erp.invoice_lines l JOIN erp.products p ON p.zoho_id = l.product_zoho_id
     WHERE l.product_id IS NULL
   UNION ALL SELECT 1 FROM erp.invoices i JOIN erp.customers c ON c.zoho_id = i.customer_zoho_id
     WHERE i.customer_id IS NULL) AS without";

/// Returns the program of the previous release. `./dev previous` builds it if it is not there.
async fn previous() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let built = Command::new("./dev").arg("previous").current_dir(root).output().await.expect("./dev runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let own = program();
    let target = own.parent().and_then(Path::parent).expect("a target directory");
    target.join("previous/debug/tds-server")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_release_and_this_one_work_beside_each_other_while_one_replaces_the_other() {
    if std::env::var(SWITCH).is_ok_and(|value| value == "off") {
        return;
    }
    let (old, new) = (previous().await, program());
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    demo::organization(&zoho, FEW, 11);
    let more = [
        ("TDS_LEASE", "3s"),
        ("TDS_WRITE_GUARD", "on"),
        ("TDS_INCREMENTAL_EVERY", "off"),
        ("TDS_FULL_EVERY", "off"),
        ("TDS_STOCK_EVERY", "off"),
        ("TDS_PRICES_EVERY", "off"),
        ("TDS_VERIFY_EVERY", "off"),
    ];
    let settings = settings(&zoho, database.url(), &more);
    let replicas = [Replica::new(settings.clone()), Replica::new(settings)];
    for replica in &replicas {
        replica.start(&old).await;
    }
    replicas[0].done(&old, &["bulk-sync", "--mode", "full"]).await;
    let before = version(&database).await;
    let invoices: Vec<String> = zoho.read(|all| {
        let ids = all.records(Module::INVOICES).filter_map(|invoice| invoice["invoice_id"].as_str());
        ids.map(str::to_owned).collect()
    });
    // The previous release cuts off connections on which a request is on its way when it ends.
    let load = Load::start(&zoho, &replicas, &invoices[1..], true);
    load.accepted_by(&[0, 1], WEBHOOKS).await;

    // The schema of this release, and only the program of the previous one.
    replicas[0].done(&new, &["migrate"]).await;
    let after = version(&database).await;
    assert!(
        before < after,
        "tests/previous-release names a commit with the present schema: {before}, {after}"
    );
    load.accepted_by(&[0, 1], WEBHOOKS).await;
    // The invoice that no webhook is about gets a line from the previous release, and is never written again.
    let mut lines = zoho.get(Module::INVOICES, &invoices[0]).expect("an invoice")["line_items"].clone();
    lines[0]["line_item_id"] = json!("4600000990000000001");
    zoho.update(Module::INVOICES, &invoices[0], json!({"line_items": lines}));
    replicas[1].sync(&json!({"entity_type": "invoices", "mode": "full"})).await;
    until_count(&database, "tds_sync_runs WHERE status NOT IN ('completed')", 0).await;

    // Both programs.
    replicas[0].stop().await;
    replicas[0].start(&new).await;
    load.accepted_by(&[0, 1], WEBHOOKS).await;
    replicas[1].stop().await;
    replicas[1].start(&new).await;
    load.accepted_by(&[0, 1], WEBHOOKS).await;

    let (events, items) = load.end().await;
    all_ended(&database, &events).await;
    assert_eq!(count(&database, "erp.products").await, i64::try_from(items).expect("a number") + 12);
    assert_eq!(count(&database, "tds_sync_queue WHERE status <> 'completed'").await, 0);
    assert_eq!(count(&database, "tds_queue_attempts").await, 0, "attempts failed");
    assert!(
        count(&database, WITHOUT_LOCAL_IDS).await > 0,
        "the previous release wrote a line without local ids"
    );
    replicas[0].done(&new, &["migrate"]).await;
    assert_eq!(
        count(&database, WITHOUT_LOCAL_IDS).await,
        0,
        "rows of the previous release get their local ids"
    );
    let report =
        replicas[0].done(&new, &["verify", "--entity", "products,invoices,customers", "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    for replica in &replicas {
        replica.stop().await;
        assert!(replica.errors().is_empty(), "{:#?}", replica.errors());
    }
    assert_eq!(report["status"], "completed", "{report:#}");
}

/// Returns the version of the schema.
async fn version(database: &TestDatabase) -> i64 {
    count(database, "_sqlx_migrations").await
}
