//! The engine: workers that claim and settle items, executors of runs, and the scheduler that starts runs.

mod builder;
mod executor;
mod images;
mod lister;
mod lists;
mod patience;
mod pusher;
mod registry;
mod relay;
mod scheduler;
mod verifier;
mod worker;

pub use self::{
    builder::{Engine, EngineBuilder, OutboundStores, RunningEngine, Stores, VerifyStores},
    executor::{RunExecutor, RunSettings, RunWorker},
    images::ImageDownloads,
    lister::{ListerSettings, RowPlan, plan_row},
    pusher::PushHandler,
    registry::Registry,
    relay::Relay,
    scheduler::{Postponed, Schedule, ScheduleSpec, Scheduler, SchedulerSettings},
    verifier::VerifySettings,
    worker::{Random, SourceGate, WorkTally, Worker, WorkerSettings},
};
