//! What the container of PostgreSQL runs on an empty volume, in a real PostgreSQL.

use std::{fs, process::Command};

use tds_postgres::{ClusterConfig, EmbeddedCluster};

use crate::{linted::told, server::program, stage::sources};

/// Runs psql as a role, with its password, and says whether the statement succeeded, and what was said.
pub(crate) fn psql(url: &str, sql: &str) -> (bool, String) {
    let output =
        Command::new("psql").args(["--no-psqlrc", "-tA", "-d", url, "-c", sql]).output().expect("psql");
    (output.status.success(), told(&output))
}

/// The superuser of a cluster, and where it is.
pub(crate) struct Place {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) host: String,
    pub(crate) port: String,
}

impl Place {
    /// Reads postgres://ROLE:PASSWORD@HOST:PORT/postgres?…
    pub(crate) fn of(url: &str) -> Self {
        let (admin, place) = url.split_once('@').expect("a role");
        let (server, _) = place.split_once("/postgres").expect("a database");
        let (host, port) = server.rsplit_once(':').expect("a port");
        let (user, password) = admin.trim_start_matches("postgres://").split_once(':').expect("a password");
        let [user, password, host, port] = [user, password, host, port].map(str::to_owned);
        Self { user, password, host, port }
    }
}

#[tokio::test]
async fn each_program_gets_a_role_that_is_no_superuser_and_may_do_its_work() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = EmbeddedCluster::start(&ClusterConfig::new(directory.path())).await.expect("a cluster");
    let Place { user, password, host, port } = Place::of(cluster.url());
    let server = format!("{host}:{port}");
    for name in ["db", "erp", "monitor"] {
        // Whatever a password holds, it is a value and no SQL.
        fs::write(directory.path().join(format!("{name}_password")), format!("{name}'\"\\$x;--\n"))
            .expect("a secret");
    }
    let output = Command::new("sh")
        .arg(sources().join("postgres/init.sh"))
        .env("SECRETS", directory.path())
        .envs([("PGUSER", &user), ("PGPASSWORD", &password), ("PGHOST", &host), ("PGPORT", &port)])
        .envs([("DB_USER", "shop"), ("DB_NAME", "a shop")])
        .output()
        .expect("the script");
    assert!(output.status.success(), "{}", told(&output));
    let as_role = |role: &str, file: &str| {
        format!("postgres://{role}:{file}%27%22%5C%24x%3B--@{server}/a%20shop?sslmode=disable")
    };

    let tds = as_role("shop", "db");
    for arguments in [&["migrate"][..], &["schema", "exposures"]] {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().env("DATABASE_URL", &tds).current_dir(directory.path());
        let output = command.output().expect("the program");
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    }
    assert_eq!(
        psql(&tds, "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = 'shop'").1.trim(),
        "f"
    );

    let erp = as_role("erp", "erp");
    assert_eq!(psql(&erp, "SELECT count(*) FROM erp.products"), (true, "0\n".to_owned()));
    assert!(!psql(&erp, "SELECT count(*) FROM public.tds_inbox_events").0, "the ERP reads raw webhooks");
    let monitor = as_role("monitor", "monitor");
    assert!(psql(&monitor, "SELECT count(*) FROM pg_stat_database").0);
    assert!(!psql(&monitor, "SELECT count(*) FROM erp.customers").0, "the exporter reads customers");
    cluster.stop().await.expect("it stops");
}
