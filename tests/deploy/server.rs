//! The program as a process, on a port of its own.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use reqwest::Client;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::FakeZoho;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use crate::{linted::told, nginx::DOMAIN};

pub(crate) const SECRET: &str = "TdsSecret0123456";
pub(crate) const TOKEN: &str = "an-operator-token-of-some-length";
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the path of the program, beside the directory of the tests.
pub(crate) fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    path.push("tds-server");
    assert!(path.exists(), "build it first: cargo build -p tds-server");
    path
}

/// A running TDS.
pub(crate) struct Server {
    settings: HashMap<&'static str, String>,
    pub(crate) address: SocketAddr,
    _child: Child,
}

impl Server {
    pub(crate) async fn start(zoho: &FakeZoho, database: &TestDatabase) -> Self {
        let credentials = zoho.credentials();
        let settings = HashMap::from([
            ("TDS_ADMIN_TOKEN", TOKEN.to_owned()),
            // A proxy that replaces the name is refused.
            ("ALLOWED_HOSTS", format!("{DOMAIN},localhost")),
            ("ZOHO_WEBHOOK_SECRET", SECRET.to_owned()),
            ("ZOHO_CLIENT_ID", credentials.client_id),
            ("ZOHO_CLIENT_SECRET", credentials.client_secret),
            ("ZOHO_REFRESH_TOKEN", credentials.refresh_token),
            ("ZOHO_ORGANIZATION_ID", credentials.organization_id),
            ("ZOHO_ACCOUNTS_URL", zoho.accounts_url()),
            ("ZOHO_API_URL", zoho.api_url()),
        ]);
        Self::with(settings, database).await
    }

    /// Starts a server with these settings on a database, and waits until it is ready.
    pub(crate) async fn with(mut settings: HashMap<&'static str, String>, database: &TestDatabase) -> Self {
        let address = free_address().await;
        settings.insert("DATABASE_URL", database.url().to_owned());
        settings.insert("APP_ENV", "production".to_owned());
        settings.insert("TDS_BIND", address.to_string());
        let mut command = Command::new(program());
        command.arg("serve").env_clear().envs(&settings).current_dir(std::env::temp_dir());
        let child = command.kill_on_drop(true).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { settings, address, _child: child.expect("the program starts") };
        let (client, deadline) =
            (Client::builder().no_proxy().build().expect("a client"), Instant::now() + PATIENCE);
        let url = format!("http://{address}/readyz");
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < deadline, "the server does not become ready");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        server
    }

    /// Runs a command with the settings of the server, and returns its exit status and what it said.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().envs(&self.settings).current_dir(std::env::temp_dir());
        let output = command.output().await.expect("the program runs");
        (output.status.code(), told(&output))
    }
}

/// Waits until a statement answers a number.
pub(crate) async fn until_it_is(database: &TestDatabase, sql: &'static str, wanted: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: i64 =
            sqlx::query_scalar(sql).fetch_one(database.database().pool()).await.expect("a number");
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {found} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

pub(crate) async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    listener.local_addr().expect("an address")
}
