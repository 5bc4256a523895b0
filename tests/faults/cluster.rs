//! The monkey's own PostgreSQL server, which it may end at any time.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tds_postgres::{ClusterConfig, EmbeddedCluster};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// The longest time that a server may need to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends what the monkey started, in case the monkey itself is killed: the processes by their ids, then the files.
const WATCHDOG: &str = r#"
monkey=$1; home=$2; database=$3
while kill -0 "$monkey" 2>/dev/null && [ -d "$home" ]; do sleep 1; done
for file in "$home"/processes/*; do
  [ -e "$file" ] && kill -KILL "${file##*/}" 2>/dev/null
done
[ -e "$database/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$database/postmaster.pid")" 2>/dev/null
sleep 1
rm -rf "$home"
"#;

/// The ways to end a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// Like `pg_ctl stop -m immediate`: the server ends without a checkpoint, as in a crash.
    Immediate,
    /// Like `pg_ctl stop -m fast`.
    Fast,
}

/// The cluster. Whenever its server ends, the server is started again at the same address.
pub(crate) struct Cluster {
    url: String,
    database_dir: PathBuf,
    home: TempDir,
    cluster: Option<EmbeddedCluster>,
    /// The watchdog outlives this process and removes what a killed test leaves behind.
    _watchdog: Child,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let home = TempDir::with_prefix("tds-monkey-").expect("a directory");
        let mut config = ClusterConfig::new(home.path());
        config.bin_dir = std::env::var_os("PG_BIN_DIR").map(PathBuf::from);
        // The operating system keeps what a killed server wrote, so only a failure of the machine itself would lose
        // data.
        config.settings = [("fsync", "off"), ("max_connections", "100"), ("deadlock_timeout", "500ms")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let cluster = EmbeddedCluster::start(&config).await.expect("a cluster");
        let processes = home.path().join("processes");
        std::fs::create_dir(&processes).expect("a directory");
        let (url, database_dir) = (cluster.url().to_owned(), cluster.database_dir().to_owned());
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "tds-monkey-watchdog", &std::process::id().to_string()]);
        watchdog.arg(home.path()).arg(&database_dir).current_dir("/");
        watchdog.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = watchdog.spawn().expect("a watchdog");
        Self { url, database_dir, home, cluster: Some(cluster), _watchdog: watchdog }
    }

    /// Returns the directory where programs keep their files and note their process ids.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the URL of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url.replace("/postgres?", &format!("/{database}?"))
    }

    /// Opens a connection, and waits while the server is away.
    pub(crate) async fn connect(&self, database: &str, application: &str) -> PgConnection {
        let url = self.url(database);
        let options: PgConnectOptions = url.parse().expect("a URL");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match timeout(PATIENCE, options.clone().application_name(application).connect()).await {
                Ok(Ok(connection)) => return connection,
                Ok(Err(error)) => {
                    assert!(Instant::now() < deadline, "the database does not come back: {error}")
                }
                Err(_) => panic!("the database does not answer"),
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the one value of a statement. The statement runs again if the server goes away in the meantime.
    pub(crate) async fn text(&self, database: &str, sql: &str) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut connection = self.connect(database, "monkey").await;
            let found: Result<Option<Option<String>>, sqlx::Error> =
                sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_optional(&mut connection).await;
            match found {
                Ok(found) => return found.flatten(),
                Err(error) if !is_away(&error) => panic!("{sql}: {error}"),
                Err(error) => assert!(Instant::now() < deadline, "{sql}: {error}"),
            }
        }
    }

    /// Runs statements that must succeed.
    pub(crate) async fn run(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database, "monkey").await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("it closes");
    }

    /// Ends the server, which is started again within a second or two.
    pub(crate) fn end(&self, how: End) {
        let signal = match how {
            End::Immediate => "-QUIT",
            End::Fast => "-INT",
        };
        self.signal(signal);
    }

    fn signal(&self, signal: &str) {
        let note = std::fs::read_to_string(self.database_dir.join("postmaster.pid")).unwrap_or_default();
        if let Some(id) = note.lines().next().filter(|id| id.parse::<u32>().is_ok()) {
            let _ = Command::new("kill").args([signal, id]).stderr(Stdio::null()).status();
        }
    }

    /// Stops the server for good.
    pub(crate) async fn stop(mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.stop().await.expect("the cluster stops");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            // The test has failed: the server must not be started again.
            drop(cluster);
            self.signal("-QUIT");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// Returns whether an error means that the server went away, rather than that the statement is wrong.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    match error.as_database_error().and_then(|error| error.code()) {
        Some(code) => code.starts_with("57P") || code.starts_with("08") || code.starts_with("53"),
        None => true,
    }
}
