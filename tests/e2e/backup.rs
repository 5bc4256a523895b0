//! Backups, with the commands of `deploy/bin` and the programs of PostgreSQL: after the restore of an older state the mirror
//! is brought level, and what was pushed after the backup is not created a second time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::Module;
use tokio::process::Command;

use crate::{
    process::{calls_of_the_dead_are_over, until},
    shop::program,
    two_way::{
        both::Both,
        entries::{Entered, KINDS, enter},
        losses::{assert_unique_keys, counts},
    },
};

/// Acts as if a minute had passed since the restore: creates that are in doubt may then be searched for, and a verification
/// looks at what was just seen.
const AGE: &str = "UPDATE tds_links SET in_doubt_since = in_doubt_since - interval '2 minutes' WHERE in_doubt_since IS NOT NULL;
  UPDATE tds_sync_records SET observed_began = observed_began - interval '1 hour',
    observed_ended = observed_ended - interval '1 hour', first_seen_at = first_seen_at - interval '1 hour',
    detail_seen = detail_seen - interval '1 hour', volatile_seen = volatile_seen - interval '1 hour'";

/// Acts as if another minute had passed for creates in doubt, and for what was put off because of them.
const HURRY: &str = "UPDATE tds_links SET in_doubt_since = in_doubt_since - interval '2 minutes'
    WHERE in_doubt_since > now() - interval '1 minute';
  UPDATE tds_queue_live SET run_at = now() WHERE queued_at <= now() AND run_at > now() + interval '5 seconds'";
/// What waits, for whatever reason. Second looks count as enqueued a minute later.
const WAITING: &str = "(SELECT 1 FROM tds_outbox WHERE status = 'pending' UNION ALL
    SELECT 1 FROM tds_sync_queue WHERE status IN ('pending','processing','failed') AND queued_at <= now()) AS waiting";

/// Runs a command of `deploy/bin`, and returns its exit status and what it wrote.
async fn deploy(name: &str, database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut command = Command::new(root.join("deploy/bin").join(name));
    command.args(arguments).env("DATABASE_URL", format!("{}&pgbouncer=true", database.url()));
    command.env("TDS_SERVER", program()).current_dir(std::env::temp_dir()).kill_on_drop(true);
    let output = command.output().await.expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs a command of `deploy/bin` that has to succeed, and returns what it wrote to stdout and to stderr.
async fn deployed(name: &str, database: &TestDatabase, arguments: &[&str]) -> (String, String) {
    let (status, out, err) = deploy(name, database, arguments).await;
    assert_eq!(status, Some(0), "{name} {arguments:?}: {out}{err}");
    (out, err)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).map(|files| files.flatten().map(|file| file.path()).collect());
    files.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_dump_is_brought_level_and_nothing_that_was_pushed_since_is_created_twice() {
    let shop = Both::open(7).await;
    shop.set_modes("bidirectional").await;
    for (entity, policy) in
        [("customers", "newest_wins"), ("products", "zoho_wins"), ("invoices", "newest_wins")]
    {
        shop.set(json!({"entity_type": entity, "conflict_policy": policy})).await;
    }
    // A record of every kind waits to be created when the backup is made.
    shop.server.kill().await;
    calls_of_the_dead_are_over(&shop.zoho, &shop.database).await;
    let waiting = enter(&shop, "Waiting").await;
    let (home, kept) = (tempfile::tempdir().expect("a directory"), ["--keep", "1", "--directory"]);
    let directory = home.path().join("backups");
    let to = [&kept[..], &[directory.to_str().expect("a path")]].concat();
    let (shown, _) = deployed("backup", &shop.database, &[&to[..], &["--dry-run"]].concat()).await;
    assert!(shown.contains("would run: pg_dump") && files(&directory).is_empty(), "{shown}");
    let (first, _) = deployed("backup", &shop.database, &to).await;
    assert!(Path::new(first.trim()).is_file(), "{first}");
    let dump = after_a_second(&shop, &to, first.trim()).await;
    let before = counts(&shop);

    // What the backup does not know: pushes of what waited, records of both sides, edits, and a deletion.
    shop.server.start_again().await;
    shop.arrived("what waited").await;
    let edited_there = edit_what_waited(&shop, &waiting).await;
    enter(&shop, "Later").await;
    shop.arrived("what was entered after the backup").await;
    let (_, edited) = shop.known("invoices", 0).await;
    shop.edit("invoices", Module::INVOICES, &edited, json!({"notes": "after the backup"})).await;
    let (_, unheard) = shop.known("products", 1).await;
    shop.edit_unheard(Module::ITEMS, &unheard, json!({"description": "after the backup"}));
    let (_, deleted) = shop.known("purchase_orders", 0).await;
    shop.zoho.delete(Module::PURCHASE_ORDERS, &deleted);
    shop.arrived("edits and a deletion").await;
    let present = counts(&shop);
    assert_eq!(present[Module::INVOICES.path], before[Module::INVOICES.path] + 2, "{before:?} {present:?}");
    shop.server.kill().await;

    let shop = restore(shop, &dump).await;
    // The lists show what was pushed before its push is repeated, or afterwards.
    let body = json!({"entity_type": "all", "mode": "full"});
    let (status, answer) = shop.server.post("/api/zoho/bulk-sync", body).await;
    assert_eq!(status, 202, "{answer}");
    until("what waits is found in Zoho", async || {
        shop.database.execute(HURRY).await;
        shop.count(WAITING).await == 0
    })
    .await;
    for run in answer["runs"].as_array().expect("runs") {
        shop.server.run_ended(run["id"].as_i64().expect("an id")).await;
    }
    shop.arrived("after the restore").await;
    assert_eq!(counts(&shop), present, "records were created twice");
    for kind in &KINDS {
        assert_unique_keys(&shop, kind.module);
        let local_only = format!("erp.{} WHERE zoho_id IS NULL AND deleted_at IS NULL", kind.table);
        assert_eq!(shop.count(&local_only).await, 0, "{}", kind.entity);
    }
    for (table, local, column, module, remote, key, value) in edited_there {
        let sides = (&shop.row(table, local).await[column], &shop.in_zoho(module, &remote, key));
        let text = |value: &Value| {
            value.as_str().map_or_else(|| value.as_f64().map(|n| n.to_string()), |it| Some(it.to_owned()))
        };
        assert_eq!((text(sides.0), text(sides.1)), (text(&value), text(&value)), "{table} {local} {column}");
    }
    let lost = "tds_conflicts WHERE entity_type = 'products' AND status = 'resolved' AND fields::text LIKE '%1500.5%'";
    assert_eq!(shop.count(lost).await, 1, "what the backup had is kept");
    let gone = format!("erp.purchase_orders WHERE zoho_id = '{deleted}' AND deleted_at IS NOT NULL");
    assert_eq!(shop.count(&gone).await, 1, "the deletion is found");
    // Values that Zoho derives, such as the stock of a product that was linked only now, come with the repair.
    shop.server.command(&["verify", "--repair", "--json"]).await;
    shop.arrived("the repair").await;
    assert_level(&shop).await;
    shop.server.kill().await;
}

/// A value that a user of Zoho enters: the table, the local id, the column, the module, the id in Zoho, the key, the value.
type There = (&'static str, i64, &'static str, Module, String, &'static str, Value);

/// Changes records in Zoho that the backup does not know to be there.
async fn edit_what_waited(shop: &Both, waiting: &Entered) -> Vec<There> {
    let edits = [
        ("customers", "company_name", Module::CONTACTS, "company_name", json!("renamed in Zoho")),
        ("customers", "notes", Module::CONTACTS, "notes", json!("entered in Zoho")),
        ("products", "rate", Module::ITEMS, "rate", json!(444)),
        ("invoices", "notes", Module::INVOICES, "notes", json!("entered in Zoho")),
        ("invoices", "reference_number", Module::INVOICES, "reference_number", json!("of Zoho")),
    ];
    let mut done = Vec::new();
    for (table, column, module, key, value) in edits {
        let local = waiting[table];
        let remote = shop.row(table, local).await["zoho_id"].as_str().expect("an id").to_owned();
        shop.edit_unheard(module, &remote, json!({key: value}));
        done.push((table, local, column, module, remote, key, value));
    }
    done
}

/// Makes one more backup, whose name has another second, and returns it. The first one is removed, because one is kept.
async fn after_a_second(shop: &Both, to: &[&str], first: &str) -> String {
    let mut dump = first.to_owned();
    until("a backup has another name", async || {
        std::fs::metadata(&dump).is_ok_and(|file| {
            file.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() >= 1))
        })
    })
    .await;
    dump = deployed("backup", &shop.database, to).await.0.trim().to_owned();
    let kept = files(Path::new(&dump).parent().expect("a directory"));
    assert_eq!(kept.len(), 2, "the dump and its checksum: {kept:?}");
    dump
}

