//! The server that the test processes of a run share.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use std::os::unix::process::CommandExt as _;

use tds_core::error::{Error, Result};

use super::template::connect;
use crate::{
    ClusterConfig, EmbeddedCluster,
    db::{error::classify, quote},
};

/// Ends the server about 20 seconds after the last registered process is gone. The watchdog is a separate shell,
/// because no test process lives long enough.
const WATCHDOG: &str = r#"
users=$1; pid=$2; idle=0
while kill -0 "$pid" 2>/dev/null; do
  busy=
  for file in "$users"/*; do
    [ -e "$file" ] || continue
    if kill -0 "${file##*/}" 2>/dev/null; then busy=1; else rm -f "$file"; fi
  done
  if [ -n "$busy" ]; then idle=0; else idle=$((idle + 1)); fi
  if [ "$idle" -ge 10 ]; then kill -QUIT "$pid" 2>/dev/null; fi
  sleep 2
done
"#;

/// Returns the URL of a database from which others can be created.
pub(super) async fn admin_url() -> Result<String> {
    if let Ok(url) = std::env::var("TDS_TEST_DATABASE_URL") {
        return Ok(url);
    }
    let directory = data_dir();
    let users = directory.join("users");
    register(&users)?;
    let mut config = ClusterConfig::new(&directory);
    config.bin_dir = std::env::var_os("PG_BIN_DIR").map(PathBuf::from);
    config.settings = [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")]
        .into_iter()
        .chain([("max_connections", "200"), ("autovacuum_naptime", "10s"), ("max_wal_size", "1GB")])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let cluster = EmbeddedCluster::start(&config).await?;
    if cluster.is_started_here() {
        drop_leftovers(cluster.url(), &users).await?;
        watch(&users, cluster.database_dir())?;
    }
    Ok(cluster.url().to_owned())
}

/// Returns a directory inside cargo's target directory. All test binaries share it, and `cargo clean` removes it.
fn data_dir() -> PathBuf {
    if let Some(directory) = std::env::var_os("TDS_TEST_DATA_DIR") {
        return PathBuf::from(directory);
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let target = executable.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    target.map_or_else(std::env::temp_dir, Path::to_owned).join("tds-test-postgres")
}

fn register(users: &Path) -> Result<()> {
    fs::create_dir_all(users)
        .and_then(|()| fs::write(users.join(std::process::id().to_string()), b""))
        .map_err(|error| Error::internal(format!("writing into {}", users.display())).with_source(error))
}

/// Drops the databases of test processes that ended before they could drop them.
async fn drop_leftovers(admin_url: &str, users: &Path) -> Result<()> {
    let doing = |error| classify(error, "dropping the databases of earlier tests");
    let mut admin = connect(admin_url).await.map_err(doing)?;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE 'tds\\_test\\_%'")
            .fetch_all(&mut admin)
            .await
            .map_err(doing)?;
    for name in names {
        let process = name.split('_').nth(2).unwrap_or_default();
        if !users.join(process).is_file() {
            let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote::identifier(&name));
            sqlx::raw_sql(quote::statement(statement)).execute(&mut admin).await.map_err(doing)?;
        }
    }
    Ok(())
}

fn watch(users: &Path, database_dir: &Path) -> Result<()> {
    let cannot = |error| Error::internal("watching over the test server").with_source(error);
    let text = fs::read_to_string(database_dir.join("postmaster.pid")).map_err(cannot)?;
    let process = text.lines().next().unwrap_or_default().trim();
    let mut watchdog = Command::new("sh");
    watchdog.args(["-c", WATCHDOG, "tds-test-watchdog"]).arg(users).arg(process);
    watchdog.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    watchdog.process_group(0).current_dir("/").spawn().map(drop).map_err(cannot)
}
