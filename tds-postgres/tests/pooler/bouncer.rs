//! A private PgBouncer in front of the test server.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

/// A running PgBouncer, which ends when the value is dropped.
pub(crate) struct Bouncer {
    process: Child,
    directory: tempfile::TempDir,
    url: String,
}

impl Bouncer {
    /// Starts PgBouncer in transaction mode in front of this database, with three server connections unless `more` states
    /// another number. PgBouncer accepts the `ignored` settings of clients and does not apply them.
    pub(crate) async fn start_with(target: &str, ignored: &str, more: &str) -> Self {
        let Some(binary) = binary() else {
            panic!("PgBouncer is missing: install it (Debian: apt-get install pgbouncer), or use ./dev test");
        };
        let server: PgConnectOptions = target.parse().expect("the URL of the test database");
        let url = server.to_url_lossy();
        let (user, name) = (server.get_username(), server.get_database().expect("a database"));
        let password = url.password().map(|password| format!(" password={password}")).unwrap_or_default();
        let socket = server.get_socket().map(|path| path.display().to_string());
        let host = socket.unwrap_or_else(|| server.get_host().to_owned());
        let directory = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let size = if more.contains("default_pool_size") { "" } else { "default_pool_size = 3\n" };
        let settings = format!(
            "[databases]\n{name} = host={host} port={} dbname={name} user={user}{password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\n{size}ignore_startup_parameters = {ignored}\n{more}\n",
            server.get_port(),
        );
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("written");
        let mut command = Command::new(binary);
        // PgBouncer refuses to run as root.
        if is_root() {
            open_to_all(directory.path());
            command.args(["-u", "nobody"]);
        }
        let process =
            command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        let url = format!("postgres://{user}@127.0.0.1:{port}/{name}");
        let bouncer = Self { process, directory, url };
        bouncer.wait().await;
        bouncer
    }

    /// Returns the URL (`postgres://user@host:port/name`).
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn wait(&self) {
        let options: PgConnectOptions = format!("{}?sslmode=disable", self.url).parse().expect("a URL");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            match options.connect().await {
                Ok(_) => return,
                Err(error) => assert!(
                    tokio::time::Instant::now() < deadline,
                    "PgBouncer in {} does not answer: {error}",
                    self.directory.path().display()
                ),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.push("/usr/sbin".into());
    directories.into_iter().map(|directory| directory.join("pgbouncer")).find(|file| file.is_file())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn open_to_all(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).expect("readable");
}
