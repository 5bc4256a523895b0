#![doc = include_str!("../README.md")]

/// What TDS can be asked to do. The HTTP API and the command line both call these functions.
mod app {
    pub(crate) mod activity;
    pub(crate) mod budget;
    pub(crate) mod heal;
    pub(crate) mod health;
}
mod dashboard;
#[cfg(all(feature = "embedded", feature = "sim"))]
mod demo;
mod engine;
mod entities;
mod http;
mod nearest;
mod server;
mod supervise;

pub mod cli;
pub mod config;
pub mod telemetry;

pub use app::{
    activity::{Activity, EntityActivity, Snapshot},
    health::{
        ComponentHealth, DatabaseProbe, Health, HealthReport, HealthStatus, InventoryProbe, MigrationsProbe,
        Probe, QueueProbe, SchedulerProbe, WebhooksProbe, WorkersProbe, ZohoProbe,
    },
};
pub use config::{Config, ConfigErrors, Need};
pub use engine::{BuildError, Engine, Parts, RunningTasks, Storage, Tasks};
pub use entities::Entities;
pub use http::{
    openapi::document as openapi_document,
    problem::{Problem, ProblemKind},
    router::router,
    state::{AppState, RequestLimits, RouteSettings, Services, Shared},
};
pub use server::{App, RunError};
pub use supervise::Supervisor;
