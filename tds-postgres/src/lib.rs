#![doc = include_str!("../README.md")]

mod call_log;
mod db;
#[cfg(feature = "embedded")]
mod embedded;
mod erasure;
mod history;
mod images;
mod inbox;
mod maintenance;
mod measures;
mod mirror;
mod mode_names;
mod money;
mod organization;
mod outbound;

mod processes;
mod queue;
mod redaction;
mod runs;
mod schedule;
mod shared_state;
mod store;
mod unknown_fields;
mod verify;

#[cfg(feature = "testkit")]
pub mod testkit;

pub use db::{
    capture::WriteGuard,
    config::DatabaseConfig,
    custom_columns::{CustomColumn, CustomType, InvalidCustomColumn},
    database::Database,
    exposures::{Access, Exposures},
    facts::{ConnectionRoom, ServerFacts},
    further::FurtherMigration,
    migrate::MigrationReport,
    migration_settings::MigrationSettings,
    pool::PoolFigures,
    schema_script::schema_script,
    schema_status::{SchemaStatus, SchemaVerdict},
    schemas::{InvalidSchemaName, SchemaName, Schemas},
    session::Tx,
    setting::Setting,
};
#[cfg(feature = "embedded")]
pub use embedded::{ClusterConfig, EmbeddedCluster};
pub use erasure::PgEraser;
pub use images::PgImages;
pub use inbox::commit::{CommitWatch, EventCommit, StoreSettings};
pub use mirror::PgMirror;
pub use organization::OrganizationFacts;
pub use processes::{ReportedState, ServerReport};
pub use store::PgStore;
