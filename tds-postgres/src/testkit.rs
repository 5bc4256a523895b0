//! Databases for tests: fresh, migrated, gone with the value.

mod relay;
mod server;
mod statements;
mod template;

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

pub use self::{relay::Relay, statements::pgbench_drain};
use crate::{Database, DatabaseConfig, db::quote};

/// How long the end of a test waits for its database to be dropped.
const DROP: Duration = Duration::from_millis(500);

/// A database of one test. Each is its own copy of the migrated template; all are in one private cluster that
/// the processes of a test run share and that ends by itself when the last of them is gone.
///
/// `TDS_TEST_DATABASE_URL` names another server to use instead (a superuser's URL), `TDS_TEST_DATA_DIR` another
/// directory for the private one.
#[derive(Debug)]
pub struct TestDatabase {
    database: Database,
    url: String,
    name: String,
    admin_url: String,
}

impl TestDatabase {
    /// A fresh database with the current schema.
    ///
    /// # Panics
    /// No PostgreSQL can be had; the text says why.
    pub async fn new() -> Self {
        Self::create(true).await
    }

    /// A fresh database without any table.
    ///
    /// # Panics
    /// No PostgreSQL can be had; the text says why.
    pub async fn empty() -> Self {
        Self::create(false).await
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Its URL, for programs that open it by themselves.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An outage: open connections end, and nobody gets a new one until [`TestDatabase::restore`].
    ///
    /// # Panics
    /// The server is away itself.
    pub async fn cut(&self) {
        self.administer(format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", quote::identifier(&self.name)))
            .await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
        self.administer(format!("{end}'{}'", self.name)).await;
    }

    /// Ends an outage.
    ///
    /// # Panics
    /// The server is away itself.
    pub async fn restore(&self) {
        self.administer(format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", quote::identifier(&self.name)))
            .await;
    }

    /// Executes statements, for tests that have no driver of their own.
    ///
    /// # Panics
    /// The database does not take them.
    pub async fn execute(&self, statements: impl Into<String>) {
        let statements = statements.into();
        let executed = sqlx::raw_sql(quote::statement(statements.clone())).execute(&self.database).await;
        executed.map(drop).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    async fn administer(&self, statement: String) {
        let done = async {
            let mut admin = template::connect(&self.admin_url).await?;
            sqlx::raw_sql(quote::statement(statement)).execute(&mut admin).await?;
            admin.close().await
        };
        let done: Result<(), sqlx::Error> = done.await;
        done.unwrap_or_else(|error| panic!("the test server: {error}"));
    }

    async fn create(migrated: bool) -> Self {
        let mut last = None;
        // The shared server may be ending just now; the next attempt starts a new one.
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
        };
        Ok(Self { database: Database::connect(&config).await?, url, name, admin_url })
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (name, admin_url) = (self.name.clone(), self.admin_url.clone());
        // Best effort, on a thread of its own: drop cannot wait for a future. The server waits with it for connections that
        // are being opened, and those of this test open no further while we stand here: it goes on by itself once the
        // test has ended. What stays is dropped by the next start.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let _ = tokio::time::timeout(DROP, drop_database(&admin_url, &name)).await;
            });
        });
        let _ = dropping.join();
    }
}

async fn drop_database(admin_url: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = admin_url.parse::<PgConnectOptions>()?.connect().await?;
    let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote::identifier(name));
    sqlx::raw_sql(quote::statement(statement)).execute(&mut connection).await?;
    connection.close().await
}
