//! A PostgreSQL cluster of the benches, as durable as one in production.

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tds_postgres::{ClusterConfig, Database, DatabaseConfig, EmbeddedCluster};
use tempfile::TempDir;

/// The settings that differ from those of a private cluster. `fsync`, `full_page_writes` and `synchronous_commit` stay
/// on. Checkpoints are rare, so that none falls into only one side of a ratio.
const SETTINGS: [(&str, &str); 6] = [
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("max_connections", "200"),
    ("random_page_cost", "1.1"),
    ("track_commit_timestamp", "on"),
];

/// The database server. Dropping the value removes it.
pub(crate) struct Cluster {
    server: Option<EmbeddedCluster>,
    _directory: TempDir,
    next: u32,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        // The cluster is below the build's output, because a temporary directory may be in memory.
        let place = std::env::current_exe().expect("a path").with_file_name("bench-postgres");
        std::fs::create_dir_all(&place).expect("a directory");
        let directory = TempDir::new_in(place).expect("a directory");
        let mut config = ClusterConfig::new(directory.path());
        let settings = SETTINGS.iter().chain(settings);
        config.settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let server = EmbeddedCluster::start(&config).await.expect("PostgreSQL");
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            let set: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(name)
                .fetch_one(&mut connect(server.url()).await)
                .await
                .expect("a setting");
            assert_eq!(set, "on", "{name}");
        }
        Self { server: Some(server), _directory: directory, next: 0 }
    }

    /// Creates an empty database and returns its URL.
    pub(crate) async fn empty(&mut self) -> String {
        self.next += 1;
        let admin = self.server.as_ref().expect("running").url().to_owned();
        let name = format!("bench_{}", self.next);
        run(&admin, format!("CREATE DATABASE {name}")).await;
        admin.replace("/postgres?", &format!("/{name}?"))
    }

    /// Creates a database with the current schema and returns its URL.
    pub(crate) async fn migrated(&mut self) -> String {
        let url = self.empty().await;
        let database = database(&url, 2).await;
        database.migrate().await.expect("migrated");
        database.close().await;
        url
    }

    pub(crate) async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.expect("stopped");
        }
    }
}

pub(crate) async fn database(url: &str, connections: u32) -> Database {
    let config = DatabaseConfig { max_connections: connections, ..DatabaseConfig::new(url) };
    Database::connect(&config).await.expect("connected")
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>().expect("a URL").connect().await.expect("connected")
}

/// Executes statements on their own connection.
pub(crate) async fn run(url: &str, statements: String) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("executed");
    connection.close().await.expect("closed");
}

/// Returns one number.
pub(crate) async fn count(url: &str, statement: &'static str) -> i64 {
    let mut connection = connect(url).await;
    let number = sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("a number");
    connection.close().await.expect("closed");
    number
}
