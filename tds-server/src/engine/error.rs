//! The reasons why an engine or an application could not be built.

use tds_core::error::{Error, ErrorKind};

use crate::{config::ConfigError, hint::command};

/// The reason why an engine or an application could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration is wrong and a person has to change it. Exit status 2.
    #[error("{0}")]
    Config(String),
    /// The credentials of Zoho are not set.
    #[error(
        "ZOHO_CLIENT_ID: found nothing; accepted: the value from Zoho's API console, with the other ZOHO_* values"
    )]
    NoZoho,
    /// There is no database to read: neither a configured one nor a private cluster.
    #[error(
        "there is no database: DATABASE_URL is not set, and there is no private cluster in {0} (TDS_DATA_DIR); \
         serve, demo, bulk-sync and migrate create one"
    )]
    NoDatabase(String),
    /// Another step failed. Exit status 1.
    #[error("{0}")]
    Failed(String),
}

impl BuildError {
    /// Returns the exit status of a program that ends with this error.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_) | Self::NoZoho | Self::NoDatabase(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::Config(error.explain(command)),
            _ => Self::Failed(error.explain(command)),
        }
    }
}
