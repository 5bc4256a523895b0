#![doc = include_str!("../README.md")]

mod activity;
mod app;
mod auth;
mod budget;
mod dashboard;
#[cfg(all(feature = "embedded", feature = "sim"))]
mod demo;
mod engine;
mod extract;
mod heal;
mod health;
mod hosts;
mod layers;
mod listen;
mod metrics;
mod nearest;
mod openapi;
mod problem;
mod router;
mod routes;
mod state;
mod supervise;

pub mod cli;
pub mod config;
pub mod telemetry;

pub use activity::{Activity, EntityActivity, Snapshot};
pub use app::{App, RunError};
pub use config::{Config, ConfigErrors, Need};
pub use engine::{BuildError, Engine, Parts, RunningTasks, Storage, Tasks};
pub use health::{
    ComponentHealth, DatabaseProbe, Health, HealthReport, HealthStatus, InventoryProbe, MigrationsProbe,
    Probe, QueueProbe, SchedulerProbe, WebhooksProbe, WorkersProbe, ZohoProbe,
};
pub use openapi::document as openapi_document;
pub use problem::{Problem, ProblemKind};
pub use router::router;
pub use state::{AppState, RequestLimits, RouteSettings, Services, Shared};
pub use supervise::Supervisor;
