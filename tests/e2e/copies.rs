//! Copies of a whole cluster: a standby copy by logical replication, and point-in-time recovery from a base backup and the
//! archived write-ahead log.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tds_postgres::{ClusterConfig, EmbeddedCluster};
use tds_zoho::testkit::{FakeZoho, Module, demo};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    process::until,
    replicas::Replica,
    shop::{FEW, program, settings},
};

/// Everything in schema `erp`, as one text.
const MIRROR: &str = "SELECT md5(string_agg(x.table_name || query_to_xml(
      format('SELECT * FROM erp.%I ORDER BY 1, 2', x.table_name), true, false, '')::text, '' ORDER BY x.table_name))
    FROM information_schema.tables AS x WHERE x.table_schema = 'erp' AND x.table_type = 'BASE TABLE'";
/// What was captured as a local change.
const CAPTURED: &str = "SELECT count(*)::text FROM tds_outbox";
const WAITING: &str = "SELECT count(*)::text FROM tds_outbox WHERE status = 'pending'";

/// A cluster in a directory of its own.
struct Place {
    home: TempDir,
    cluster: EmbeddedCluster,
}

impl Place {
    async fn start(home: TempDir, more: &[(&str, String)]) -> Self {
        let mut config = ClusterConfig::new(home.path());
        config.bin_dir = std::env::var_os("PG_BIN_DIR").map(PathBuf::from);
        let usual = [("fsync", "off".to_owned()), ("wal_level", "logical".to_owned())];
        let all = usual.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone()));
        config.settings = all.collect();
        let cluster = EmbeddedCluster::start(&config).await.expect("a cluster");
        Self { home, cluster }
    }

    async fn text(&self, sql: &str) -> Option<String> {
        let mut connection = PgConnection::connect(self.cluster.url()).await.expect("a connection");
        let found = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_optional(&mut connection).await;
        let found: Option<Option<String>> = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("it closes");
        found.flatten()
    }

    async fn run(&self, sql: &str) {
        let mut connection = PgConnection::connect(self.cluster.url()).await.expect("a connection");
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("it closes");
    }

    async fn until(&self, sql: &str, wanted: &str) {
        until(sql, async || self.text(sql).await.as_deref() == Some(wanted)).await;
    }

    async fn until_like(&self, other: &Self, what: &str) {
        until(what, async || self.text(MIRROR).await == other.text(MIRROR).await).await;
    }

    fn server(&self, zoho: &FakeZoho) -> Replica {
        let off = ["INCREMENTAL", "FULL", "STOCK", "PRICES", "VERIFY"];
        let off = off.map(|name| format!("TDS_{name}_EVERY"));
        let mut more: Vec<(&str, &str)> = off.iter().map(|name| (name.as_str(), "off")).collect();
        more.push(("TDS_WRITE_GUARD", "on"));
        Replica::new(settings(zoho, self.cluster.url(), &more))
    }
}

fn home() -> TempDir {
    TempDir::with_prefix("tds-copies-").expect("a directory")
}

