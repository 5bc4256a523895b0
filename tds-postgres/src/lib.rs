#![doc = include_str!("../README.md")]

mod actions;
mod budget;
mod cancel;
mod claim_cursor;
mod connector;
mod database;
#[cfg(feature = "embedded")]
mod embedded;
mod ended;
mod error;
mod exposures;
mod facts;
mod fold;
mod functions;
mod further;
mod heal;
mod inbox;
mod inbox_operator;
mod ingest;
mod item_row;
mod list_facts;
mod migrate;
mod mirror;
mod notifier;
mod page;
mod pool;
mod privileges;
mod processes;
mod prune;
mod queue;
mod queue_operator;
mod quote;
mod run;
mod run_page;
mod run_row;
mod schedule;
mod session;
mod settle;
mod settle_sql;
mod shared;
mod store;

#[cfg(feature = "testkit")]
pub mod testkit;

pub use database::{Database, DatabaseConfig};
#[cfg(feature = "embedded")]
pub use embedded::{ClusterConfig, EmbeddedCluster};
pub use exposures::{Access, Exposures};
pub use facts::{ConnectionRoom, ServerFacts};
pub use further::FurtherMigration;
pub use migrate::{MigrationReport, SchemaStatus, schema_script};
pub use mirror::PgMirror;
pub use processes::ServerReport;
pub use session::Tx;
pub use store::{PgStore, StoreSettings};