/// Restores a dump into an empty database, and starts a server on it.
async fn restore(shop: Both, dump: &str) -> Both {
    let restored = TestDatabase::empty().await;
    let (status, _, refusal) = deploy("restore", &shop.database, &[dump]).await;
    assert!(status == Some(1) && refusal.contains("has tables of TDS already"), "{refusal}");
    let damaged = format!("{dump}.damaged");
    std::fs::write(&damaged, &std::fs::read(dump).expect("a dump")[..40_000]).expect("written");
    std::fs::write(
        format!("{damaged}.sha256"),
        format!("{}  {}", "0".repeat(64), damaged.rsplit('/').next().expect("a name")),
    )
    .expect("written");
    let (status, _, refusal) = deploy("restore", &restored, &[&damaged]).await;
    assert!(status == Some(1) && refusal.contains("is not what was backed up"), "{refusal}");
    let (shown, _) = deployed("restore", &restored, &["--dry-run", dump]).await;
    assert!(shown.contains("would run: pg_restore") && shown.contains("migrate"), "{shown}");
    let (_, said) = deployed("restore", &restored, &[dump]).await;
    assert!(said.contains("note: this database was restored from a backup"), "{said}");
    assert!(said.contains(": 12 records that wait to be created"), "{said}");
    restored.execute(AGE).await;
    let (_, again) = deployed("backup", &restored, &["--directory", "/proc/none", "--dry-run"]).await;
    assert_eq!(again, "", "the restored database is one as any other");
    let server = Both::server(&shop.zoho, &restored).await;
    Both { zoho: shop.zoho, database: restored, server }
}

/// Asserts that a verification of everything finds no difference.
async fn assert_level(shop: &Both) {
    shop.database.execute(AGE).await;
    let (status, report) = shop.server.command(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let kinds: BTreeMap<&str, &Value> = report["entities"]
        .as_array()
        .expect("entities")
        .iter()
        .map(|entity| (entity["entity_type"].as_str().expect("a name"), &entity["examples"]))
        .collect();
    assert_eq!((status, &report["drift_total"]), (0, &json!(0)), "{kinds:#?}");
}
