//! Databases for tests. Each database is fresh and migrated, and it is dropped with its value.

mod relay;
mod server;
mod statements;
mod template;

use std::time::Duration;

use sqlx::Connection as _;

pub use self::{relay::Relay, statements::pgbench_drain};
use crate::{Database, DatabaseConfig, db::quote};

/// How long the end of a test waits for its database to be dropped.
const DROP: Duration = Duration::from_millis(500);

/// The database of one test. Each database is its own copy of the migrated template. All databases are in one private
/// cluster, which the processes of a test run share. The cluster ends by itself after the last of these processes.
///
/// `TDS_TEST_DATABASE_URL` names another server to use instead (the URL of a superuser). `TDS_TEST_DATA_DIR` names
/// another directory for the private cluster.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    url: String,
    name: String,
    admin_url: String,
}

impl TestDatabase {
    /// Creates a fresh database with the current schema. The write guard is off, because tests change rows by hand.
    ///
    /// # Panics
    /// Panics with the reason if no PostgreSQL is available.
    pub async fn new() -> Self {
        Self::create(true).await
    }

    /// Creates a fresh database without any table.
    ///
    /// # Panics
    /// Panics with the reason if no PostgreSQL is available.
    pub async fn empty() -> Self {
        Self::create(false).await
    }

    /// Returns the database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the URL of the database, for programs that open it by themselves.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts an outage: open connections end, and no new connection is accepted until [`TestDatabase::restore`].
    ///
    /// # Panics
    /// Panics if the server itself cannot be reached.
    pub async fn cut(&self) {
        self.administer(format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", quote::identifier(&self.name)))
            .await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
        self.administer(format!("{end}'{}'", self.name)).await;
    }

    /// Ends an outage.
    ///
    /// # Panics
    /// Panics if the server itself cannot be reached.
    pub async fn restore(&self) {
        self.administer(format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", quote::identifier(&self.name)))
            .await;
    }

    /// Executes statements, for tests that have no driver of their own.
    ///
    /// # Panics
    /// Panics if the database rejects the statements.
    pub async fn execute(&self, statements: impl Into<String>) {
        let statements = statements.into();
        let executed = sqlx::raw_sql(quote::statement(statements.clone())).execute(&self.database).await;
        executed.map(drop).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    async fn administer(&self, statement: String) {
        let done = administer(&self.admin_url, statement).await;
        done.unwrap_or_else(|error| panic!("the test server: {error}"));
    }

    async fn create(migrated: bool) -> Self {
        let mut last = None;
        // The shared server may be stopping at the moment. The next attempt then starts a new server.
        for _ in 0..3 {
            match Self::try_create(migrated).await {
                Ok(made) => return made,
                Err(error) => last = Some(error),
            }
        }
        panic!("no test database: {}", last.map_or_else(String::new, |error| error.chain()))
    }

    async fn try_create(migrated: bool) -> tds_core::error::Result<Self> {
        let admin_url = server::admin_url().await?;
        let name = format!("tds_test_{}_{}", std::process::id(), uuid::Uuid::new_v4().simple());
        template::create_database(&admin_url, &name, migrated).await?;
        let url = template::url_of(&admin_url, &name);
        let config = DatabaseConfig {
            url: url.clone(),
            max_connections: 5,
            application_name: std::env::args().next_back().unwrap_or_default().chars().take(60).collect(),
            schemas: crate::Schemas::default(),
        };
        Ok(Self { database: Database::connect(&config).await?, url, name, admin_url })
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (name, admin_url) = (self.name.clone(), self.admin_url.clone());
        // The drop is best effort and runs on its own thread, because `drop` cannot wait for a future. DROP
        // DATABASE waits for connections that are being opened, and the connections of this test make no progress
        // while `drop` blocks the thread. In that case the statement finishes after the end of the test. The next
        // start of the server drops databases that remain.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote::identifier(&name));
                let _ = tokio::time::timeout(DROP, administer(&admin_url, statement)).await;
            });
        });
        let _ = dropping.join();
    }
}

async fn administer(admin_url: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut admin = template::connect(admin_url).await?;
    sqlx::raw_sql(quote::statement(statement)).execute(&mut admin).await?;
    admin.close().await
}