/// Runs a command of the shell that has to succeed.
async fn shell(script: &str, arguments: &[&Path]) {
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh"]).args(arguments).kill_on_drop(true);
    let output = command.output().await.expect("sh runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a statement that enters a customer.
fn customer(name: &str) -> String {
    format!("INSERT INTO erp.customers (name, currency_code) VALUES ('{name}', 'IQD')")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_copied_by_logical_replication_and_recovered_to_a_moment_of_the_past() {
    let (zoho, program) = (FakeZoho::start().await, program());
    demo::organization(&zoho, FEW, 13);
    let origin = home();
    let archive = origin.path().join("postgres/archive");
    let archiving = format!("mkdir -p {0} && cp %p {0}/%f", archive.display());
    let archiving = [("archive_mode", "on".to_owned()), ("archive_command", archiving)];
    let primary = Place::start(origin, &archiving).await;
    let server = primary.server(&zoho);
    server.start(&program).await;
    server.done(&program, &["bulk-sync", "--mode", "full"]).await;
    replicated(&primary, &zoho, &server, &program).await;

    // A customer waits to be created when the base backup is made, and when the moment comes.
    server.done(&program, &["mode", "set", "customers", "bidirectional"]).await;
    server.done(&program, &["pause", "customers"]).await;
    let base = base_backup(&primary).await;
    primary.run(&customer("Waiting")).await;
    primary.run("SELECT pg_create_restore_point('the_moment')").await;
    let before = zoho.count(Module::CONTACTS);
    server.done(&program, &["resume", "customers"]).await;
    primary.run(&customer("Later")).await;
    primary.until(WAITING, "0").await;
    assert_eq!(zoho.count(Module::CONTACTS), before + 2);
    server.stop().await;
    let segment = primary.text("SELECT pg_walfile_name(pg_switch_wal())").await.expect("a segment");
    primary
        .until(&format!("SELECT (last_archived_wal >= '{segment}')::text FROM pg_stat_archiver"), "true")
        .await;

    let recovery = [
        ("restore_command", format!("cp {}/%f %p", archive.display())),
        ("recovery_target_name", "the_moment".to_owned()),
        ("recovery_target_action", "promote".to_owned()),
    ];
    let recovered = Place::start(base, &recovery).await;
    recovered.until("SELECT pg_is_in_recovery()::text", "false").await;
    assert_eq!(
        recovered.text("SELECT count(*)::text FROM erp.customers WHERE name = 'Later'").await.as_deref(),
        Some("0")
    );
    let server = recovered.server(&zoho);
    server.start(&program).await;
    let noticed = server.said("was restored from a backup");
    assert!(noticed.len() == 1 && noticed[0].contains(": 1 records that wait to be created"), "{noticed:?}");
    server.done(&program, &["resume", "customers"]).await;
    server.done(&program, &["bulk-sync", "--mode", "full"]).await;
    recovered.until(WAITING, "0").await;
    assert_eq!(zoho.count(Module::CONTACTS), before + 2, "a customer was created twice");
    for name in ["Waiting", "Later"] {
        let found =
            format!("SELECT count(*)::text FROM erp.customers WHERE name = '{name}' AND zoho_id IS NOT NULL");
        assert_eq!(recovered.text(&found).await.as_deref(), Some("1"), "{name}");
    }
    server.done(&program, &["verify", "--entity", "customers,invoices,products", "--json"]).await;
    server.stop().await;
    recovered.cluster.stop().await.expect("it stops");
    primary.cluster.stop().await.expect("it stops");
}

/// Replicates schema `erp` to another cluster: it is equal, and nothing is captured as a local change there.
async fn replicated(primary: &Place, zoho: &FakeZoho, server: &Replica, program: &Path) {
    let copy = Place::start(home(), &[]).await;
    let of_copy = copy.server(zoho);
    of_copy.done(program, &["migrate"]).await;
    primary.run("CREATE PUBLICATION tds_erp FOR TABLES IN SCHEMA erp").await;
    // The mode in which changes would be captured and pushed.
    copy.run("INSERT INTO tds_modes (entity_type, mode) VALUES ('customers', 'bidirectional'), ('invoices', 'bidirectional')")
        .await;
    let subscription =
        format!("CREATE SUBSCRIPTION tds_erp CONNECTION '{}' PUBLICATION tds_erp", primary.cluster.url());
    copy.run(&subscription).await;
    copy.until_like(primary, "the copy is equal").await;
    let (customer, invoice) = zoho.read(|all| {
        let first = |module, key| {
            let id = all.records(module).find_map(|record| record[key].as_str().map(str::to_owned));
            id.expect("a record")
        };
        (first(Module::CONTACTS, "contact_id"), first(Module::INVOICES, "invoice_id"))
    });
    zoho.update(Module::CONTACTS, &customer, serde_json::json!({"notes": "changed"}));
    zoho.update(Module::INVOICES, &invoice, serde_json::json!({"notes": "changed"}));
    server.done(program, &["bulk-sync", "--entity", "customers,vendors,invoices", "--mode", "full"]).await;
    primary.until("SELECT count(*)::text FROM erp.invoices WHERE notes = 'changed'", "1").await;
    copy.until_like(primary, "the copy follows").await;
    assert_eq!(copy.text(CAPTURED).await.as_deref(), Some("0"), "the copy captures what it receives");
    copy.run("DROP SUBSCRIPTION tds_erp").await;
    copy.cluster.stop().await.expect("it stops");
}

/// Makes a base backup, in the place of the cluster in a new directory.
async fn base_backup(primary: &Place) -> TempDir {
    let base = home();
    let data = primary.cluster.database_dir();
    // The files of TDS beside the cluster have the password.
    shell(
        "cp -a \"$1/password\" \"$2\"; mkdir \"$2/postgres\"; chmod 711 \"$2\" \"$2/postgres\"",
        &[primary.home.path(), base.path()],
    )
    .await;
    let target = base.path().join("postgres/data");
    let url = primary.cluster.url().replace("/postgres?", "/?");
    let mut command = Command::new("pg_basebackup");
    command.arg("--dbname").arg(url).arg("--pgdata").arg(&target).args(["--checkpoint=fast", "--no-sync"]);
    let output = command.output().await.expect("pg_basebackup runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The server runs as the account that has the files of the first one.
    shell("touch \"$1/recovery.signal\"; chown -R --reference=\"$2\" \"$1\" \"$1/..\"", &[&target, data])
        .await;
    base
}
