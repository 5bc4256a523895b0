//! A private PostgreSQL cluster that TDS creates and runs.

mod account;
mod binaries;
mod guardian;
mod init;
mod place;
mod server;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

pub(crate) use account::Account;
use binaries::Binaries;
use guardian::Guardian;
use server::Server;

use crate::db::setting::Setting;

/// How long a start waits for another process that is starting the same cluster.
const LOCK_WAIT: Duration = Duration::from_secs(120);

/// The directories and settings of a private cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The directory for the files of TDS. It is created if it is missing.
    pub data_dir: PathBuf,
    /// The directory of `postgres` and `initdb`. `None`: the usual directories are searched.
    pub bin_dir: Option<PathBuf>,
    /// Server settings in addition to the usual settings. They replace usual settings of the same name.
    pub settings: Vec<(String, String)>,
}

impl ClusterConfig {
    /// Returns the configuration of a durable cluster in this directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), bin_dir: None, settings: Vec::new() }
    }
}

/// A private PostgreSQL cluster that is running. The server listens only on the loopback address. It survives a crash
/// of this process, and the next start finds it running. A server that was killed is started again.
#[derive(Debug)]
pub struct EmbeddedCluster {
    url: String,
    database_dir: PathBuf,
    is_started_here: bool,
    /// Set if this process is responsible for the server. The system releases the lock when the process ends.
    ownership: Option<(Guardian, File)>,
}

impl EmbeddedCluster {
    /// Starts the cluster, or finds it running. Several processes may call `start` at the same time, and one of them
    /// starts the cluster.
    ///
    /// # Errors
    /// `Config` if no PostgreSQL programs are found or the directory cannot be used. `Unavailable`, with the end
    /// of the server's log, if the server does not start.
    pub async fn start(config: &ClusterConfig) -> Result<Self> {
        let data_dir = place::prepare(&config.data_dir)?;
        let account = Account::for_server(&data_dir)?;
        let _starting = lock(&data_dir.join("start.lock")).await?;
        let root = place::cluster_root(&data_dir, account.as_ref())?;
        let password = init::password(&data_dir)?;
        let database_dir = root.join("data");
        let binaries = Binaries::find(config.bin_dir.as_deref(), &database_dir).await?;
        init::cluster(&binaries, &database_dir, account.as_ref(), &password, &config.settings).await?;
        let server = Server::start(&binaries, &database_dir, account, &config.settings, &password).await?;
        let (url, is_started_here) = (server.url(&password), server.is_started_here());
        let ownership = own(&data_dir.join("owner.lock"))?;
        let ownership = ownership.map(|lock| (Guardian::of(server, password), lock));
        Ok(Self { url, database_dir, is_started_here, ownership })
    }

    /// Returns true if the directory holds a cluster, whether the cluster runs or not. The call changes nothing.
    #[must_use]
    pub fn exists(data_dir: &Path) -> bool {
        place::existing(data_dir).is_some_and(|root| root.join("data").join("PG_VERSION").is_file())
    }

    /// Returns the URL of the cluster's database (`postgres://…`).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns true if this process has just started the server, false if it found the server running.
    #[must_use]
    pub fn is_started_here(&self) -> bool {
        self.is_started_here
    }

    /// Returns the directory of the server's files.
    #[must_use]
    pub fn database_dir(&self) -> &Path {
        &self.database_dir
    }

    /// Stops the server if this process is responsible for it. The server cancels statements in progress. All
    /// committed data is on disk.
    ///
    /// # Errors
    /// Fails if the server does not stop within a minute.
    pub async fn stop(self) -> Result<()> {
        match self.ownership {
            Some((guardian, _held_until_the_end)) => guardian.stop().await,
            None => Ok(()),
        }
    }
}

/// Waits for a lock that the system releases when its holder dies.
async fn lock(path: &Path) -> Result<File> {
    let file = open(path)?;
    let deadline = tokio::time::Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io(&error, "locking", path)),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() > deadline => {
                return Err(Error::unavailable(format!(
                    "another process has been starting the cluster for {} s ({})",
                    LOCK_WAIT.as_secs(),
                    path.display()
                )));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn own(path: &Path) -> Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io(&error, "locking", path)),
    }
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| io(&error, "opening", path))
}

/// Returns an error of the file system with a readable message.
fn io(error: &std::io::Error, doing: &str, path: &Path) -> Error {
    let hint = Hint::Settings(const { &[Setting::DataDir.as_str()] });
    Error::config(format!("{doing} {}: {error}", path.display())).with_hint(hint)
}
