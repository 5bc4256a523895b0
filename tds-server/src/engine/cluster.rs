//! The private PostgreSQL cluster, if the program was built with the feature `embedded`.

#[cfg(feature = "embedded")]
pub(crate) use tds_postgres::{ClusterConfig, EmbeddedCluster};

#[cfg(not(feature = "embedded"))]
pub(crate) use self::absent::{ClusterConfig, EmbeddedCluster};

#[cfg(not(feature = "embedded"))]
mod absent {
    use std::path::{Path, PathBuf};

    use tds_core::error::{Error, Result};

    /// The location of a cluster, in a program without the feature `embedded`.
    #[expect(dead_code, reason = "no cluster is started from it")]
    pub(crate) struct ClusterConfig {
        pub(crate) data_dir: PathBuf,
        pub(crate) bin_dir: Option<PathBuf>,
        pub(crate) settings: Vec<(String, String)>,
    }

    /// A cluster that never exists: programs without the feature `embedded` cannot start one.
    pub(crate) enum EmbeddedCluster {}

    impl EmbeddedCluster {
        pub(crate) async fn start(config: &ClusterConfig) -> Result<Self> {
            let text = format!(
                "DATABASE_URL: found nothing; accepted: the URL of the database, because this program was built \
                 without the private cluster, which would be stored in {}",
                config.data_dir.display()
            );
            Err(Error::config(text))
        }

        pub(crate) fn exists(_data_dir: &Path) -> bool {
            false
        }

        pub(crate) fn url(&self) -> &str {
            match *self {}
        }

        pub(crate) async fn stop(self) -> Result<()> {
            match self {}
        }
    }
}
