//! Tests of the private cluster: it is found again after a crash, shared by two processes, and complete after any
//! interruption.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use tds_core::hint::Hint;
use tds_postgres::{ClusterConfig, Database, DatabaseConfig, EmbeddedCluster};

fn config(directory: &Path) -> ClusterConfig {
    let mut config = ClusterConfig::new(directory);
    config.settings = vec![("fsync".into(), "off".into()), ("shared_buffers".into(), "16MB".into())];
    config
}

async fn start(directory: &Path) -> EmbeddedCluster {
    EmbeddedCluster::start(&config(directory)).await.expect("the cluster starts")
}

async fn one(cluster: &EmbeddedCluster, sql: &'static str) -> String {
    let database = Database::connect(&DatabaseConfig::new(cluster.url())).await.expect("connects");
    let value = sqlx::query_scalar(sql).fetch_one(&database).await.expect("answers");
    database.close().await;
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_its_data_over_a_stop_and_a_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = start(directory.path()).await;
    let database = Database::connect(&DatabaseConfig::new(cluster.url())).await.expect("connects");
    let version = database.migrate().await.expect("migrates").to;
    database.close().await;
    assert_eq!(one(&cluster, "SHOW server_encoding").await, "UTF8");
    assert_eq!(one(&cluster, "SHOW listen_addresses").await, "127.0.0.1");
    assert_eq!(one(&cluster, "SHOW synchronous_commit").await, "on");
    cluster.stop().await.expect("stops");
    let cluster = start(directory.path()).await;
    assert_eq!(
        one(&cluster, "SELECT max(version)::text FROM _sqlx_migrations WHERE success").await.parse(),
        Ok(version)
    );
    cluster.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_process_uses_the_server_of_the_first_and_does_not_stop_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (first, second) = tokio::join!(start(directory.path()), start(directory.path()));
    assert_eq!(first.url(), second.url());
    let (starter, other) = if first.is_started_here() { (first, second) } else { (second, first) };
    assert!(starter.is_started_here() && !other.is_started_here());
    other.stop().await.expect("leaves it running");
    assert_eq!(one(&starter, "SELECT 'alive'").await, "alive");
    starter.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_outlived_its_process_is_found_again_and_stopped_by_the_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = start(directory.path()).await;
    let url = first.url().to_owned();
    drop(first); // like a crash, this does not stop the server
    let next = start(directory.path()).await;
    assert_eq!(next.url(), url);
    assert!(!next.is_started_here());
    next.stop().await.expect("it is ours now");
    let error = Database::connect(&DatabaseConfig::new(url)).await.expect_err("it has stopped");
    assert_eq!(error.kind(), tds_core::error::ErrorKind::Unavailable);
    assert!(error.chain().contains("refused"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_pid_file_of_a_killed_server_does_not_prevent_a_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = start(directory.path()).await;
    let pid_file = cluster.database_dir().join("postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).expect("a pid file");
    drop(cluster);
    let process = text.lines().next().expect("a process id").to_owned();
    let killed = std::process::Command::new("kill").args(["-KILL", &process]).status().expect("kill runs");
    assert!(killed.success() && pid_file.is_file());
    let cluster = start(directory.path()).await;
    assert!(cluster.is_started_here());
    cluster.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_died_halfway_is_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = start(directory.path()).await;
    let database_dir = cluster.database_dir().to_owned();
    cluster.stop().await.expect("stops");
    // A kill during initdb leaves the unfinished directory, and no directory with the final name.
    std::fs::rename(&database_dir, database_dir.with_extension("new")).expect("renames");
    std::fs::remove_file(database_dir.with_extension("new").join("PG_VERSION")).expect("removes");
    start(directory.path()).await.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_long_and_readable_by_its_owner_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = start(directory.path()).await;
    let path = directory.path().join("password");
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    let password = std::fs::read_to_string(&path).expect("readable");
    assert_eq!(mode & 0o777, 0o600);
    assert!(password.len() >= 32);
    let wrong = cluster.url().replace(&password, "wrong");
    let error = Database::connect(&DatabaseConfig::new(wrong)).await.expect_err("refused");
    assert_eq!(error.kind(), tds_core::error::ErrorKind::Config, "{error:?}");
    assert_eq!(error.hint(), Some(&Hint::Settings(&["url"])), "{error:?}");
    cluster.stop().await.expect("stops");
}

#[tokio::test]
async fn without_the_binaries_of_postgresql_one_line_says_how_to_install_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path());
    config.bin_dir = Some(directory.path().to_owned());
    let error = EmbeddedCluster::start(&config).await.expect_err("nothing there");
    for expected in ["apt-get install postgresql", "brew install"] {
        assert!(error.to_string().contains(expected), "{error:?}");
    }
    assert_eq!(error.hint(), Some(&Hint::Settings(&["bin_dir", "url"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_servers_account_cannot_reach_gets_a_cluster_elsewhere() {
    let hidden = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(hidden.path(), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let data_dir = hidden.path().join("tds");
    let cluster = start(&data_dir).await;
    assert_eq!(one(&cluster, "SELECT 'alive'").await, "alive");
    let place = cluster.database_dir().to_owned();
    cluster.stop().await.expect("stops");
    if place.starts_with(hidden.path().canonicalize().expect("exists")) {
        return; // without root, the server runs as the user of the test and can reach the directory
    }
    let again = start(&data_dir).await;
    assert_eq!(again.database_dir(), place, "the place is remembered");
    again.stop().await.expect("stops");
    std::fs::remove_dir_all(place.parent().expect("a parent")).expect("removes");
    let fresh = start(&data_dir).await;
    let place = fresh.database_dir().to_owned();
    fresh.stop().await.expect("stops");
    if let Some(root) = place.parent().filter(|root| root.starts_with("/var/lib/tds/clusters")) {
        std::fs::remove_dir_all(root).expect("removes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_comes_back_at_the_same_address_and_a_stop_does_not_wait_for_a_dead_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = start(directory.path()).await;
    kill_server(&cluster);
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while Database::connect(&DatabaseConfig::new(cluster.url())).await.is_err() {
        assert!(tokio::time::Instant::now() < patience, "it did not come back");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    kill_server(&cluster);
    let began = tokio::time::Instant::now();
    cluster.stop().await.expect("stops");
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

/// Kills the server in the way the system does when memory runs out.
fn kill_server(cluster: &EmbeddedCluster) {
    let pid_file = cluster.database_dir().join("postmaster.pid");
    let text = std::fs::read_to_string(pid_file).expect("it runs");
    let id = text.lines().next().expect("a process").trim();
    let killed = std::process::Command::new("kill").args(["-KILL", id]).status().expect("kill runs");
    assert!(killed.success());
}
