//! The database, its store and, if TDS runs it, the private cluster.

use std::time::Duration;

use tds_core::error::Result;
use tds_postgres::{Database, DatabaseConfig, PgStore, StoreSettings};

use super::{
    BuildError,
    cluster::{ClusterConfig, EmbeddedCluster},
};
use crate::config::{ClusterPlace, DatabaseChoice};

/// The time that waiting commits and running statements have at shutdown.
const CLOSE_TIME: Duration = Duration::from_millis(1_500);

/// An open database with its store. Commands that need neither Zoho nor workers use a `Storage` alone.
pub(crate) struct Storage {
    pub(crate) database: Database,
    /// The inbox, the queue, the runs and the schedules.
    pub(crate) store: PgStore,
    cluster: Option<EmbeddedCluster>,
}

impl Storage {
    /// Connects to the database. Starts the private cluster first if `choice` names it. The schema is left as it
    /// is.
    ///
    /// # Errors
    /// Fails if the database cannot be reached or the cluster cannot be started.
    pub(crate) async fn open(choice: &DatabaseChoice, settings: StoreSettings) -> Result<Self, BuildError> {
        match choice {
            DatabaseChoice::Url(config) => Ok(Self::connect(config, settings, None).await?),
            DatabaseChoice::Embedded(place) => {
                let cluster = EmbeddedCluster::start(&cluster_config(place)).await?;
                let max_connections = place.max_connections;
                let schemas = place.schemas.clone();
                let config =
                    DatabaseConfig { max_connections, schemas, ..DatabaseConfig::new(cluster.url()) };
                Ok(Self::connect(&config, settings, Some(cluster)).await?)
            }
        }
    }

    /// Like [`Storage::open`], for commands that only read: a private cluster that does not exist is not created.
    ///
    /// # Errors
    /// Like [`Storage::open`], and [`BuildError::Config`] if there is no private cluster.
    pub(crate) async fn open_existing(choice: &DatabaseChoice) -> Result<Self, BuildError> {
        if let DatabaseChoice::Embedded(place) = choice
            && !EmbeddedCluster::exists(&place.data_dir)
        {
            return Err(BuildError::NoDatabase(place.data_dir.display().to_string()));
        }
        Self::open(choice, StoreSettings::default()).await
    }

    async fn connect(
        config: &DatabaseConfig,
        settings: StoreSettings,
        cluster: Option<EmbeddedCluster>,
    ) -> Result<Self> {
        match Database::connect(config).await {
            Ok(database) => Ok(Self { store: PgStore::new(database.clone(), settings), database, cluster }),
            Err(error) => {
                stop(cluster).await;
                Err(error)
            }
        }
    }

    /// Lets the committers finish, then closes the connections, then stops the private cluster.
    pub(crate) async fn close(self) {
        let closing = async {
            self.store.shutdown().await;
            self.database.close().await;
        };
        if tokio::time::timeout(CLOSE_TIME, closing).await.is_err() {
            tracing::warn!("the database did not answer in time; its connections are dropped");
        }
        stop(self.cluster).await;
    }
}

async fn stop(cluster: Option<EmbeddedCluster>) {
    let Some(cluster) = cluster else { return };
    if let Err(error) = cluster.stop().await {
        tracing::error!(
            error = %error.chain(),
            "the private database did not stop cleanly; it will recover at the next start"
        );
    }
}

fn cluster_config(place: &ClusterPlace) -> ClusterConfig {
    let connections = place.max_connections.saturating_add(20);
    ClusterConfig {
        data_dir: place.data_dir.clone(),
        bin_dir: place.bin_dir.clone(),
        settings: vec![("max_connections".to_owned(), connections.to_string())],
    }
}
