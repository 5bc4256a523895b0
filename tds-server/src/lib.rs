#![doc = include_str!("../README.md")]

/// The use cases. The HTTP API and the command line both call these functions.
mod app {
    pub(crate) mod activity;
    pub(crate) mod answers;
    pub(crate) mod budget;
    pub(crate) mod bulk_sync;
    pub(crate) mod check;
    pub(crate) mod credentials;
    pub(crate) mod directions;
    pub(crate) mod dry_run;
    pub(crate) mod events;
    pub(crate) mod explain;
    pub(crate) mod heal;
    pub(crate) mod health;
    pub(crate) mod items;
    pub(crate) mod missed;
    pub(crate) mod outbox;
    pub(crate) mod plan;
    pub(crate) mod presence;
    pub(crate) mod prune;
    pub(crate) mod quota;
    pub(crate) mod readiness;
    pub(crate) mod refusal;
    pub(crate) mod report;
    pub(crate) mod rules;
    pub(crate) mod runs;
    pub(crate) mod services;
    pub(crate) mod unknown_fields;
    pub(crate) mod verify;
    pub(crate) mod webhooks;
}
mod bounded;
mod dashboard;
mod engine;
mod entities;
mod hint;
mod http;
mod images;
mod nearest;
mod server;
mod service;
mod supervise;

pub mod cli;
pub mod config;
pub mod telemetry;

pub use app::{
    health::{ComponentHealth, Health, HealthReport, HealthStatus, Probe},
    plan::CostSettings,
    services::{OutboundPorts, Ports, Services},
};
pub use config::{Config, ConfigErrors, Need};
pub use engine::BuildError;
pub use entities::Entities;
pub use http::{
    problem::ProblemKind,
    router::{document as openapi_document, router},
    state::{AppState, RequestLimits, RouteSettings, Shared},
};
pub use server::{App, RunError};
pub use service::ServiceManager;
